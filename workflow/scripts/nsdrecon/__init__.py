"""Reconstruction of seen images from fMRI of the Natural Scenes Dataset.

The modules form floors; each imports only from floors below it:

5. ``report``, ``gallery``, ``figures``
4. ``evaluation``
3. ``diffusion``, ``vdvae``, ``ridge``
2. ``clip_features``, ``betas``, ``volumes``, ``captions``, ``stimuli``
1. ``metrics``, ``systems``, ``run``, ``settings``, ``brain_diffuser``, ``layout``, ``nsd``,
   ``transfer``, ``simulate``, ``pretrained``, ``latent_files``
0. ``store``, ``randomness``, ``logs``, ``errors``, ``devices``, ``closure``, ``extensions``

Nothing here knows of Snakemake or of the configuration file: functions take plain arguments.
"""
