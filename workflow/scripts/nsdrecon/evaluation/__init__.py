"""Evaluation of reconstructions against the seen images.

``protocols``
    Named ways of scoring: resizing, SSIM, networks.
``metrics``, ``networks``
    Scores of arrays; features of pictures.
``scoring``
    The per-image table of one system.
``statistics``, ``retrieval``, ``tables``
    Intervals and contrasts over images; more candidates; Markdown and LaTeX.
``floors``, ``ceilings``, ``published``, ``variants``
    What a score is compared with, and other responses or splits to compute it on.
"""
