"""Metrics of all subjects -> cohort tables.

INPUTS:
    <results>/{kinetics,depletion,antibody}/metrics.parquet
    <results>/{intake,antibody}/qc.parquet
    <results>/intake/{subjects,infusions,events}.parquet

OUTPUTS:
    <results>/cohort/metrics.parquet           the metrics of all stages
    <results>/cohort/qc.parquet                the findings of all stages
    <results>/cohort/summary.parquet           one metric over all subjects
    <results>/cohort/survival.parquet          Kaplan-Meier and Turnbull curves
    <results>/cohort/characteristics.parquet   Table 1
    <results>/cohort/associations.parquet      does one number go with another
"""


rule assemble_metrics:
    """The metrics and the findings of all stages, each in one table."""
    input:
        script=script("cohort/assemble_metrics.py"),
        code=sources("cohort/assemble_metrics.py"),
        metrics=[
            "<results>/kinetics/metrics.parquet",
            "<results>/depletion/metrics.parquet",
            "<results>/antibody/metrics.parquet",
            "<results>/safety/metrics.parquet",
            "<results>/efficacy/metrics.parquet",
        ],
        qc=[
            "<results>/intake/qc.parquet",
            "<results>/antibody/qc.parquet",
            "<results>/safety/qc.parquet",
        ],
    output:
        metrics="<results>/cohort/metrics.parquet",
        qc="<results>/cohort/qc.parquet",
    log:
        "<logs>/cohort/assemble_metrics.log",
    benchmark:
        "<benchmarks>/cohort/assemble_metrics.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --metrics {input.metrics:q} \
            --qc {input.qc:q} \
            --output-metrics {output.metrics:q} \
            --output-qc {output.qc:q}
        """


rule summarise_cohort:
    """N, reasons, means and medians of every metric; curves of the times to an event."""
    input:
        script=script("cohort/summarise_cohort.py"),
        code=sources("cohort/summarise_cohort.py"),
        metrics="<results>/cohort/metrics.parquet",
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


rule describe_subjects:
    """Table 1: who the subjects are and what they received."""
    input:
        script=script("cohort/describe_subjects.py"),
        code=sources("cohort/describe_subjects.py"),
        subjects="<results>/intake/subjects.parquet",
        infusions="<results>/intake/infusions.parquet",
    output:
        characteristics="<results>/cohort/characteristics.parquet",
    log:
        "<logs>/cohort/describe_subjects.log",
    benchmark:
        "<benchmarks>/cohort/describe_subjects.tsv"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        settings=settings("cohort"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --subjects {input.subjects:q} \
            --infusions {input.infusions:q} \
            --settings {params.settings:q} \
            --output {output.characteristics:q}
        """


rule associate:
    """Expansion against depletion, antibody fall, response and relapse: rank tests with n."""
    input:
        script=script("cohort/associate.py"),
        code=sources("cohort/associate.py"),
        metrics="<results>/cohort/metrics.parquet",
        subjects="<results>/intake/subjects.parquet",
        events="<results>/intake/events.parquet",
    output:
        associations="<results>/cohort/associations.parquet",
    log:
        "<logs>/cohort/associate.log",
    benchmark:
        "<benchmarks>/cohort/associate.tsv"
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
            --events {input.events:q} \
            --settings {params.settings:q} \
            --output {output.associations:q}
        """
