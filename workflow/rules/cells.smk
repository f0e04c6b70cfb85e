"""Single-cell libraries -> CAR calls, cell types, composition over time.

INPUTS:
    sheets/libraries.tsv      what each library is, where its files are
    data/...                  count matrices, reads (BAM or FASTQ), contigs, metrics of the vendor
    constructs of the configuration (cells.constructs), and what they are compared with

OUTPUTS:
    <results>/cells/construct/{construct}.*   one construct: faults, regions that tell it from endogenous genes
    <results>/cells/reference                 reference that reads are counted on, for FASTQ libraries
    <results>/cells/counted/{library_id}      their counts
    <results>/cells/library/{library_id}.*    one library: counts (h5ad, written once), cells, types, CAR molecules, calls
    <results>/cells/*.parquet                 all libraries; results.parquet goes to assemble_measurements
    <results>/cells/cells.h5ad                all cells with types and calls
    <results>/cells/{clusters,cluster_types,markers}.parquet   on demand: snakemake cell_clusters

A library's jobs each write their own table; none changes another's. The quality of a cell
never depends on its CAR. Only `embed_cells` and `cluster_cells` look at all cells at once,
for pictures; no metric rests on them.
"""

LIBRARIES = PLAN.libraries
CONSTRUCTS = PLAN.constructs
REFERENCE = PLAN.config.cells.reference
WITH_READS = PLAN.with_reads
ENDOGENOUS = REFERENCE.endogenous or resources("cells/endogenous.fasta")


wildcard_constraints:
    construct=one_of(CONSTRUCTS),
    library_id=one_of({**LIBRARIES, **PLAN.repertoire.contigs}),


rule check_construct:
    """One construct -> its faults, and the regions in which its reads can be told from endogenous genes."""
    input:
        script=script("cells/check_construct.py"),
        sequence=lambda wildcards: ancient(CONSTRUCTS[wildcards.construct].sequence),
        annotation=lambda wildcards: ancient(CONSTRUCTS[wildcards.construct].annotation),
        endogenous=ancient(ENDOGENOUS),
    output:
        regions="<results>/cells/construct/{construct}.regions.parquet",
        domains="<results>/cells/construct/{construct}.domains.parquet",
        bed="<results>/cells/construct/{construct}.bed",
        picture="<results>/cells/construct/{construct}.svg",
        qc="<results>/cells/construct/{construct}.qc.parquet",
    log:
        "<logs>/cells/check_construct/{construct}.log",
    benchmark:
        "<benchmarks>/cells/check_construct/{construct}.tsv"
    resources:
        mem_mb=memory(1000, per_input_mb=10),
        runtime=minutes(20),
    params:
        code=sources("cells/check_construct.py"),
        sha256=lambda wildcards: CONSTRUCTS[wildcards.construct].sha256,
        reference_sha256=PLAN.reference_sha256,
        settings=settings("cells.reference"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --construct {wildcards.construct:q} \
            --sequence {input.sequence:q} \
            --annotation {input.annotation:q} \
            --endogenous {input.endogenous:q} \
            --settings {params.settings:q} \
            --regions {output.regions:q} \
            --domains {output.domains:q} \
            --bed {output.bed:q} \
            --picture {output.picture:q} \
            --qc {output.qc:q}
        """


rule build_reference:
    """Genome, genes and constructs -> the index that reads are counted on; a CAR counts only where it is no other gene."""
    input:
        script=script("cells/build_reference.py"),
        genome=ancient(existing(REFERENCE.genome)),
        annotation=ancient(existing(REFERENCE.annotation)),
        sequences=ancient([c.sequence for c in CONSTRUCTS.values()]),
        regions=collect(
            "<results>/cells/construct/{construct}.regions.parquet",
            construct=CONSTRUCTS,
        ),
    output:
        directory("<results>/cells/reference"),
    log:
        "<logs>/cells/build_reference.log",
    benchmark:
        "<benchmarks>/cells/build_reference.tsv"
    resources:
        # STAR's index of a human genome takes some 32 GB.
        mem_mb=memory(2500, per_input_mb=12),
        runtime=minutes(240),
    params:
        code=sources("cells/build_reference.py"),
        sha256=PLAN.reference_sha256,
        constructs=list(CONSTRUCTS),
        constructs_sha256=[c.sha256 for c in CONSTRUCTS.values()],
        settings=settings("cells.reference"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --genome {input.genome:q} \
            --annotation {input.annotation:q} \
            --constructs {params.constructs:q} \
            --sequences {input.sequences:q} \
            --regions {input.regions:q} \
            --settings {params.settings:q} \
            --threads {threads:q} \
            --memory-mb {resources.mem_mb:q} \
            --out {output:q}
        """


rule count_library:
    """FASTQ files of one library -> its counts, with STARsolo also the reads by cell (BAM)."""
    input:
        script=script("cells/count_library.py"),
        reference="<results>/cells/reference",
        r1=lambda wildcards: ancient(list(LIBRARIES[wildcards.library_id].fastq[::2])),
        r2=lambda wildcards: ancient(list(LIBRARIES[wildcards.library_id].fastq[1::2])),
        whitelist=ancient(existing(REFERENCE.whitelist)),
    output:
        directory("<results>/cells/counted/{library_id}"),
    log:
        "<logs>/cells/count_library/{library_id}.log",
    benchmark:
        "<benchmarks>/cells/count_library/{library_id}.tsv"
    resources:
        mem_mb=memory(2500, per_input_mb=2),
        runtime=minutes(480),
    params:
        code=sources("cells/count_library.py"),
        sha256=lambda wildcards: LIBRARIES[wildcards.library_id].fastq_sha256,
        chemistry=lambda wildcards: LIBRARIES[wildcards.library_id].chemistry,
        whitelist=["--whitelist"] if REFERENCE.whitelist else [],
        settings=settings("cells.reference"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --library {wildcards.library_id:q} \
            --reference {input.reference:q} \
            --r1 {input.r1:q} \
            --r2 {input.r2:q} \
            --chemistry {params.chemistry:q} \
            {params.whitelist:q} {input.whitelist:q} \
            --settings {params.settings:q} \
            --threads {threads:q} \
            --out {output:q}
        """


rule read_library:
    """One library -> its counts as h5ad, its cells with their quality, and what floats between them."""
    input:
        script=script("cells/read_library.py"),
        raw=lambda wildcards: ancient(list(LIBRARIES[wildcards.library_id].files)),
        counted=lambda wildcards: (
            [f"<results>/cells/counted/{wildcards.library_id}"]
            if LIBRARIES[wildcards.library_id].fastq
            else []
        ),
    output:
        h5ad="<results>/cells/library/{library_id}.h5ad",
        cells="<results>/cells/library/{library_id}.cells.parquet",
        ambient="<results>/cells/library/{library_id}.ambient.parquet",
        libraries="<results>/cells/library/{library_id}.libraries.parquet",
        qc="<results>/cells/library/{library_id}.library_qc.parquet",
    log:
        "<logs>/cells/read_library/{library_id}.log",
    benchmark:
        "<benchmarks>/cells/read_library/{library_id}.tsv"
    resources:
        mem_mb=memory(2000, per_input_mb=20),
        runtime=minutes(30),
    params:
        code=sources("cells/read_library.py"),
        plan=lambda wildcards: LIBRARIES[wildcards.library_id].reading,
        settings=settings("cells.quality", "cells.confidence"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --library {wildcards.library_id:q} \
            --plan {params.plan:q} \
            --counted {input.counted:q} \
            --settings {params.settings:q} \
            --h5ad {output.h5ad:q} \
            --cells {output.cells:q} \
            --ambient {output.ambient:q} \
            --libraries {output.libraries:q} \
            --qc {output.qc:q}
        """


rule type_cells:
    """One library -> the type and state of each cell, and which are two cells."""
    input:
        script=script("cells/type_cells.py"),
        h5ad="<results>/cells/library/{library_id}.h5ad",
        cells="<results>/cells/library/{library_id}.cells.parquet",
        libraries="<results>/cells/library/{library_id}.libraries.parquet",
        panels=PLAN.config.cells.types.panels or resources("cells/panels.yaml"),
        model=existing(PLAN.config.cells.types.celltypist_model),
        labels=existing(PLAN.config.cells.types.celltypist_labels),
    output:
        types="<results>/cells/library/{library_id}.types.parquet",
        qc="<results>/cells/library/{library_id}.types_qc.parquet",
    log:
        "<logs>/cells/type_cells/{library_id}.log",
    benchmark:
        "<benchmarks>/cells/type_cells/{library_id}.tsv"
    resources:
        mem_mb=memory(2000, per_input_mb=20),
        runtime=minutes(30),
    params:
        code=sources("cells/type_cells.py"),
        settings=settings("cells.types", "cells.doublets", "cells.seed"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --library {wildcards.library_id:q} \
            --h5ad {input.h5ad:q} \
            --cells {input.cells:q} \
            --libraries {input.libraries:q} \
            --panels {input.panels:q} \
            --model {input.model:q} \
            --labels {input.labels:q} \
            --settings {params.settings:q} \
            --types {output.types:q} \
            --qc {output.qc:q}
        """


rule count_car_molecules:
    """Reads of one library -> CAR molecules of each cell, coverage, and what differs from the construct."""
    input:
        script=script("cells/count_car_molecules.py"),
        bam=lambda wildcards: (
            ancient(LIBRARIES[wildcards.library_id].bam)
            if LIBRARIES[wildcards.library_id].bam
            else f"<results>/cells/counted/{wildcards.library_id}"
        ),
        index=lambda wildcards: ancient(
            existing(LIBRARIES[wildcards.library_id].bam_index)
        ),
        sequences=ancient([c.sequence for c in CONSTRUCTS.values()]),
        annotations=ancient([c.annotation for c in CONSTRUCTS.values()]),
        endogenous=ancient(ENDOGENOUS),
    output:
        molecules="<results>/cells/library/{library_id}.molecules.parquet",
        coverage="<results>/cells/library/{library_id}.coverage.parquet",
        variants="<results>/cells/library/{library_id}.variants.parquet",
        car_reads="<results>/cells/library/{library_id}.car_reads.parquet",
        qc="<results>/cells/library/{library_id}.reads_qc.parquet",
    log:
        "<logs>/cells/count_car_molecules/{library_id}.log",
    benchmark:
        "<benchmarks>/cells/count_car_molecules/{library_id}.tsv"
    resources:
        # Read through its index: memory follows the CAR reads, not the file.
        mem_mb=memory(2000),
        runtime=minutes(60),
    params:
        code=sources("cells/count_car_molecules.py"),
        chemistry=lambda wildcards: LIBRARIES[wildcards.library_id].chemistry,
        sha256=lambda wildcards: LIBRARIES[wildcards.library_id].bam_sha256,
        reference_sha256=PLAN.reference_sha256,
        constructs=list(CONSTRUCTS),
        constructs_sha256=[c.sha256 for c in CONSTRUCTS.values()],
        product=lambda wildcards: list(LIBRARIES[wildcards.library_id].constructs),
        settings=settings("cells.car_reads", "cells.reference", "cells.constructs"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --library {wildcards.library_id:q} \
            --bam {input.bam:q} \
            --index {input.index:q} \
            --chemistry {params.chemistry:q} \
            --product-constructs {params.product:q} \
            --constructs {params.constructs:q} \
            --sequences {input.sequences:q} \
            --annotations {input.annotations:q} \
            --endogenous {input.endogenous:q} \
            --settings {params.settings:q} \
            --molecules {output.molecules:q} \
            --coverage {output.coverage:q} \
            --variants {output.variants:q} \
            --car-reads {output.car_reads:q} \
            --qc {output.qc:q}
        """


rule call_cars:
    """One library -> which cells carry the CAR, and the CAR+ share of its T cells."""
    input:
        script=script("cells/call_cars.py"),
        cells="<results>/cells/library/{library_id}.cells.parquet",
        types="<results>/cells/library/{library_id}.types.parquet",
        libraries="<results>/cells/library/{library_id}.libraries.parquet",
        molecules=lambda wildcards: library_files(
            "molecules.parquet", {wildcards.library_id} & WITH_READS
        ),
        car_reads=lambda wildcards: library_files(
            "car_reads.parquet", {wildcards.library_id} & WITH_READS
        ),
        before_cells=lambda wildcards: library_files(
            "cells.parquet", PLAN.controls_of(wildcards.library_id)
        ),
        before_types=lambda wildcards: library_files(
            "types.parquet", PLAN.controls_of(wildcards.library_id)
        ),
        before_molecules=lambda wildcards: library_files(
            "molecules.parquet", PLAN.controls_of(wildcards.library_id) & WITH_READS
        ),
    output:
        cars="<results>/cells/library/{library_id}.cars.parquet",
        fractions="<results>/cells/library/{library_id}.fractions.parquet",
        qc="<results>/cells/library/{library_id}.cars_qc.parquet",
    log:
        "<logs>/cells/call_cars/{library_id}.log",
    benchmark:
        "<benchmarks>/cells/call_cars/{library_id}.tsv"
    resources:
        mem_mb=memory(2000, per_input_mb=50),
        runtime=minutes(20),
    params:
        code=sources("cells/call_cars.py"),
        constructs=lambda wildcards: list(LIBRARIES[wildcards.library_id].constructs),
        flow_percent=lambda wildcards: [
            percent
            for percent in [LIBRARIES[wildcards.library_id].flow_percent]
            if percent is not None
        ],
        pre_infusion=lambda wildcards: (
            "yes" if LIBRARIES[wildcards.library_id].pre_infusion else "no"
        ),
        settings=settings(
            "cells.car_calls",
            "cells.car_reads",
            "cells.confidence",
            "cells.seed",
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --library {wildcards.library_id:q} \
            --cells {input.cells:q} \
            --types {input.types:q} \
            --libraries {input.libraries:q} \
            --molecules {input.molecules:q} \
            --car-reads {input.car_reads:q} \
            --constructs {params.constructs:q} \
            --before-cells {input.before_cells:q} \
            --before-types {input.before_types:q} \
            --before-molecules {input.before_molecules:q} \
            --flow-percent {params.flow_percent:q} \
            --pre-infusion {params.pre_infusion:q} \
            --settings {params.settings:q} \
            --cars {output.cars:q} \
            --fractions {output.fractions:q} \
            --qc {output.qc:q}
        """


rule assemble_libraries:
    """All libraries -> composition by sample with exact intervals, as results for assemble_measurements."""
    input:
        script=script("cells/assemble_libraries.py"),
        tables=[
            file
            for table in (
                "libraries.parquet",
                "library_qc.parquet",
                "types.parquet",
                "types_qc.parquet",
                "cars.parquet",
                "fractions.parquet",
                "cars_qc.parquet",
            )
            for file in library_files(table)
        ],
        reads=[
            file
            for table in (
                "coverage.parquet",
                "variants.parquet",
                "car_reads.parquet",
                "reads_qc.parquet",
            )
            for file in library_files(table, WITH_READS)
        ],
        constructs=collect(
            "<results>/cells/construct/{construct}.{table}.parquet",
            construct=CONSTRUCTS,
            table=["regions", "domains", "qc"],
        ),
        libraries_sheet=ancient(existing(PLAN.config.sheets.libraries)),
        samples="<results>/intake/samples.parquet",
        subjects="<results>/intake/subjects.parquet",
    output:
        results="<results>/cells/results.parquet",
        libraries="<results>/cells/libraries.parquet",
        composition="<results>/cells/composition.parquet",
        fractions="<results>/cells/fractions.parquet",
        car_reads="<results>/cells/car_reads.parquet",
        coverage="<results>/cells/coverage.parquet",
        variants="<results>/cells/variants.parquet",
        regions="<results>/cells/regions.parquet",
        domains="<results>/cells/domains.parquet",
        qc="<results>/cells/qc.parquet",
    log:
        "<logs>/cells/assemble_libraries.log",
    benchmark:
        "<benchmarks>/cells/assemble_libraries.tsv"
    resources:
        mem_mb=memory(2000, per_input_mb=50),
        runtime=minutes(30),
    params:
        code=sources("cells/assemble_libraries.py"),
        # Ids and folders, not every file: a command line ends at 128 kB.
        libraries=list(LIBRARIES),
        with_reads=[name for name in LIBRARIES if name in WITH_READS],
        constructs=list(CONSTRUCTS),
        folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output.results), "library"
        ),
        construct_folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output.results), "construct"
        ),
        digest=PLAN.libraries_digest,
        settings=settings("cells", "kinetics.post_infusion_visits"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --libraries {params.libraries:q} \
            --with-reads {params.with_reads:q} \
            --constructs {params.constructs:q} \
            --folder {params.folder:q} \
            --construct-folder {params.construct_folder:q} \
            --libraries-sheet {input.libraries_sheet:q} \
            --samples {input.samples:q} \
            --subjects {input.subjects:q} \
            --settings {params.settings:q} \
            --results {output.results:q} \
            --library-table {output.libraries:q} \
            --composition {output.composition:q} \
            --fractions {output.fractions:q} \
            --car-reads {output.car_reads:q} \
            --coverage {output.coverage:q} \
            --variants {output.variants:q} \
            --regions {output.regions:q} \
            --domains {output.domains:q} \
            --qc {output.qc:q}
        """


rule embed_cells:
    """A sketch of all cells -> a picture in two dimensions; no metric rests on it."""
    input:
        script=script("cells/embed_cells.py"),
        h5ad=library_files("h5ad"),
        tables=[
            file
            for table in ("libraries.parquet", "types.parquet")
            for file in library_files(table)
        ],
    output:
        "<results>/cells/embedding.parquet",
    log:
        "<logs>/cells/embed_cells.log",
    benchmark:
        "<benchmarks>/cells/embed_cells.tsv"
    resources:
        mem_mb=memory(3000, per_input_mb=5),
        runtime=minutes(60),
    params:
        code=sources("cells/embed_cells.py"),
        libraries=list(LIBRARIES),
        folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output[0]), "library"
        ),
        settings=settings("cells.embedding", "cells.expression", "cells.seed"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --libraries {params.libraries:q} \
            --folder {params.folder:q} \
            --settings {params.settings:q} \
            --output {output:q}
        """


rule assemble_cells:
    """All libraries -> one h5ad with types, states and CAR calls; as many cells out as in."""
    input:
        script=script("cells/assemble_cells.py"),
        h5ad=library_files("h5ad"),
        tables=[
            file
            for table in (
                "libraries.parquet",
                "cells.parquet",
                "types.parquet",
                "cars.parquet",
            )
            for file in library_files(table)
        ],
        samples="<results>/intake/samples.parquet",
        embedding="<results>/cells/embedding.parquet",
    output:
        h5ad="<results>/cells/cells.h5ad",
        obs="<results>/cells/obs.parquet",
    log:
        "<logs>/cells/assemble_cells.log",
    benchmark:
        "<benchmarks>/cells/assemble_cells.tsv"
    resources:
        mem_mb=memory(2000, per_input_mb=5),
        runtime=minutes(60),
    params:
        code=sources("cells/assemble_cells.py"),
        libraries=list(LIBRARIES),
        sample_ids=[library.sample_id for library in LIBRARIES.values()],
        folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output.h5ad), "library"
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --libraries {params.libraries:q} \
            --sample-ids {params.sample_ids:q} \
            --folder {params.folder:q} \
            --samples {input.samples:q} \
            --embedding {input.embedding:q} \
            --h5ad {output.h5ad:q} \
            --obs {output.obs:q}
        """


rule compare_expression:
    """Pseudobulk counts of each subject -> genes that differ, paired by subject."""
    input:
        script=script("cells/compare_expression.py"),
        h5ad="<results>/cells/cells.h5ad",
        obs="<results>/cells/obs.parquet",
    output:
        expression="<results>/cells/expression.parquet",
        qc="<results>/cells/expression_qc.parquet",
    log:
        "<logs>/cells/compare_expression.log",
    benchmark:
        "<benchmarks>/cells/compare_expression.tsv"
    resources:
        mem_mb=memory(3000, per_input_mb=5),
        runtime=minutes(60),
    params:
        code=sources("cells/compare_expression.py"),
        settings=settings(
            "cells.expression", "cells.seed", "kinetics.post_infusion_visits"
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --h5ad {input.h5ad:q} \
            --obs {input.obs:q} \
            --settings {params.settings:q} \
            --expression {output.expression:q} \
            --qc {output.qc:q}
        """


rule cluster_cells:
    """All cells -> clusters and their markers, beside the types; made on demand."""
    input:
        script=script("cells/cluster_cells.py"),
        h5ad="<results>/cells/cells.h5ad",
        obs="<results>/cells/obs.parquet",
    output:
        clusters="<results>/cells/clusters.parquet",
        cluster_types="<results>/cells/cluster_types.parquet",
        markers="<results>/cells/markers.parquet",
    log:
        "<logs>/cells/cluster_cells.log",
    benchmark:
        "<benchmarks>/cells/cluster_cells.tsv"
    resources:
        mem_mb=memory(4000, per_input_mb=40),
        runtime=minutes(120),
    params:
        code=sources("cells/cluster_cells.py"),
        settings=settings("cells.embedding", "cells.expression", "cells.seed"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --h5ad {input.h5ad:q} \
            --obs {input.obs:q} \
            --settings {params.settings:q} \
            --clusters {output.clusters:q} \
            --cluster-types {output.cluster_types:q} \
            --markers {output.markers:q}
        """
