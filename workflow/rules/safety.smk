"""Bedside observations and blood counts -> toxicity grades by day, and the highest of each.

INPUTS:
    <results>/intake/{measurements,observations,infusions,events}.parquet
    resources/safety/*.yaml   tables of thresholds, with their sources

OUTPUTS:
    <results>/safety/grades.parquet     one term of one subject on one day
    <results>/safety/toxicity.parquet   the highest grade, with onset and duration
    <results>/safety/metrics.parquet    recovery of blood counts, days below thresholds
    <results>/safety/qc.parquet         where clinicians and thresholds disagree
"""


rule grade_toxicity:
    """CRS, ICANS, ICAHT and haematology grades of every subject and day."""
    input:
        script=script("safety/grade_toxicity.py"),
        code=sources("safety/grade_toxicity.py"),
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
