"""Tables -> the page that people read, and the files that other programs read.

INPUTS:
    <results>/{intake,cohort,depletion,antibody,safety}/*.parquet
    <results>/{pcr,flow,immunoassay,cells,repertoire}/*.parquet   the evidence of plates, tubes, libraries and clones,
                                                                  where there are some

OUTPUTS:
    <results>/tables/*.parquet, *.tsv   the final tables
    <results>/cartrace.duckdb           all of them in one database
    <results>/report.html               one page that opens without a network
"""

TABLES = [
    "measurements",
    "metrics",
    "qc",
    "cohort_summary",
    "survival",
    "episodes",
    "models",
    "antibody_means",
    "associations",
    "characteristics",
    "events",
    "key_results",
    "outcomes",
    "outcome_curves",
    "safety_summary",
    "safety_toxicity",
    "safety_grades",
    "observations",
]

if INBOX:
    TABLES.append("inbox")

# The evidence of PCR plates, for trials that have some.
PCR = {
    name: f"<results>/pcr/{name}.parquet" if PLAN.plates else []
    for name in ("wells", "curves", "samples", "controls", "droplets")
}
if PLAN.plates:
    TABLES += ["pcr_wells", "pcr_curves", "pcr_samples", "pcr_controls", "repeat_list"]

# The evidence of flow tubes.
FLOW_TABLES = ["tubes", "gates", "thresholds", "background", "populations"]
FLOW = {
    name: f"<results>/flow/{name}.parquet" if PLAN.tubes else []
    for name in (*FLOW_TABLES, "acquisition", "plots")
}
if PLAN.tubes:
    TABLES += [f"flow_{name}" for name in FLOW_TABLES]

# The evidence of immunoassay plates.
IMMUNOASSAY = {
    name: f"<results>/immunoassay/{name}.parquet" if PLAN.immunoassays else []
    for name in ("wells", "standards", "curves", "samples", "controls")
}
if PLAN.immunoassays:
    TABLES += [f"immunoassay_{name}" for name in IMMUNOASSAY]
    TABLES += ["immunoassay_repeat_list"]

# The evidence of single-cell libraries.
CELL_TABLES = {
    "libraries": "cell_libraries",
    "composition": "cell_composition",
    "fractions": "car_fractions",
    "car_reads": "car_reads",
    "variants": "car_variants",
    "expression": "cell_expression",
}
CELLS = {
    name: f"<results>/cells/{name}.parquet" if PLAN.libraries else []
    for name in (*CELL_TABLES, "coverage", "regions", "domains", "embedding", "obs")
}
if PLAN.libraries:
    TABLES += CELL_TABLES.values()

# Clones and integration sites.
CLONES_TOLD = {
    "clones": "clones",
    "clone_samples": "clone_samples",
    "clone_totals": "clone_totals",
    "clone_changes": "clone_changes",
    "clone_persistence": "clone_persistence",
    "diversity": "diversity",
    "overlap": "overlap",
    "b_return": "b_cell_return",
    "sharing": "clone_sharing",
    "site_samples": "site_samples",
    "site_alarms": "site_alarms",
}
CLONES = {
    name: [] if REPERTOIRE.empty else f"<results>/repertoire/{name}.parquet"
    for name in (*CLONES_TOLD, "receptors")
}
if not REPERTOIRE.empty:
    TABLES += CLONES_TOLD.values()


rule export_tables:
    """The final tables as Parquet, TSV and one DuckDB file."""
    input:
        script=script("report/export_tables.py"),
        measurements="<results>/intake/measurements.parquet",
        metrics="<results>/cohort/metrics.parquet",
        qc="<results>/cohort/qc.parquet",
        cohort_summary="<results>/cohort/summary.parquet",
        survival="<results>/cohort/survival.parquet",
        episodes="<results>/depletion/episodes.parquet",
        models="<results>/antibody/population_decay.parquet",
        antibody_means="<results>/antibody/means.parquet",
        associations="<results>/cohort/associations.parquet",
        characteristics="<results>/cohort/characteristics.parquet",
        events="<results>/intake/events.parquet",
        key_results="<results>/cohort/key_results.parquet",
        outcomes="<results>/cohort/outcomes.parquet",
        outcome_curves="<results>/cohort/outcome_curves.parquet",
        safety_summary="<results>/safety/summary.parquet",
        safety_toxicity="<results>/safety/toxicity.parquet",
        safety_grades="<results>/safety/grades.parquet",
        observations="<results>/intake/observations.parquet",
        pcr_wells=PCR["wells"],
        pcr_curves=PCR["curves"],
        pcr_samples=PCR["samples"],
        pcr_controls=PCR["controls"],
        flow_tubes=FLOW["tubes"],
        flow_gates=FLOW["gates"],
        flow_thresholds=FLOW["thresholds"],
        flow_background=FLOW["background"],
        flow_populations=FLOW["populations"],
        immunoassay_wells=IMMUNOASSAY["wells"],
        immunoassay_standards=IMMUNOASSAY["standards"],
        immunoassay_curves=IMMUNOASSAY["curves"],
        immunoassay_samples=IMMUNOASSAY["samples"],
        immunoassay_controls=IMMUNOASSAY["controls"],
        cell_libraries=CELLS["libraries"],
        cell_composition=CELLS["composition"],
        car_fractions=CELLS["fractions"],
        car_reads=CELLS["car_reads"],
        car_variants=CELLS["variants"],
        cell_expression=CELLS["expression"],
        clones=CLONES["clones"],
        clone_samples=CLONES["clone_samples"],
        clone_totals=CLONES["clone_totals"],
        clone_changes=CLONES["clone_changes"],
        clone_persistence=CLONES["clone_persistence"],
        diversity=CLONES["diversity"],
        overlap=CLONES["overlap"],
        b_return=CLONES["b_return"],
        clone_sharing=CLONES["sharing"],
        site_samples=CLONES["site_samples"],
        site_alarms=CLONES["site_alarms"],
        inbox=INBOX,
    output:
        tables=collect(
            "<results>/tables/{table}.{extension}",
            table=TABLES,
            extension=["parquet", "tsv"],
        ),
        duckdb="<results>/cartrace.duckdb",
    log:
        "<logs>/report/export_tables.log",
    benchmark:
        "<benchmarks>/report/export_tables.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        code=sources("report/export_tables.py"),
        folder=lambda wildcards, output: os.path.dirname(output.tables[0]),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --metrics {input.metrics:q} \
            --qc {input.qc:q} \
            --cohort-summary {input.cohort_summary:q} \
            --survival {input.survival:q} \
            --episodes {input.episodes:q} \
            --models {input.models:q} \
            --antibody-means {input.antibody_means:q} \
            --associations {input.associations:q} \
            --characteristics {input.characteristics:q} \
            --events {input.events:q} \
            --key-results {input.key_results:q} \
            --outcomes {input.outcomes:q} \
            --outcome-curves {input.outcome_curves:q} \
            --safety-summary {input.safety_summary:q} \
            --safety-toxicity {input.safety_toxicity:q} \
            --safety-grades {input.safety_grades:q} \
            --observations {input.observations:q} \
            --pcr-wells {input.pcr_wells:q} \
            --pcr-curves {input.pcr_curves:q} \
            --pcr-samples {input.pcr_samples:q} \
            --pcr-controls {input.pcr_controls:q} \
            --flow-tubes {input.flow_tubes:q} \
            --flow-gates {input.flow_gates:q} \
            --flow-thresholds {input.flow_thresholds:q} \
            --flow-background {input.flow_background:q} \
            --flow-populations {input.flow_populations:q} \
            --immunoassay-wells {input.immunoassay_wells:q} \
            --immunoassay-standards {input.immunoassay_standards:q} \
            --immunoassay-curves {input.immunoassay_curves:q} \
            --immunoassay-samples {input.immunoassay_samples:q} \
            --immunoassay-controls {input.immunoassay_controls:q} \
            --cell-libraries {input.cell_libraries:q} \
            --cell-composition {input.cell_composition:q} \
            --car-fractions {input.car_fractions:q} \
            --car-reads {input.car_reads:q} \
            --car-variants {input.car_variants:q} \
            --cell-expression {input.cell_expression:q} \
            --clones {input.clones:q} \
            --clone-samples {input.clone_samples:q} \
            --clone-totals {input.clone_totals:q} \
            --clone-changes {input.clone_changes:q} \
            --clone-persistence {input.clone_persistence:q} \
            --diversity {input.diversity:q} \
            --overlap {input.overlap:q} \
            --b-cell-return {input.b_return:q} \
            --clone-sharing {input.clone_sharing:q} \
            --site-samples {input.site_samples:q} \
            --site-alarms {input.site_alarms:q} \
            --inbox {input.inbox:q} \
            --folder {params.folder:q} \
            --duckdb {output.duckdb:q}
        """


rule render_report:
    """One self-contained page: cohort, a page for each subject, findings, methods."""
    input:
        script=script("report/render_report.py"),
        measurements="<results>/intake/measurements.parquet",
        metrics="<results>/cohort/metrics.parquet",
        qc="<results>/cohort/qc.parquet",
        cohort_summary="<results>/cohort/summary.parquet",
        survival="<results>/cohort/survival.parquet",
        episodes="<results>/depletion/episodes.parquet",
        models="<results>/antibody/population_decay.parquet",
        antibody_means="<results>/antibody/means.parquet",
        associations="<results>/cohort/associations.parquet",
        characteristics="<results>/cohort/characteristics.parquet",
        events="<results>/intake/events.parquet",
        key_results="<results>/cohort/key_results.parquet",
        outcomes="<results>/cohort/outcomes.parquet",
        outcome_curves="<results>/cohort/outcome_curves.parquet",
        safety_summary="<results>/safety/summary.parquet",
        safety_toxicity="<results>/safety/toxicity.parquet",
        safety_grades="<results>/safety/grades.parquet",
        pcr_wells=PCR["wells"],
        pcr_curves=PCR["curves"],
        pcr_samples=PCR["samples"],
        pcr_controls=PCR["controls"],
        pcr_droplets=PCR["droplets"],
        flow_tubes=FLOW["tubes"],
        flow_gates=FLOW["gates"],
        flow_thresholds=FLOW["thresholds"],
        flow_background=FLOW["background"],
        flow_acquisition=FLOW["acquisition"],
        flow_plots=FLOW["plots"],
        flow_populations=FLOW["populations"],
        immunoassay_wells=IMMUNOASSAY["wells"],
        immunoassay_standards=IMMUNOASSAY["standards"],
        immunoassay_curves=IMMUNOASSAY["curves"],
        immunoassay_samples=IMMUNOASSAY["samples"],
        immunoassay_controls=IMMUNOASSAY["controls"],
        cell_libraries=CELLS["libraries"],
        cell_composition=CELLS["composition"],
        car_fractions=CELLS["fractions"],
        car_reads=CELLS["car_reads"],
        car_variants=CELLS["variants"],
        cell_expression=CELLS["expression"],
        car_coverage=CELLS["coverage"],
        cell_construct_regions=CELLS["regions"],
        cell_construct_domains=CELLS["domains"],
        cell_embedding=CELLS["embedding"],
        cell_obs=CELLS["obs"],
        clones=CLONES["clones"],
        clone_samples=CLONES["clone_samples"],
        clone_totals=CLONES["clone_totals"],
        clone_changes=CLONES["clone_changes"],
        clone_persistence=CLONES["clone_persistence"],
        diversity=CLONES["diversity"],
        overlap=CLONES["overlap"],
        b_return=CLONES["b_return"],
        clone_sharing=CLONES["sharing"],
        site_samples=CLONES["site_samples"],
        site_alarms=CLONES["site_alarms"],
        inbox=INBOX,
        receptors=CLONES["receptors"],
        subjects="<results>/intake/subjects.parquet",
        infusions="<results>/intake/infusions.parquet",
    output:
        report(
            "<results>/report.html",
            caption="../report/report.rst",
            category="Report",
            labels={"page": "Timeline per patient"},
        ),
    log:
        "<logs>/report/render_report.log",
    benchmark:
        "<benchmarks>/report/render_report.tsv"
    resources:
        mem_mb=memory(1500, per_input_mb=100),
        runtime=minutes(15),
    params:
        code=sources("report/render_report.py"),
        settings=settings(),
    shell:
        r"""
        exec &>{log:q}
        python {input.script:q} \
            --measurements {input.measurements:q} \
            --metrics {input.metrics:q} \
            --qc {input.qc:q} \
            --cohort-summary {input.cohort_summary:q} \
            --survival {input.survival:q} \
            --episodes {input.episodes:q} \
            --models {input.models:q} \
            --antibody-means {input.antibody_means:q} \
            --associations {input.associations:q} \
            --characteristics {input.characteristics:q} \
            --events {input.events:q} \
            --key-results {input.key_results:q} \
            --outcomes {input.outcomes:q} \
            --outcome-curves {input.outcome_curves:q} \
            --safety-summary {input.safety_summary:q} \
            --safety-toxicity {input.safety_toxicity:q} \
            --safety-grades {input.safety_grades:q} \
            --pcr-wells {input.pcr_wells:q} \
            --pcr-curves {input.pcr_curves:q} \
            --pcr-samples {input.pcr_samples:q} \
            --pcr-controls {input.pcr_controls:q} \
            --pcr-droplets {input.pcr_droplets:q} \
            --flow-tubes {input.flow_tubes:q} \
            --flow-gates {input.flow_gates:q} \
            --flow-thresholds {input.flow_thresholds:q} \
            --flow-background {input.flow_background:q} \
            --flow-acquisition {input.flow_acquisition:q} \
            --flow-plots {input.flow_plots:q} \
            --flow-populations {input.flow_populations:q} \
            --immunoassay-wells {input.immunoassay_wells:q} \
            --immunoassay-standards {input.immunoassay_standards:q} \
            --immunoassay-curves {input.immunoassay_curves:q} \
            --immunoassay-samples {input.immunoassay_samples:q} \
            --immunoassay-controls {input.immunoassay_controls:q} \
            --cell-libraries {input.cell_libraries:q} \
            --cell-composition {input.cell_composition:q} \
            --car-fractions {input.car_fractions:q} \
            --car-reads {input.car_reads:q} \
            --car-variants {input.car_variants:q} \
            --cell-expression {input.cell_expression:q} \
            --car-coverage {input.car_coverage:q} \
            --cell-construct-regions {input.cell_construct_regions:q} \
            --cell-construct-domains {input.cell_construct_domains:q} \
            --cell-embedding {input.cell_embedding:q} \
            --cell-obs {input.cell_obs:q} \
            --clones {input.clones:q} \
            --clone-samples {input.clone_samples:q} \
            --clone-totals {input.clone_totals:q} \
            --clone-changes {input.clone_changes:q} \
            --clone-persistence {input.clone_persistence:q} \
            --diversity {input.diversity:q} \
            --overlap {input.overlap:q} \
            --b-return {input.b_return:q} \
            --clone-sharing {input.clone_sharing:q} \
            --site-samples {input.site_samples:q} \
            --site-alarms {input.site_alarms:q} \
            --inbox {input.inbox:q} \
            --receptors {input.receptors:q} \
            --subjects {input.subjects:q} \
            --infusions {input.infusions:q} \
            --settings {params.settings:q} \
            --output {output:q}
        """
