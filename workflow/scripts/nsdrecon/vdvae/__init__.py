"""The very deep VAE (Child 2021): latents of seen images, and stage-1 images from latents.

* ``config``: what a checkpoint holds; block strings, shapes of the latents (needs no torch)
* ``model``: the network, with the parameter names of the published checkpoints
* ``checkpoint``: strict loading of ``.th`` and safetensors files
* ``mixture``: the discretised mixture of logistics at the output
* ``preprocessing``: from stimuli to the network's input
* ``latents``: extraction of the first layers' latents
* ``decoding``: images from latents
"""
