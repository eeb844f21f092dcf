"""What the brain tells: which voxels and regions carry which features of the images.

* ``features``: training latents of a feature space as products of images
* ``maps``: importance, encoding accuracy and noise ceiling of every voxel, as NIfTI volumes

Every number is of training images alone, left out one at a time in closed form
(`nsdrecon.ridge.dual`), so that no analysis of a brain asks anything of the test set.
"""
