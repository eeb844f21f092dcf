"""Stage 2: from a stage-1 image and predicted CLIP features to a reconstruction.

* ``settings``: the settings of a run (needs no torch)
* ``sampling``: the scheduler that they and a model's own configuration ask for
* ``backbone``: what the loop needs of a latent diffusion model; encoding and decoding of images
* ``stable_diffusion``, ``versatile_diffusion``: the two backbones, loaded from diffusers folders
* ``loop``: latent image-to-image reconstruction, the same for every backbone and sampler
* ``samples``: mean, uncertainty and choice among several samples of an image
"""
