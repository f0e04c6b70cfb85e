"""Receptor contigs and integration sites -> clones from the product into the blood, B cells that return, clonality.

INPUTS:
    sheets/libraries.tsv           contigs of each single-cell library
    sheets/integration_sites.tsv   tables of sites, or reads (BAM) of junctions
    <results>/cells/library/*      types and CAR calls, where a library has a count matrix

OUTPUTS:
    <results>/repertoire/library/{library_id}.*   one library: its chains, and which chains each cell has
    <results>/repertoire/sites/{site_set}.*       one set: its integration sites
    <results>/repertoire/subject/{subject}.*      one subject: clones and sites over time, AIRR file
    <results>/repertoire/*.parquet                all subjects; results.parquet goes to assemble_measurements,
                                                  metrics.parquet to assemble_metrics
    <results>/repertoire/cells.h5mu               on demand: snakemake interchange

A new library costs its own job, those of its subject and those of the cohort.
"""

REPERTOIRE = PLAN.repertoire
WITH_CONTIGS = REPERTOIRE.contigs
SITE_SETS = REPERTOIRE.sites
TABLE_SETS = [name for name, item in SITE_SETS.items() if not item.is_bam]
BAM_SETS = [name for name, item in SITE_SETS.items() if item.is_bam]
CLONE_TABLES = {
    "cells": "clone_cells",
    "clones": "clones",
    "samples": "clone_samples",
    "totals": "clone_totals",
    "changes": "clone_changes",
    "persistence": "clone_persistence",
    "diversity": "diversity",
    "overlap": "overlap",
    "b_return": "b_return",
    "qc": "clones_qc",
}
SITE_TABLES = {
    "samples": "site_samples",
    "diversity": "site_diversity",
    "overlap": "site_overlap",
    "alarms": "site_alarms",
    "qc": "sites_qc",
}


wildcard_constraints:
    subject=one_of(REPERTOIRE.subjects),
    table_set=one_of(TABLE_SETS),
    bam_set=one_of(BAM_SETS),


rule read_contigs:
    """Contigs of one library -> chains that count, and what each cell has of them."""
    input:
        script=script("repertoire/read_contigs.py"),
        files=lambda wildcards: ancient(WITH_CONTIGS[wildcards.library_id].files),
    output:
        chains="<results>/repertoire/library/{library_id}.chains.parquet",
        receptors="<results>/repertoire/library/{library_id}.receptors.parquet",
        qc="<results>/repertoire/library/{library_id}.contigs_qc.parquet",
    log:
        "<logs>/repertoire/read_contigs/{library_id}.log",
    benchmark:
        "<benchmarks>/repertoire/read_contigs/{library_id}.tsv"
    resources:
        mem_mb=memory(1000, per_input_mb=40),
        runtime=minutes(15),
    params:
        code=sources("repertoire/read_contigs.py"),
        plan=lambda wildcards: WITH_CONTIGS[wildcards.library_id].reading,
        sha256=lambda wildcards: WITH_CONTIGS[wildcards.library_id].sha256,
        settings=settings("repertoire.contigs"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --library {wildcards.library_id:q} \
            --plan {params.plan:q} \
            --settings {params.settings:q} \
            --chains {output.chains:q} \
            --receptors {output.receptors:q} \
            --qc {output.qc:q}
        """


rule track_clones:
    """All libraries of one subject -> its clones from the product into the blood, and its B cells that return."""
    input:
        script=script("repertoire/track_clones.py"),
        chains=lambda wildcards: repertoire_files(
            wildcards.subject, "chains", "receptors"
        ),
        cells=lambda wildcards: [
            file
            for table in ("types.parquet", "cars.parquet")
            for file in library_files(
                table, {i.library_id for i in REPERTOIRE.contigs_of(wildcards.subject)}
            )
        ],
    output:
        **{
            option: f"<results>/repertoire/subject/{{subject}}.{table}.parquet"
            for option, table in CLONE_TABLES.items()
        },
        airr="<results>/repertoire/subject/{subject}.airr.tsv.gz",
    log:
        "<logs>/repertoire/track_clones/{subject}.log",
    benchmark:
        "<benchmarks>/repertoire/track_clones/{subject}.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=60),
        runtime=minutes(30),
    params:
        code=sources("repertoire/track_clones.py"),
        subject=lambda wildcards: REPERTOIRE.subjects[wildcards.subject],
        plan=lambda wildcards: REPERTOIRE.facts_of(wildcards.subject, "contigs"),
        folder=lambda wildcards, output: os.path.join(
            os.path.dirname(os.path.dirname(output.airr)), "library"
        ),
        cells_folder=lambda wildcards, output: os.path.join(
            os.path.dirname(os.path.dirname(os.path.dirname(output.airr))),
            "cells",
            "library",
        ),
        settings=settings(
            "repertoire.clonotypes",
            "repertoire.tracking",
            "repertoire.diversity",
            "repertoire.b_cells",
            "repertoire.seed",
            "kinetics.persistence.landmarks",
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --subject {params.subject:q} \
            --plan {params.plan:q} \
            --folder {params.folder:q} \
            --cells-folder {params.cells_folder:q} \
            --settings {params.settings:q} \
            --cells {output.cells:q} \
            --clones {output.clones:q} \
            --samples {output.samples:q} \
            --totals {output.totals:q} \
            --changes {output.changes:q} \
            --persistence {output.persistence:q} \
            --diversity {output.diversity:q} \
            --overlap {output.overlap:q} \
            --b-return {output.b_return:q} \
            --airr {output.airr:q} \
            --qc {output.qc:q}
        """


rule read_sites:
    """One specimen of a table -> its integration sites."""
    input:
        script=script("repertoire/read_sites.py"),
        raw=lambda wildcards: ancient(SITE_SETS[wildcards.table_set].path),
    output:
        sites="<results>/repertoire/sites/{table_set}.sites.parquet",
        qc="<results>/repertoire/sites/{table_set}.sites_qc.parquet",
    log:
        "<logs>/repertoire/read_sites/{table_set}.log",
    benchmark:
        "<benchmarks>/repertoire/read_sites/{table_set}.tsv"
    resources:
        mem_mb=memory(1000, per_input_mb=40),
        runtime=minutes(15),
    params:
        code=sources("repertoire/read_sites.py"),
        sha256=lambda wildcards: SITE_SETS[wildcards.table_set].sha256,
        specimen=lambda wildcards: SITE_SETS[wildcards.table_set].specimen,
        settings=settings("repertoire.sites"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --site-set {wildcards.table_set:q} \
            --path {input.raw:q} \
            --specimen={params.specimen:q} \
            --settings {params.settings:q} \
            --sites {output.sites:q} \
            --qc {output.qc:q}
        """


rule find_junctions:
    """Reads on host and vector of one sample -> its integration sites."""
    input:
        script=script("repertoire/find_junctions.py"),
        bam=lambda wildcards: ancient(SITE_SETS[wildcards.bam_set].path),
        index=lambda wildcards: ancient(existing(SITE_SETS[wildcards.bam_set].index)),
    output:
        sites="<results>/repertoire/sites/{bam_set}.sites.parquet",
        qc="<results>/repertoire/sites/{bam_set}.sites_qc.parquet",
    log:
        "<logs>/repertoire/find_junctions/{bam_set}.log",
    benchmark:
        "<benchmarks>/repertoire/find_junctions/{bam_set}.tsv"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(120),
    params:
        code=sources("repertoire/find_junctions.py"),
        sha256=lambda wildcards: SITE_SETS[wildcards.bam_set].sha256,
        settings=settings("repertoire.sites"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --site-set {wildcards.bam_set:q} \
            --bam {input.bam:q} \
            --index {input.index:q} \
            --settings {params.settings:q} \
            --sites {output.sites:q} \
            --qc {output.qc:q}
        """


rule track_sites:
    """All site sets of one subject -> its integration sites over time, and which of them someone must look at."""
    input:
        script=script("repertoire/track_sites.py"),
        sites=lambda wildcards: [
            f"<results>/repertoire/sites/{item.site_set}.sites.parquet"
            for item in REPERTOIRE.sites_of(wildcards.subject)
        ],
        genes=ancient(existing(REPERTOIRE.genes_of_concern)),
    output:
        **{
            option: f"<results>/repertoire/subject/{{subject}}.{table}.parquet"
            for option, table in SITE_TABLES.items()
        },
    log:
        "<logs>/repertoire/track_sites/{subject}.log",
    benchmark:
        "<benchmarks>/repertoire/track_sites/{subject}.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=60),
        runtime=minutes(30),
    params:
        code=sources("repertoire/track_sites.py"),
        subject=lambda wildcards: REPERTOIRE.subjects[wildcards.subject],
        plan=lambda wildcards: REPERTOIRE.facts_of(wildcards.subject, "sites"),
        genes_sha256=REPERTOIRE.genes_sha256,
        folder=lambda wildcards, output: os.path.join(
            os.path.dirname(os.path.dirname(output.samples)), "sites"
        ),
        settings=settings(
            "repertoire.sites",
            "repertoire.tracking",
            "repertoire.diversity",
            "repertoire.seed",
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --subject {params.subject:q} \
            --plan {params.plan:q} \
            --folder {params.folder:q} \
            --genes {input.genes:q} \
            --settings {params.settings:q} \
            --samples {output.samples:q} \
            --diversity {output.diversity:q} \
            --overlap {output.overlap:q} \
            --alarms {output.alarms:q} \
            --qc {output.qc:q}
        """


rule assemble_repertoire:
    """All subjects -> clones and sites of the cohort, results for assemble_measurements, metrics, findings."""
    input:
        script=script("repertoire/assemble_repertoire.py"),
        clones=collect(
            "<results>/repertoire/subject/{subject}.{table}.parquet",
            subject=REPERTOIRE.clone_subjects,
            table=CLONE_TABLES.values(),
        ),
        sites=collect(
            "<results>/repertoire/subject/{subject}.{table}.parquet",
            subject=REPERTOIRE.site_subjects,
            table=SITE_TABLES.values(),
        ),
        libraries=collect(
            "<results>/repertoire/library/{library_id}.{table}.parquet",
            library_id=WITH_CONTIGS,
            table=["receptors", "contigs_qc"],
        ),
        site_sets=collect(
            "<results>/repertoire/sites/{site_set}.sites_qc.parquet",
            site_set=SITE_SETS,
        ),
    output:
        results="<results>/repertoire/results.parquet",
        metrics="<results>/repertoire/metrics.parquet",
        qc="<results>/repertoire/qc.parquet",
        clones="<results>/repertoire/clones.parquet",
        samples="<results>/repertoire/clone_samples.parquet",
        totals="<results>/repertoire/clone_totals.parquet",
        changes="<results>/repertoire/clone_changes.parquet",
        persistence="<results>/repertoire/clone_persistence.parquet",
        diversity="<results>/repertoire/diversity.parquet",
        overlap="<results>/repertoire/overlap.parquet",
        b_return="<results>/repertoire/b_return.parquet",
        sharing="<results>/repertoire/sharing.parquet",
        sites="<results>/repertoire/site_samples.parquet",
        alarms="<results>/repertoire/site_alarms.parquet",
        receptors="<results>/repertoire/receptors.parquet",
    log:
        "<logs>/repertoire/assemble_repertoire.log",
    benchmark:
        "<benchmarks>/repertoire/assemble_repertoire.tsv"
    resources:
        mem_mb=memory(2000, per_input_mb=60),
        runtime=minutes(30),
    params:
        code=sources("repertoire/assemble_repertoire.py"),
        # Names and folders, not every file: a command line ends at 128 kB.
        subjects=REPERTOIRE.clone_subjects,
        site_subjects=REPERTOIRE.site_subjects,
        libraries=list(WITH_CONTIGS),
        site_sets=list(SITE_SETS),
        folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output.results), "subject"
        ),
        library_folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output.results), "library"
        ),
        sites_folder=lambda wildcards, output: os.path.join(
            os.path.dirname(output.results), "sites"
        ),
        sources=REPERTOIRE.sources,
        settings=settings(
            "repertoire", "kinetics.persistence.landmarks", "cells.composition"
        ),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --subjects {params.subjects:q} \
            --site-subjects {params.site_subjects:q} \
            --folder {params.folder:q} \
            --libraries {params.libraries:q} \
            --library-folder {params.library_folder:q} \
            --site-sets {params.site_sets:q} \
            --sites-folder {params.sites_folder:q} \
            --sources {params.sources:q} \
            --settings {params.settings:q} \
            --results {output.results:q} \
            --metrics {output.metrics:q} \
            --qc {output.qc:q} \
            --clones {output.clones:q} \
            --samples {output.samples:q} \
            --totals {output.totals:q} \
            --changes {output.changes:q} \
            --persistence {output.persistence:q} \
            --diversity {output.diversity:q} \
            --overlap {output.overlap:q} \
            --b-return {output.b_return:q} \
            --sharing {output.sharing:q} \
            --sites {output.sites:q} \
            --alarms {output.alarms:q} \
            --receptors {output.receptors:q}
        """


rule export_mudata:
    """Cells and their receptors in one file for scirpy and mudata; made on demand."""
    input:
        script=script("repertoire/export_mudata.py"),
        h5ad="<results>/cells/cells.h5ad",
        airr=collect(
            "<results>/repertoire/subject/{subject}.airr.tsv.gz",
            subject=REPERTOIRE.clone_subjects,
        ),
    output:
        "<results>/repertoire/cells.h5mu",
    log:
        "<logs>/repertoire/export_mudata.log",
    benchmark:
        "<benchmarks>/repertoire/export_mudata.tsv"
    resources:
        mem_mb=memory(4000, per_input_mb=20),
        runtime=minutes(60),
    params:
        code=sources("repertoire/export_mudata.py"),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --h5ad {input.h5ad:q} \
            --airr {input.airr:q} \
            --output {output:q}
        """
