"""Evaluation of reconstructions against the seen images.

``protocols``
    Named ways of scoring: resizing, SSIM, networks.
``pixels``, ``networks``, ``similarity``
    Functions of two pictures; features of pictures; what is read from their correlations.
``scoring``, ``pictures``, ``pixel_scoring``, ``correlations``
    The per-image tables of systems.
``agreement``
    How much the samples of one image agree.
``statistics``, ``retrieval``, ``tables``
    Intervals and contrasts over images; more candidates; Markdown and LaTeX.
``floors``, ``ceilings``, ``published``, ``variants``
    What a score is compared with, and other responses or splits to compute it on.
"""
