"""Metrics of all subjects -> cohort tables.

INPUTS:
    <results>/kinetics/metrics.parquet
    <results>/intake/subjects.parquet

OUTPUTS:
    <results>/cohort/summary.parquet    one metric over all subjects
    <results>/cohort/survival.parquet   Kaplan-Meier and Turnbull curves
"""


rule summarise_cohort:
    """N, reasons, means and medians of every metric; curves of the times to an event."""
    input:
        script=script("cohort/summarise_cohort.py"),
        code=sources("cohort/summarise_cohort.py"),
        metrics="<results>/kinetics/metrics.parquet",
        subjects="<results>/intake/subjects.parquet",
    output:
        summary="<results>/cohort/summary.parquet",
        survival="<results>/cohort/survival.parquet",
    log:
        "<logs>/cohort/summarise_cohort.log",
    benchmark:
        "<benchmarks>/cohort/summarise_cohort.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        settings=settings("cohort"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --metrics {input.metrics:q} \
            --subjects {input.subjects:q} \
            --settings {params.settings:q} \
            --summary {output.summary:q} \
            --survival {output.survival:q}
        """
