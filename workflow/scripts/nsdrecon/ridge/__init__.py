"""Ridge regression from voxels to latents, in the dual: one Gram matrix, many targets, any alpha.

* ``dual``: the mathematics, on tensors: Gram matrix, closed-form leave-one-out, choice of alpha
* ``responses``: standardised responses, block of voxels by block of voxels; the Gram matrix's file
* ``targets``: training latents, block of targets by block of targets; their scores
* ``fitting``: files in, weights out
* ``decoding``: latents of new responses from a weights file alone
* ``scores``: the table of leave-one-out scores

Latents of new responses (n_images, n_voxels), in the units and the voxel order of the betas files::

    from nsdrecon.ridge.decoding import decode

    latents = decode("results/nsd/subj01/weights/vdvae.h5", betas)

A weights file holds, besides ``weights`` (n_voxels, n_targets) float32 for standardised voxels:

=====================  ==========================================================================
``intercept``          (n_targets,) mean of the training target: voxels have mean 0
``voxel_mean``,        (n_voxels,) mean and standard deviation (ddof 1) over the training images;
``voxel_std``          0 marks a voxel that does not vary and takes no part
``voxel``, ``affine``  coordinates of the voxels (`nsdrecon.data.volumes.Voxels`)
``nsd_id``             (n_train,) training images
``alpha``              (n_targets,) ridge penalty
``alpha_grid``,        (n_alphas,) penalties to choose from, and the leave-one-out squared error of
``alpha_loo_mse``      each, a mean over images and targets; only if alpha was chosen
``loo_r2``,            (n_targets,) scores of the leave-one-out predictions of the training images;
``loo_correlation``    not a number for a constant target
``loo_mean``,          (n_targets,) mean and standard deviation (ddof 0) of these predictions
``loo_std``
``target_std``         (n_targets,) standard deviation (ddof 0) of the target; 0 if constant
=====================  ==========================================================================

Attributes: ``feature`` and ``shape`` of one image's latents, ``subject``, ``units`` of the betas,
``alpha_choice`` (``fixed``, ``loo``, ``loo per target``).

Leave-one-out leaves out an image's response and latents; the voxels' mean and standard deviation
are preprocessing that has seen all training images. Without signal, the leave-one-out correlation
is below 0, not 0: the mean of the other images moves against the image left out.
"""
