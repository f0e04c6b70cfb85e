"""Scores of the disease -> change from baseline, best, sustained improvement.

INPUTS:
    <results>/intake/{measurements,infusions}.parquet

OUTPUTS:
    <results>/efficacy/metrics.parquet
"""


rule compute_efficacy:
    """Change of every score from its baseline."""
    input:
        script=script("efficacy/compute_efficacy.py"),
        measurements="<results>/intake/measurements.parquet",
        infusions="<results>/intake/infusions.parquet",
    output:
        "<results>/efficacy/metrics.parquet",
    log:
        "<logs>/efficacy/compute_efficacy.log",
    benchmark:
        "<benchmarks>/efficacy/compute_efficacy.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        code=sources("efficacy/compute_efficacy.py"),
        settings=settings("efficacy"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --infusions {input.infusions:q} \
            --settings {params.settings:q} \
            --metrics {output:q}
        """
