"""Figures of a run.

``drawing``
    What all figures share: style, saving, captions.
``pictures``
    Seen images beside reconstructions and samples.
``scores``
    Metrics between floor and ceiling, retrieval, repeats, pairs of systems.
``regression``
    Accuracy of the regressions, noise ceilings of voxels.

Every function that draws writes one file, all or nothing, and returns the caption that belongs
under it: what is shown and how it was chosen.
"""
