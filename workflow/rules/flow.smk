"""FCS files of flow tubes -> gated populations in % and cells/uL, with limits of detection.

INPUTS:
    data/...                  files of the files sheet whose reader is fcs_tube
    mappings/*.yaml           their panel files; drawn gates and compensation that they name
    sheets/tubes.tsv          what each tube is: sample or control, batch, beads, volumes, blood counts
    sheets/gate_review.tsv    what a reviewer said of the gates

OUTPUTS:
    <results>/flow/tube/{file_id}.*.parquet   one tube: gates, thresholds, background, pictures, findings
    <results>/flow/tube/{file_id}.gates.xml   its gate set as Gating-ML 2.0
    <results>/flow/results.parquet            results of all tubes, for assemble_measurements
    <results>/flow/*.parquet                  the evidence of all tubes

One job gates one tube, together with the controls that set its thresholds. Volumes,
blood counts, batches and reviews belong to the join: they rerun no tube.
"""

TUBES = PLAN.tubes
TUBE_TABLES = [
    "tubes",
    "gates",
    "thresholds",
    "background",
    "acquisition",
    "plots",
    "qc",
]


rule gate_tube:
    """One tube and its controls -> events of every gate, how each gate was set, and its picture."""
    input:
        script=script("flow/gate_tube.py"),
        raw=lambda wildcards: ancient(TUBES[wildcards.file_id].path),
        panel=lambda wildcards: TUBES[wildcards.file_id].mapping,
        controls=lambda wildcards: ancient(
            [TUBES[control].path for control in TUBES[wildcards.file_id].controls]
        ),
        drawn=lambda wildcards: ancient(existing(TUBES[wildcards.file_id].gate_file)),
        compensation=lambda wildcards: ancient(
            existing(TUBES[wildcards.file_id].compensation)
        ),
    output:
        tubes="<results>/flow/tube/{file_id}.tubes.parquet",
        gates="<results>/flow/tube/{file_id}.gates.parquet",
        thresholds="<results>/flow/tube/{file_id}.thresholds.parquet",
        background="<results>/flow/tube/{file_id}.background.parquet",
        acquisition="<results>/flow/tube/{file_id}.acquisition.parquet",
        plots="<results>/flow/tube/{file_id}.plots.parquet",
        qc="<results>/flow/tube/{file_id}.qc.parquet",
        gating_ml="<results>/flow/tube/{file_id}.gates.xml",
    log:
        "<logs>/flow/gate_tube/{file_id}.log",
    benchmark:
        "<benchmarks>/flow/gate_tube/{file_id}.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=3),
        runtime=minutes(20),
    params:
        code=sources("flow/gate_tube.py"),
        sha256=lambda wildcards: TUBES[wildcards.file_id].sha256,
        beside=lambda wildcards: TUBES[wildcards.file_id].extra_sha256,
        tube=lambda wildcards: TUBES[wildcards.file_id].tube,
        settings=settings(
            "flow.confidence",
            "flow.control_tail_percent",
            "flow.min_tail_events",
            "flow.min_gate_events",
            "flow.slope_fraction",
            "flow.quality",
            "flow.acceptance",
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --file-id {wildcards.file_id:q} \
            --path {input.raw:q} \
            --panel {input.panel:q} \
            --sha256 {params.sha256:q} \
            --tube {params.tube:q} \
            --controls {input.controls:q} \
            --drawn {input.drawn:q} \
            --compensation {input.compensation:q} \
            --settings {params.settings:q} \
            --tubes {output.tubes:q} \
            --gates {output.gates:q} \
            --thresholds {output.thresholds:q} \
            --background {output.background:q} \
            --acquisition {output.acquisition:q} \
            --plots {output.plots:q} \
            --qc {output.qc:q} \
            --gating-ml {output.gating_ml:q}
        """


rule assemble_tubes:
    """All tubes -> percentages and cells/uL with their limits; reviews, background, agreement of counts."""
    input:
        script=script("flow/assemble_tubes.py"),
        tubes=collect(
            "<results>/flow/tube/{file_id}.{table}.parquet",
            file_id=TUBES,
            table=TUBE_TABLES,
        ),
        panels=sorted({tube.mapping for tube in TUBES.values()}),
        tubes_sheet=ancient(existing(PLAN.config.sheets.tubes)),
        review=ancient(existing(PLAN.config.sheets.gate_review)),
        samples_sheet="<results>/intake/samples.parquet",
    output:
        results="<results>/flow/results.parquet",
        tubes="<results>/flow/tubes.parquet",
        gates="<results>/flow/gates.parquet",
        thresholds="<results>/flow/thresholds.parquet",
        background="<results>/flow/background.parquet",
        acquisition="<results>/flow/acquisition.parquet",
        plots="<results>/flow/plots.parquet",
        populations="<results>/flow/populations.parquet",
        qc="<results>/flow/qc.parquet",
    log:
        "<logs>/flow/assemble_tubes.log",
    benchmark:
        "<benchmarks>/flow/assemble_tubes.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=50),
        runtime=minutes(15),
    params:
        code=sources("flow/assemble_tubes.py"),
        # Ids and one folder, not every file: a command line ends at 128 kB.
        tubes=list(TUBES),
        panels=[tube.mapping for tube in TUBES.values()],
        folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output.results), "tube"
        ),
        digest=PLAN.tubes_digest,
        inbox_tubes=list(PLAN.inbox.tubes),
        settings=settings("flow", "kinetics.post_infusion_visits"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --tubes {params.tubes:q} \
            --panels {params.panels:q} \
            --folder {params.folder:q} \
            --tubes-sheet {input.tubes_sheet:q} \
            --inbox-tubes {params.inbox_tubes:q} \
            --review {input.review:q} \
            --samples-sheet {input.samples_sheet:q} \
            --settings {params.settings:q} \
            --results {output.results:q} \
            --tube-table {output.tubes:q} \
            --gates {output.gates:q} \
            --thresholds {output.thresholds:q} \
            --background {output.background:q} \
            --acquisition {output.acquisition:q} \
            --plots {output.plots:q} \
            --populations {output.populations:q} \
            --qc {output.qc:q}
        """
