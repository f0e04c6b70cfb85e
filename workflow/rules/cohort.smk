"""Metrics of all subjects -> cohort tables.

INPUTS:
    <results>/{kinetics,depletion,antibody,safety,efficacy,repertoire}/metrics.parquet
    <results>/{intake,antibody}/qc.parquet
    <results>/intake/{subjects,infusions,events}.parquet
    <results>/safety/toxicity.parquet
    resources/safety/*.yaml   labels of adverse events that name a term

OUTPUTS:
    <results>/cohort/metrics.parquet           the metrics of all stages
    <results>/cohort/qc.parquet                the findings of all stages
    <results>/cohort/summary.parquet           one metric over all subjects
    <results>/cohort/survival.parquet          Kaplan-Meier and Turnbull curves
    <results>/cohort/characteristics.parquet   Table 1
    <results>/cohort/associations.parquet      does one number go with another
    <results>/cohort/outcomes.parquet          relapse-free survival, follow-up, relapse rates
    <results>/cohort/outcome_curves.parquet    their curves
    <results>/cohort/outcome_qc.parquet        events that contradict themselves
    <results>/cohort/key_results.parquet       what an abstract prints
"""


rule assemble_metrics:
    """The metrics and the findings of all stages, each in one table."""
    input:
        script=script("cohort/assemble_metrics.py"),
        metrics=[
            "<results>/kinetics/metrics.parquet",
            "<results>/depletion/metrics.parquet",
            "<results>/antibody/metrics.parquet",
            "<results>/safety/metrics.parquet",
            "<results>/efficacy/metrics.parquet",
            *(
                []
                if PLAN.repertoire.empty
                else ["<results>/repertoire/metrics.parquet"]
            ),
        ],
        qc=[
            "<results>/intake/qc.parquet",
            "<results>/antibody/qc.parquet",
            "<results>/safety/qc.parquet",
            "<results>/cohort/outcome_qc.parquet",
            *(["<results>/cells/expression_qc.parquet"] if PLAN.libraries else []),
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
    params:
        code=sources("cohort/assemble_metrics.py"),
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
        code=sources("cohort/summarise_cohort.py"),
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
        code=sources("cohort/describe_subjects.py"),
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
        code=sources("cohort/associate.py"),
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


rule estimate_outcomes:
    """Relapse-free survival, follow-up and relapse rates, from the first infusion."""
    input:
        script=script("cohort/estimate_outcomes.py"),
        subjects="<results>/intake/subjects.parquet",
        infusions="<results>/intake/infusions.parquet",
        events="<results>/intake/events.parquet",
    output:
        outcomes="<results>/cohort/outcomes.parquet",
        curves="<results>/cohort/outcome_curves.parquet",
        qc="<results>/cohort/outcome_qc.parquet",
    log:
        "<logs>/cohort/estimate_outcomes.log",
    benchmark:
        "<benchmarks>/cohort/estimate_outcomes.tsv"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=sources("cohort/estimate_outcomes.py"),
        settings=settings("cohort"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --subjects {input.subjects:q} \
            --infusions {input.infusions:q} \
            --events {input.events:q} \
            --settings {params.settings:q} \
            --outcomes {output.outcomes:q} \
            --curves {output.curves:q} \
            --qc {output.qc:q}
        """


rule collect_key_results:
    """What the abstract of a report prints, each number with the table that it comes from."""
    input:
        script=script("cohort/collect_key_results.py"),
        standards=resources("safety/*.yaml"),
        subjects="<results>/intake/subjects.parquet",
        infusions="<results>/intake/infusions.parquet",
        events="<results>/intake/events.parquet",
        characteristics="<results>/cohort/characteristics.parquet",
        outcomes="<results>/cohort/outcomes.parquet",
        metrics="<results>/cohort/metrics.parquet",
        summary="<results>/cohort/summary.parquet",
        associations="<results>/cohort/associations.parquet",
        toxicity="<results>/safety/toxicity.parquet",
    output:
        "<results>/cohort/key_results.parquet",
    log:
        "<logs>/cohort/collect_key_results.log",
    benchmark:
        "<benchmarks>/cohort/collect_key_results.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        code=sources("cohort/collect_key_results.py"),
        settings=settings("cohort", "kinetics", "efficacy", "antibody"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --standards {input.standards:q} \
            --subjects {input.subjects:q} \
            --infusions {input.infusions:q} \
            --events {input.events:q} \
            --characteristics {input.characteristics:q} \
            --outcomes {input.outcomes:q} \
            --metrics {input.metrics:q} \
            --summary {input.summary:q} \
            --associations {input.associations:q} \
            --toxicity {input.toxicity:q} \
            --settings {params.settings:q} \
            --output {output:q}
        """
