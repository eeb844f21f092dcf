"""A simulated Natural Scenes Dataset: drawn scenes, and brains that respond to them.

The files are those of the NSD bucket (same keys, names, types, axis orders, label conventions), so
that everything that reads the real dataset reads this one. `files` writes them; `scenes` draws the
stimuli.
"""
