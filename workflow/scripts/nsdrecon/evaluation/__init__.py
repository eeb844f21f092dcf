"""Evaluation: protocols, metrics, networks, floors and statistics."""
