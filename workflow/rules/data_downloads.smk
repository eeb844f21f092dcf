# Files of the data set out of its bucket; beside each lies its record, from which the manifest is made.
#
# Downloads are local rules: compute nodes need no internet. Their parameters are not tracked, since
# neither the code nor the server that fetched a verified file changes its bytes. What is there already
# is not removed before the job (update), which keeps it if it is whole: a kill may have come between a
# file's name and Snakemake's note of it, or a person has put the file there.


rule download_nsd:
    """One file of the data set, by its key in the bucket."""
    output:
        file=update(DATA.path("{key}")),
        record=DATA.path("{key}.record.tsv"),
    log:
        "<logs>/download_nsd/{key}.log",
    wildcard_constraints:
        key=r"nsddata(?!.*/betas_session\d\d\.).+\.(mat|csv|hdf5|nii\.gz)",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    params:
        cfg=untracked(settings("nsd.s3", "nsd.terms_accepted")),
    script:
        "../scripts/download_nsd.py"


use rule download_nsd as download_session with:
    output:
        file=update(raw(DATA.path("{key}"))),
        record=DATA.path("{key}.record.tsv"),
    wildcard_constraints:
        key=r"nsddata_betas.+/betas_session\d\d\.(hdf5|nii\.gz)",
    localrule: True
