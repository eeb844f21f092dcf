"""Of several samples of a system, the ones whose predicted responses fit the measured ones best."""

from functools import partial

from nsdrecon.brain.correlation import (
    measured_responses,
    predicted_responses,
    sample_correlations,
    write_best,
)
from nsdrecon.brain.encoding import EncodingModel
from nsdrecon.devices import choose_device
from nsdrecon.extensions import implementation
from nsdrecon.job import job

with job(snakemake):
    files, params, how = snakemake.input, snakemake.params, snakemake.params.how
    device = choose_device(how["device"], snakemake.threads)
    model = EncodingModel.of(files.encoding, files.latents)
    nsd_id, measured = measured_responses(model, files.betas)
    encode = partial(
        implementation(params.encoder),
        folder=params.folder,
        batch_size=how["latents.batch_size"],
        device=device,
        **params.settings,
    )
    predicted = predicted_responses(
        *(model, files.reconstructions, nsd_id, encode),
        device=device,
        block=how["regression.block"],
    )
    agreement = sample_correlations(predicted, measured, model.standardise.std > 0)
    write_best(files.reconstructions, nsd_id, agreement, snakemake.output[0])
