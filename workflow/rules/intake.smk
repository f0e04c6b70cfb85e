"""Laboratory files and sheets -> checked measurements on the clock of the infusion.

INPUTS:
    sheets/*.tsv, mappings/*.yaml, data/...

OUTPUTS:
    <results>/intake/{subjects,infusions,samples,events}.parquet   sheets without dates
    <results>/intake/laboratory_table/{file_id}.parquet     one file, read
    <results>/intake/measurements.parquet                   where every assay ends
    <results>/intake/qc.parquet                             every finding
    <results>/intake/inbox.parquet                          what came of the files in the inboxes, where there are some

One job reads one file. Raw files and sheets are `ancient` and known by content:
their hash is a param, so that a touched file does nothing and a changed file
with an old date is noticed.
"""

# Where results come from: laboratory tables one by one; plates, tubes, libraries and clones all together.
RESULTS = collect(
    "<results>/intake/laboratory_table/{file_id}.parquet", file_id=PLAN.tables
)
FINDINGS = collect(
    "<results>/intake/laboratory_table/{file_id}.qc.parquet", file_id=PLAN.tables
)
if PLAN.plates:
    RESULTS.append("<results>/pcr/results.parquet")
    FINDINGS.append("<results>/pcr/qc.parquet")
if PLAN.tubes:
    RESULTS.append("<results>/flow/results.parquet")
    FINDINGS.append("<results>/flow/qc.parquet")
if PLAN.immunoassays:
    RESULTS.append("<results>/immunoassay/results.parquet")
    FINDINGS.append("<results>/immunoassay/qc.parquet")
if PLAN.libraries:
    RESULTS.append("<results>/cells/results.parquet")
    FINDINGS.append("<results>/cells/qc.parquet")
if not PLAN.repertoire.empty:
    RESULTS.append("<results>/repertoire/results.parquet")
    FINDINGS.append("<results>/repertoire/qc.parquet")


rule check_sheets:
    """Sheets -> subjects, infusions, samples and events in days; calendar dates end here."""
    input:
        script=script("intake/check_sheets.py"),
        sheets=ancient(list(PLAN.sheet_paths.values())),
        # Without sheets of subjects and infusions they are those of the tables.
        results=RESULTS if PLAN.subjects_from_tables else [],
    output:
        subjects="<results>/intake/subjects.parquet",
        infusions="<results>/intake/infusions.parquet",
        samples="<results>/intake/samples.parquet",
        events="<results>/intake/events.parquet",
        observations="<results>/intake/observations.parquet",
    log:
        "<logs>/intake/check_sheets.log",
    benchmark:
        "<benchmarks>/intake/check_sheets.tsv"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=sources("intake/check_sheets.py"),
        digest=PLAN.sheets_digest,
        settings=settings("sheets", "single_infusion", "visits"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --settings {params.settings:q} \
            --results {input.results:q} \
            --subjects {output.subjects:q} \
            --infusions {output.infusions:q} \
            --samples {output.samples:q} \
            --events {output.events:q} \
            --observations {output.observations:q}
        """


rule read_laboratory_table:
    """One laboratory table -> its results, cell by cell, and what was odd in it."""
    input:
        script=script("intake/read_laboratory_table.py"),
        raw=lambda wildcards: ancient(PLAN.files[wildcards.file_id].path),
        mapping=lambda wildcards: PLAN.files[wildcards.file_id].mapping,
    output:
        results="<results>/intake/laboratory_table/{file_id}.parquet",
        qc="<results>/intake/laboratory_table/{file_id}.qc.parquet",
    log:
        "<logs>/intake/read_laboratory_table/{file_id}.log",
    benchmark:
        "<benchmarks>/intake/read_laboratory_table/{file_id}.tsv"
    resources:
        mem_mb=memory(1000, per_input_mb=60),
        runtime=minutes(10),
    params:
        code=sources("intake/read_laboratory_table.py"),
        sha256=lambda wildcards: PLAN.files[wildcards.file_id].sha256,
        clock=lambda wildcards: PLAN.files[wildcards.file_id].clock_digest,
        # Only a table with dates needs the sheets.
        settings=lambda wildcards: (
            settings("sheets", "single_infusion", "visits")
            if PLAN.files[wildcards.file_id].clock_digest
            else "{}"
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --file-id {wildcards.file_id:q} \
            --path {input.raw:q} \
            --mapping {input.mapping:q} \
            --sha256 {params.sha256:q} \
            --settings {params.settings:q} \
            --output {output.results:q} \
            --qc {output.qc:q}
        """


rule assemble_measurements:
    """All results -> measurements, each on the clock of its infusion, and the checks across files."""
    input:
        script=script("intake/assemble_measurements.py"),
        subjects="<results>/intake/subjects.parquet",
        infusions="<results>/intake/infusions.parquet",
        samples="<results>/intake/samples.parquet",
        results=RESULTS,
        qc=FINDINGS,
    output:
        measurements="<results>/intake/measurements.parquet",
        qc="<results>/intake/qc.parquet",
    log:
        "<logs>/intake/assemble_measurements.log",
    benchmark:
        "<benchmarks>/intake/assemble_measurements.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        code=sources("intake/assemble_measurements.py"),
        settings=settings(
            "sheets",
            "single_infusion",
            "visits",
            "plausibility",
            "kinetics.post_infusion_visits",
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --subjects {input.subjects:q} \
            --infusions {input.infusions:q} \
            --samples {input.samples:q} \
            --results {input.results:q} \
            --results-qc {input.qc:q} \
            --settings {params.settings:q} \
            --output {output.measurements:q} \
            --qc {output.qc:q}
        """


# No param, which would list the inbox anew after any change of a setting: what the list rests on is in its digest.
# Not settings(): those leave the inbox out.
WHOLE_CONFIGURATION = PLAN.config.model_dump_json()


rule list_inbox:
    """What the laboratories left in their inboxes: what is used, what is not, and why."""
    input:
        script=script("intake/list_inbox.py"),
    output:
        "<results>/intake/inbox.parquet",
    log:
        "<logs>/intake/list_inbox.log",
    benchmark:
        "<benchmarks>/intake/list_inbox.tsv"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=sources("intake/list_inbox.py"),
        digest=PLAN.inbox.digest,
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --settings {WHOLE_CONFIGURATION:q} \
            --digest {params.digest:q} \
            --output {output:q}
        """


INBOX = ["<results>/intake/inbox.parquet"] if PLAN.inbox.rows else []
