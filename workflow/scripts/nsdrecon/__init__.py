"""Reconstruction of seen images from fMRI of the Natural Scenes Dataset.

The modules form floors, and each imports only from floors below it: see docs/architecture.md.
Nothing here knows of Snakemake or of the configuration file: functions take plain arguments.
"""
