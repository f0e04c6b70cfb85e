"""Measurements -> how far and how fast antibodies declined.

INPUTS:
    <results>/intake/measurements.parquet
    <results>/intake/infusions.parquet
    <results>/intake/subjects.parquet             for the means of each cohort

OUTPUTS:
    <results>/antibody/metrics.parquet
    <results>/antibody/qc.parquet                 changes of the starting dilution, other dilution steps
    <results>/antibody/population_decay.parquet   one decay over all subjects
    <results>/antibody/means.parquet              mean level and change at each visit
"""


rule compute_antibody:
    """Fall, seronegativity and half-life of every antibody course, or the reason why there is none."""
    input:
        script=script("antibody/compute_antibody.py"),
        measurements="<results>/intake/measurements.parquet",
        infusions="<results>/intake/infusions.parquet",
    output:
        metrics="<results>/antibody/metrics.parquet",
        qc="<results>/antibody/qc.parquet",
    log:
        "<logs>/antibody/compute_antibody.log",
    benchmark:
        "<benchmarks>/antibody/compute_antibody.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(30),
    params:
        code=sources("antibody/compute_antibody.py"),
        settings=settings("antibody"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --infusions {input.infusions:q} \
            --settings {params.settings:q} \
            --metrics {output.metrics:q} \
            --qc {output.qc:q}
        """


rule fit_population_decay:
    """One mixed-effects decay over all subjects, results below a limit as left-censored."""
    input:
        script=script("antibody/fit_population_decay.py"),
        measurements="<results>/intake/measurements.parquet",
    output:
        models="<results>/antibody/population_decay.parquet",
    log:
        "<logs>/antibody/fit_population_decay.log",
    benchmark:
        "<benchmarks>/antibody/fit_population_decay.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(60),
    params:
        code=sources("antibody/fit_population_decay.py"),
        settings=settings("antibody"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --settings {params.settings:q} \
            --output {output.models:q}
        """


rule estimate_titre_means:
    """Mean level and change of every antibody at every visit, with results as intervals."""
    input:
        script=script("antibody/estimate_titre_means.py"),
        measurements="<results>/intake/measurements.parquet",
        infusions="<results>/intake/infusions.parquet",
        subjects="<results>/intake/subjects.parquet",
    output:
        means="<results>/antibody/means.parquet",
    log:
        "<logs>/antibody/estimate_titre_means.log",
    benchmark:
        "<benchmarks>/antibody/estimate_titre_means.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(60),
    params:
        code=sources("antibody/estimate_titre_means.py"),
        settings=settings("antibody", "visits", "cohort.by_cohort"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --infusions {input.infusions:q} \
            --subjects {input.subjects:q} \
            --settings {params.settings:q} \
            --output {output.means:q}
        """
