# Captions of the real data set's images.


rule coco_captions:
    """Captions of all stimuli from COCO's annotations."""
    input:
        stimulus_table=DATA.stimulus_table,
        annotations=COCO_ANNOTATIONS,
    output:
        COCO_CAPTIONS,
    log:
        "<logs>/coco_captions.log",
    localrule: True
    conda:
        "../envs/nsdrecon.yaml"
    params:
        code=code("coco_captions"),
        inputs=[DATA.stimulus_table],
    script:
        "../scripts/coco_captions.py"
