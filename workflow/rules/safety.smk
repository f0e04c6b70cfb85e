"""Bedside observations and blood counts -> toxicity grades by day, and the highest of each.

INPUTS:
    <results>/intake/{measurements,observations,subjects,infusions,events}.parquet
    resources/safety/*.yaml   tables of thresholds, with their sources

OUTPUTS:
    <results>/safety/grades.parquet     one term of one subject on one day
    <results>/safety/toxicity.parquet   the highest grade, with onset and duration
    <results>/safety/metrics.parquet    recovery of blood counts, days below thresholds
    <results>/safety/qc.parquet         where clinicians and thresholds disagree
    <results>/safety/summary.parquet    the safety table: each term over all subjects
"""


rule grade_toxicity:
    """CRS, ICANS, ICAHT and haematology grades of every subject and day."""
    input:
        script=script("safety/grade_toxicity.py"),
        standards=resources("safety/*.yaml"),
        measurements="<results>/intake/measurements.parquet",
        observations="<results>/intake/observations.parquet",
        infusions="<results>/intake/infusions.parquet",
        events="<results>/intake/events.parquet",
    output:
        grades="<results>/safety/grades.parquet",
        toxicity="<results>/safety/toxicity.parquet",
        metrics="<results>/safety/metrics.parquet",
        qc="<results>/safety/qc.parquet",
    log:
        "<logs>/safety/grade_toxicity.log",
    benchmark:
        "<benchmarks>/safety/grade_toxicity.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        code=sources("safety/grade_toxicity.py"),
        settings=settings("safety"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --observations {input.observations:q} \
            --infusions {input.infusions:q} \
            --events {input.events:q} \
            --standards {input.standards:q} \
            --settings {params.settings:q} \
            --grades {output.grades:q} \
            --toxicity {output.toxicity:q} \
            --metrics {output.metrics:q} \
            --qc {output.qc:q}
        """


rule summarise_safety:
    """The safety table of a trial report: each term by its highest grade."""
    input:
        script=script("safety/summarise_safety.py"),
        standards=resources("safety/*.yaml"),
        toxicity="<results>/safety/toxicity.parquet",
        grades="<results>/safety/grades.parquet",
        observations="<results>/intake/observations.parquet",
        events="<results>/intake/events.parquet",
        infusions="<results>/intake/infusions.parquet",
        subjects="<results>/intake/subjects.parquet",
    output:
        summary="<results>/safety/summary.parquet",
    log:
        "<logs>/safety/summarise_safety.log",
    benchmark:
        "<benchmarks>/safety/summarise_safety.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        code=sources("safety/summarise_safety.py"),
        settings=settings("safety", "cohort"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --toxicity {input.toxicity:q} \
            --grades {input.grades:q} \
            --observations {input.observations:q} \
            --events {input.events:q} \
            --infusions {input.infusions:q} \
            --subjects {input.subjects:q} \
            --standards {input.standards:q} \
            --settings {params.settings:q} \
            --output {output.summary:q}
        """
