"""Immunoassay plates -> calibrated concentrations, titres and indices.

INPUTS:
    data/...            files of the files sheet whose reader is immunoassay_plate
    mappings/*.yaml     their assay files; layouts that the files sheet names

OUTPUTS:
    <results>/immunoassay/plate/{file_id}.*.parquet   one plate: wells, standards, curves, samples, findings
    <results>/immunoassay/results.parquet             results of all plates, for assemble_measurements
    <results>/immunoassay/*.parquet                   the evidence of all plates

One job calibrates one plate. Control charts, repeats and changes of the starting dilution
are found over all plates, in the join.
"""

IMMUNOASSAYS = PLAN.immunoassays
IMMUNOASSAY_TABLES = ["wells", "standards", "curves", "samples", "qc"]


rule calibrate_plate:
    """One plate as the reader exported it -> curves, and every sample on them."""
    input:
        script=script("immunoassay/calibrate_plate.py"),
        raw=lambda wildcards: ancient(IMMUNOASSAYS[wildcards.file_id].path),
        assay=lambda wildcards: IMMUNOASSAYS[wildcards.file_id].mapping,
        layout=lambda wildcards: ancient(
            existing(IMMUNOASSAYS[wildcards.file_id].plate_map)
        ),
    output:
        wells="<results>/immunoassay/plate/{file_id}.wells.parquet",
        standards="<results>/immunoassay/plate/{file_id}.standards.parquet",
        curves="<results>/immunoassay/plate/{file_id}.curves.parquet",
        samples="<results>/immunoassay/plate/{file_id}.samples.parquet",
        qc="<results>/immunoassay/plate/{file_id}.qc.parquet",
    log:
        "<logs>/immunoassay/calibrate_plate/{file_id}.log",
    benchmark:
        "<benchmarks>/immunoassay/calibrate_plate/{file_id}.tsv"
    resources:
        mem_mb=memory(1000, per_input_mb=60),
        runtime=minutes(10),
    params:
        code=sources("immunoassay/calibrate_plate.py"),
        sha256=lambda wildcards: IMMUNOASSAYS[wildcards.file_id].sha256,
        beside=lambda wildcards: IMMUNOASSAYS[wildcards.file_id].extra_sha256,
        settings=settings(
            "immunoassay.confidence",
            "immunoassay.max_profile_cv_percent",
            "immunoassay.lod_sd",
            "immunoassay.starts",
            "immunoassay.acceptance",
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --file-id {wildcards.file_id:q} \
            --path {input.raw:q} \
            --mapping {input.assay:q} \
            --sha256 {params.sha256:q} \
            --layout {input.layout:q} \
            --settings {params.settings:q} \
            --wells {output.wells:q} \
            --standards {output.standards:q} \
            --curves {output.curves:q} \
            --samples {output.samples:q} \
            --qc {output.qc:q}
        """


rule assemble_immunoassays:
    """All plates -> results, control charts and the repeat list."""
    input:
        script=script("immunoassay/assemble_immunoassays.py"),
        plates=collect(
            "<results>/immunoassay/plate/{file_id}.{table}.parquet",
            file_id=IMMUNOASSAYS,
            table=IMMUNOASSAY_TABLES,
        ),
        assays=sorted({plate.mapping for plate in IMMUNOASSAYS.values()}),
        samples_sheet=(
            "<results>/intake/samples.parquet"
            if "samples" in PLAN.sheet_paths and not PLAN.subjects_from_tables
            else []
        ),
    output:
        results="<results>/immunoassay/results.parquet",
        wells="<results>/immunoassay/wells.parquet",
        standards="<results>/immunoassay/standards.parquet",
        curves="<results>/immunoassay/curves.parquet",
        samples="<results>/immunoassay/samples.parquet",
        controls="<results>/immunoassay/controls.parquet",
        qc="<results>/immunoassay/qc.parquet",
    log:
        "<logs>/immunoassay/assemble_immunoassays.log",
    benchmark:
        "<benchmarks>/immunoassay/assemble_immunoassays.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        code=sources("immunoassay/assemble_immunoassays.py"),
        # Ids and one folder, not every file: a command line ends at 128 kB.
        plates=list(IMMUNOASSAYS),
        assays=[plate.mapping for plate in IMMUNOASSAYS.values()],
        folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output.results), "plate"
        ),
        settings=settings("immunoassay"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --plates {params.plates:q} \
            --assays {params.assays:q} \
            --folder {params.folder:q} \
            --samples-sheet {input.samples_sheet:q} \
            --settings {params.settings:q} \
            --results {output.results:q} \
            --wells {output.wells:q} \
            --standards {output.standards:q} \
            --curves {output.curves:q} \
            --samples {output.samples:q} \
            --controls {output.controls:q} \
            --qc {output.qc:q}
        """
