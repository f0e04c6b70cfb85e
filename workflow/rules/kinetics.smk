"""Measurements -> expansion, decline and persistence of the CAR-T cells.

INPUTS:
    <results>/intake/measurements.parquet
    <results>/intake/infusions.parquet

OUTPUTS:
    <results>/kinetics/metrics.parquet

All courses of all subjects run in one vectorised job.
"""


rule compute_kinetics:
    """Every registered kinetic metric of every course, or the reason why there is none."""
    input:
        script=script("kinetics/compute_kinetics.py"),
        measurements="<results>/intake/measurements.parquet",
        infusions="<results>/intake/infusions.parquet",
    output:
        metrics="<results>/kinetics/metrics.parquet",
    log:
        "<logs>/kinetics/compute_kinetics.log",
    benchmark:
        "<benchmarks>/kinetics/compute_kinetics.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(30),
    params:
        code=sources("kinetics/compute_kinetics.py"),
        settings=settings("kinetics"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --infusions {input.infusions:q} \
            --settings {params.settings:q} \
            --output {output.metrics:q}
        """
