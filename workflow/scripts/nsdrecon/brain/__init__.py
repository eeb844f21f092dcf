"""What the brain tells: which voxels and regions carry which features of the images.

* ``features``: training latents of a feature space as products of images
* ``maps``: importance, encoding accuracy and noise ceiling of every voxel, as NIfTI volumes
* ``surfaces``: maps on cortical surfaces
* ``dimensions``: feature spaces decoded from the first few dimensions of the brain
* ``region_decoding``: feature spaces decoded from each region alone, and without it
* ``patterns``: synthetic responses in which one region alone is active
* ``encoding``: responses of voxels predicted from features of a picture
* ``correlation``: responses that reconstructions predict, against the measured ones

Whatever is fitted or chosen is so on training images, left out one at a time in closed form
(`nsdrecon.ridge.dual`).
"""
