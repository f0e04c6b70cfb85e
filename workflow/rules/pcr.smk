"""Instrument exports of PCR plates -> results in copies/ug, copies/cell and copies/uL blood.

INPUTS:
    data/...                 files of the files sheet whose reader is pcr_plate
    mappings/*.yaml          their assay files; plate maps and stored curves that they name
    sheets/extractions.tsv   mass of DNA, volumes and white-cell counts

OUTPUTS:
    <results>/pcr/plate/{file_id}.*.parquet   one plate: wells, curves, samples, droplets, findings
    <results>/pcr/limits/{limits}.json        LOB, LOD and LLOQ from dilution series
    <results>/pcr/results.parquet             results of all plates, for assemble_measurements
    <results>/pcr/*.parquet                   the evidence of all plates

One job quantifies one plate and knows of no other sample data, so that an
extraction sheet that grows every day reruns the join over plates and no plate.
"""

PLATES = PLAN.plates
PLATE_TABLES = ["wells", "curves", "samples", "droplets", "qc"]


wildcard_constraints:
    limits=one_of(PLAN.limits),


rule estimate_detection_limits:
    """Dilution series and blanks -> limit of blank, of detection and of quantification."""
    input:
        script=script("pcr/estimate_detection_limits.py"),
        dilutions=lambda wildcards: ancient(PLAN.limits[wildcards.limits].dilutions),
        blanks=lambda wildcards: ancient(existing(PLAN.limits[wildcards.limits].blanks)),
    output:
        "<results>/pcr/limits/{limits}.json",
    log:
        "<logs>/pcr/estimate_detection_limits/{limits}.log",
    benchmark:
        "<benchmarks>/pcr/estimate_detection_limits/{limits}.tsv"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(10),
    params:
        code=sources("pcr/estimate_detection_limits.py"),
        sha256=lambda wildcards: PLAN.limits[wildcards.limits].sha256,
        settings=settings("pcr.detection_limits", "pcr.confidence"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --dilutions {input.dilutions:q} \
            --blanks {input.blanks:q} \
            --name {wildcards.limits:q} \
            --settings {params.settings:q} \
            --output {output:q}
        """


rule quantify_plate:
    """One plate as the instrument exported it -> wells, curves and samples in copies per reaction."""
    input:
        script=script("pcr/quantify_plate.py"),
        raw=lambda wildcards: ancient(PLATES[wildcards.file_id].path),
        assay=lambda wildcards: PLATES[wildcards.file_id].mapping,
        plate_map=lambda wildcards: ancient(
            existing(PLATES[wildcards.file_id].plate_map)
        ),
        amplitudes=lambda wildcards: ancient(list(PLATES[wildcards.file_id].amplitudes)),
        stored=lambda wildcards: ancient(list(PLATES[wildcards.file_id].curves)),
    output:
        wells="<results>/pcr/plate/{file_id}.wells.parquet",
        curves="<results>/pcr/plate/{file_id}.curves.parquet",
        samples="<results>/pcr/plate/{file_id}.samples.parquet",
        droplets="<results>/pcr/plate/{file_id}.droplets.parquet",
        qc="<results>/pcr/plate/{file_id}.qc.parquet",
    log:
        "<logs>/pcr/quantify_plate/{file_id}.log",
    benchmark:
        "<benchmarks>/pcr/quantify_plate/{file_id}.tsv"
    resources:
        mem_mb=memory(1000, per_input_mb=60),
        runtime=minutes(10),
    params:
        code=sources("pcr/quantify_plate.py"),
        sha256=lambda wildcards: PLATES[wildcards.file_id].sha256,
        beside=lambda wildcards: PLATES[wildcards.file_id].extra_sha256,
        settings=settings(
            "pcr.confidence",
            "pcr.digital_interval",
            "pcr.subtract_blank",
            "pcr.acceptance",
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --file-id {wildcards.file_id:q} \
            --path {input.raw:q} \
            --mapping {input.assay:q} \
            --sha256 {params.sha256:q} \
            --plate-map {input.plate_map:q} \
            --amplitudes {input.amplitudes:q} \
            --curve {input.stored:q} \
            --settings {params.settings:q} \
            --wells {output.wells:q} \
            --curves {output.curves:q} \
            --samples {output.samples:q} \
            --droplets {output.droplets:q} \
            --qc {output.qc:q}
        """


rule assemble_plates:
    """All plates -> results in every unit, limits applied; control charts and the repeat list."""
    input:
        script=script("pcr/assemble_plates.py"),
        plates=collect(
            "<results>/pcr/plate/{file_id}.{table}.parquet",
            file_id=PLATES,
            table=PLATE_TABLES,
        ),
        assays=sorted({plate.mapping for plate in PLATES.values()}),
        extractions=ancient(existing(PLAN.config.sheets.extractions)),
        # The compartment of a sample_id. Where subjects come from the tables there is no samples
        # table yet, and the assay file has to name it.
        samples_sheet=(
            "<results>/intake/samples.parquet"
            if "samples" in PLAN.sheet_paths and not PLAN.subjects_from_tables
            else []
        ),
        limits=collect("<results>/pcr/limits/{name}.json", name=PLAN.limits),
    output:
        results="<results>/pcr/results.parquet",
        samples="<results>/pcr/samples.parquet",
        wells="<results>/pcr/wells.parquet",
        curves="<results>/pcr/curves.parquet",
        droplets="<results>/pcr/droplets.parquet",
        controls="<results>/pcr/controls.parquet",
        qc="<results>/pcr/qc.parquet",
    log:
        "<logs>/pcr/assemble_plates.log",
    benchmark:
        "<benchmarks>/pcr/assemble_plates.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        code=sources("pcr/assemble_plates.py"),
        # Ids and one folder, not every file: a command line ends at 128 kB.
        plates=list(PLATES),
        assays=[plate.mapping for plate in PLATES.values()],
        folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output.results), "plate"
        ),
        digest=PLAN.extractions_digest,
        settings=settings("pcr"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --plates {params.plates:q} \
            --assays {params.assays:q} \
            --folder {params.folder:q} \
            --extractions {input.extractions:q} \
            --samples-sheet {input.samples_sheet:q} \
            --limits {input.limits:q} \
            --settings {params.settings:q} \
            --results {output.results:q} \
            --samples {output.samples:q} \
            --wells {output.wells:q} \
            --curves {output.curves:q} \
            --droplets {output.droplets:q} \
            --controls {output.controls:q} \
            --qc {output.qc:q}
        """
