"""cartrace: CAR-T laboratory files in, one checked timeline per patient out.

The working directory is a trial folder: config.yaml, sheets/, mappings/, data/.
Everything that is made goes to results/, what was said while making it to logs/.
The science is in src/cartrace; a rule here is one command of scripts/.

    make run CONFIG=trial/config.yaml
    snakemake --directory trial --configfile trial/config.yaml --cores 2
"""

from snakemake.utils import min_version

min_version("9.19")


pathvars:
    results="results",
    logs="logs",
    benchmarks="benchmarks",


include: "workflow/rules/common.smk"


rule all:
    """Everything that a trial folder can give."""
    default_target: True
    input:
        "<results>/report.html",
        "<results>/cartrace.duckdb",


rule cell_clusters:
    """Clusters and markers of all single cells; no metric rests on them: snakemake cell_clusters."""
    input:
        "<results>/cells/clusters.parquet",
        "<results>/cells/cluster_types.parquet",
        "<results>/cells/markers.parquet",


rule interchange:
    """Cells with their receptors for scirpy and mudata (h5mu): snakemake interchange."""
    input:
        "<results>/repertoire/cells.h5mu",


# In the order in which they run.
include: "workflow/rules/pcr.smk"
include: "workflow/rules/flow.smk"
include: "workflow/rules/immunoassay.smk"
include: "workflow/rules/cells.smk"
include: "workflow/rules/repertoire.smk"
include: "workflow/rules/intake.smk"
include: "workflow/rules/kinetics.smk"
include: "workflow/rules/depletion.smk"
include: "workflow/rules/antibody.smk"
include: "workflow/rules/safety.smk"
include: "workflow/rules/efficacy.smk"
include: "workflow/rules/cohort.smk"
include: "workflow/rules/report.smk"
