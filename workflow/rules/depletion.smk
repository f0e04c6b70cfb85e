"""Measurements -> how deep and how long B-lineage cells and immunoglobulins were gone.

INPUTS:
    <results>/intake/measurements.parquet
    <results>/intake/infusions.parquet
    <results>/intake/events.parquet      immunoglobulin doses mask IgG

OUTPUTS:
    <results>/depletion/metrics.parquet
    <results>/depletion/episodes.parquet  start and end of each, as intervals
"""


rule compute_depletion:
    """Depth, duration and reconstitution of every course, or the reason why there is none."""
    input:
        script=script("depletion/compute_depletion.py"),
        measurements="<results>/intake/measurements.parquet",
        infusions="<results>/intake/infusions.parquet",
        events="<results>/intake/events.parquet",
    output:
        metrics="<results>/depletion/metrics.parquet",
        episodes="<results>/depletion/episodes.parquet",
    log:
        "<logs>/depletion/compute_depletion.log",
    benchmark:
        "<benchmarks>/depletion/compute_depletion.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(30),
    params:
        code=sources("depletion/compute_depletion.py"),
        settings=settings("depletion"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --infusions {input.infusions:q} \
            --events {input.events:q} \
            --settings {params.settings:q} \
            --metrics {output.metrics:q} \
            --episodes {output.episodes:q}
        """
