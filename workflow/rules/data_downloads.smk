# Files of the data set out of its bucket; beside each lies its record, from which the manifest is made.
#
# Downloads are local rules: compute nodes need no internet. Their parameters are not tracked, since
# neither the code nor the server that fetched a verified file changes its bytes. What is there already
# is not removed before the job (update), which keeps it if it is whole: a kill may have come between a
# file's name and Snakemake's note of it, or a person has put the file there.


rule download_file:
    """One file of the data set, by its key in the bucket."""
    output:
        file=update(f"{DATA.root}/{{key}}"),
        record=f"{DATA.root}/{{key}}.record.tsv",
    log:
        "<logs>/download_file/{key}.log",
    wildcard_constraints:
        key=DATA.keys[0],
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    resources:
        download=1,
    params:
        server=untracked(DATA.server),
    script:
        "../scripts/download_file.py"


use rule download_file as download_session with:
    output:
        file=update(raw(f"{DATA.root}/{{key}}")),
        record=f"{DATA.root}/{{key}}.record.tsv",
    wildcard_constraints:
        key=DATA.keys[1],
    localrule: True
