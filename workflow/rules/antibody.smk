"""Measurements -> how far and how fast antibodies declined.

INPUTS:
    <results>/intake/measurements.parquet
    <results>/intake/infusions.parquet

OUTPUTS:
    <results>/antibody/metrics.parquet
    <results>/antibody/qc.parquet                 changes of the starting dilution
    <results>/antibody/population_decay.parquet   one decay over all subjects
"""


rule compute_antibody:
    """Fall, seronegativity and half-life of every antibody course, or the reason why there is none."""
    input:
        script=script("antibody/compute_antibody.py"),
        code=sources("antibody/compute_antibody.py"),
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
        code=sources("antibody/fit_population_decay.py"),
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
        settings=settings("antibody"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --settings {params.settings:q} \
            --output {output.models:q}
        """
