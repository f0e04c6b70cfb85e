"""What cartrace knows how to follow, and in which units.

The name goes into ``measurements.analyte``. ``family`` decides which metrics
are computed: an ``expansion`` analyte counts CAR-T cells or their genes and gets
the kinetic and persistence metrics; B-lineage cells, immunoglobulins and soluble
BCMA get the depletion metrics; antibodies get the antibody metrics.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Family = Literal[
    "expansion",
    "lymphocyte",
    "depletion",
    "immunoglobulin",
    "antibody",
    "biomarker",
    "tumour",
    "haematology",
    "score",
    "repertoire",
]


@dataclass(frozen=True, slots=True)
class Analyte:
    """One measurand: its name in the tables, its label in the report, its units."""

    name: str
    label: str
    family: Family
    units: tuple[str, ...]
    upper_bound: dict[str, float] | None = None
    """Largest value that is possible at all, by unit (100 for a share in %)."""


ANTIBODY_UNITS = ("titre", "U/mL", "IU/mL", "RU/mL", "AU/mL", "index", "ratio", "ng/mL", "arbitrary")
"""Units of antibodies: end points (cell-based assays), the laboratory's own units, IU/mL against a WHO
standard (anti-dsDNA, Wo/80), AU/mL (both in the table of Lupus Sci Med 2014;1:e000007), RU/mL of the
kits of one maker [recalled], indices of immunoblots. No conversion joins them: units of two kits are not alike."""

ANALYTES: dict[str, Analyte] = {
    a.name: a
    for a in (
        Analyte(
            "transgene",
            "CAR transgene",
            "expansion",
            ("copies/ug", "copies/cell", "copies/1000 cells", "copies/uL", "arbitrary"),
        ),
        Analyte("car_t_cells", "CAR+ T cells", "expansion", ("cells/uL", "arbitrary")),
        Analyte("car_t_fraction", "CAR+ share of T cells", "expansion", ("%",), {"%": 100.0}),
        Analyte("car_cd4_cells", "CAR+ CD4+ T cells", "expansion", ("cells/uL",)),
        Analyte("car_cd8_cells", "CAR+ CD8+ T cells", "expansion", ("cells/uL",)),
        Analyte("t_cells", "T cells", "lymphocyte", ("cells/uL",)),
        Analyte("cd4_cells", "CD4+ T cells", "lymphocyte", ("cells/uL",)),
        Analyte("cd8_cells", "CD8+ T cells", "lymphocyte", ("cells/uL",)),
        Analyte("t_naive_fraction", "Naive share of T cells", "lymphocyte", ("%",), {"%": 100.0}),
        Analyte(
            "t_central_memory_fraction", "Central memory share of T cells", "lymphocyte", ("%",), {"%": 100.0}
        ),
        Analyte(
            "t_effector_memory_fraction",
            "Effector memory share of T cells",
            "lymphocyte",
            ("%",),
            {"%": 100.0},
        ),
        Analyte(
            "t_terminal_fraction",
            "Terminally differentiated share of T cells",
            "lymphocyte",
            ("%",),
            {"%": 100.0},
        ),
        Analyte("car_cd4_fraction", "CD4+ share of CAR+ T cells", "lymphocyte", ("%",), {"%": 100.0}),
        Analyte("car_cd8_fraction", "CD8+ share of CAR+ T cells", "lymphocyte", ("%",), {"%": 100.0}),
        *(
            Analyte(
                f"car_{state}_fraction", f"{label} share of CAR+ T cells", "lymphocyte", ("%",), {"%": 100.0}
            )
            for state, label in (
                ("naive", "Naive"),
                ("central_memory", "Central memory"),
                ("effector_memory", "Effector memory"),
                ("cytotoxic", "Cytotoxic"),
                ("proliferating", "Proliferating"),
                ("exhausted", "Exhausted"),
                ("treg", "Regulatory"),
            )
        ),
        *(
            Analyte(f"{part}_b_fraction", f"{label} share of B cells", "lymphocyte", ("%",), {"%": 100.0})
            for part, label in (
                ("transitional", "Transitional"),
                ("naive", "Naive"),
                ("memory", "Memory"),
                ("double_negative", "IgD- CD27-"),
            )
        ),
        Analyte("b_cells", "B cells", "depletion", ("cells/uL", "%", "arbitrary"), {"%": 100.0}),
        Analyte("naive_b_cells", "Naive B cells", "depletion", ("cells/uL", "%"), {"%": 100.0}),
        Analyte("memory_b_cells", "Memory B cells", "depletion", ("cells/uL", "%"), {"%": 100.0}),
        Analyte(
            "double_negative_b_cells", "IgD- CD27- B cells", "depletion", ("cells/uL", "%"), {"%": 100.0}
        ),
        Analyte("plasmablasts", "Plasmablasts", "depletion", ("cells/uL", "%"), {"%": 100.0}),
        Analyte("plasma_cells", "Plasma cells", "depletion", ("cells/uL", "%"), {"%": 100.0}),
        # No serum holds 200 g/L of IgG, not in myeloma either: it is mg/dL in a column of g/L.
        Analyte("igg", "IgG", "immunoglobulin", ("g/L", "mg/dL"), {"g/L": 200.0, "mg/dL": 20_000.0}),
        Analyte("iga", "IgA", "immunoglobulin", ("g/L", "mg/dL")),
        Analyte("igm", "IgM", "immunoglobulin", ("g/L", "mg/dL")),
        Analyte("soluble_bcma", "Soluble BCMA", "biomarker", ("ng/mL", "pg/mL")),
        Analyte("aqp4_igg", "AQP4-IgG", "antibody", ANTIBODY_UNITS),
        Analyte("mog_igg", "MOG-IgG", "antibody", ANTIBODY_UNITS),
        Analyte("anti_srp", "Anti-SRP", "antibody", ANTIBODY_UNITS),
        # A radioreceptor assay counts binding sites: nmol of them in a litre.
        Analyte("achr_antibody", "AChR antibody", "antibody", (*ANTIBODY_UNITS, "nmol/L")),
        Analyte("anti_dsdna", "Anti-dsDNA", "antibody", ANTIBODY_UNITS),
        Analyte("neutralising_antibody", "Neutralising antibody", "antibody", ANTIBODY_UNITS),
        Analyte("other_antibody", "Antibody", "antibody", ANTIBODY_UNITS),
        Analyte(
            "tumour_cells", "Target tumour cells", "tumour", ("cells/uL", "%", "arbitrary"), {"%": 100.0}
        ),
        Analyte("crp", "C-reactive protein", "biomarker", ("mg/L",)),
        Analyte("il6", "Interleukin 6", "biomarker", ("pg/mL",)),
        Analyte("il10", "Interleukin 10", "biomarker", ("pg/mL",)),
        Analyte("ifn_gamma", "Interferon gamma", "biomarker", ("pg/mL",)),
        Analyte("tnf_alpha", "Tumour necrosis factor alpha", "biomarker", ("pg/mL",)),
        Analyte("ferritin", "Ferritin", "biomarker", ("ng/mL", "ug/mL")),
        Analyte("creatine_kinase", "Creatine kinase", "biomarker", ("U/L",)),
        # No blood holds so many: it is cells/uL in a column of 1e9/L. House values, beyond any leukaemia.
        Analyte(
            "neutrophils",
            "Neutrophils",
            "haematology",
            ("1e9/L", "cells/uL"),
            {"1e9/L": 500.0, "cells/uL": 5e5},
        ),
        Analyte(
            "lymphocytes",
            "Lymphocytes",
            "haematology",
            ("1e9/L", "cells/uL"),
            {"1e9/L": 1000.0, "cells/uL": 1e6},
        ),
        Analyte(
            "platelets", "Platelets", "haematology", ("1e9/L", "cells/uL"), {"1e9/L": 5000.0, "cells/uL": 5e6}
        ),
        # No blood holds 30 g/dL: it is g/L in a column of g/dL.
        Analyte("haemoglobin", "Haemoglobin", "haematology", ("g/dL", "g/L"), {"g/dL": 30.0, "g/L": 300.0}),
        Analyte("edss", "EDSS", "score", ("points",), {"points": 10.0}),
        Analyte("mmt8", "MMT-8", "score", ("points",), {"points": 150.0}),
        Analyte("qmg", "QMG", "score", ("points",), {"points": 39.0}),
        Analyte("mg_adl", "MG-ADL", "score", ("points",), {"points": 24.0}),
        Analyte("sledai", "SLEDAI", "score", ("points",), {"points": 105.0}),
        Analyte("other_score", "Score", "score", ("points",)),
        *(
            Analyte(name, label, "repertoire", ("%",), {"%": 100.0})
            for name, label in (
                ("largest_t_clone_fraction", "Largest clone's share of T cells"),
                ("product_clone_fraction", "Share of T cells in clones of the product"),
                ("naive_bcr_fraction", "Share of B cells with an unmutated IgM or IgD"),
                ("mutated_bcr_fraction", "Share of B cells with a mutated receptor"),
                ("old_b_clone_fraction", "Share of B cells in clones from before the infusion"),
                ("ighm_b_fraction", "IgM share of B cells"),
                ("ighd_b_fraction", "IgD share of B cells"),
                ("ighg_b_fraction", "IgG share of B cells"),
                ("igha_b_fraction", "IgA share of B cells"),
                ("ighe_b_fraction", "IgE share of B cells"),
                ("largest_site_fraction", "Largest integration site's share"),
            )
        ),
    )
}

DEPLETION = (
    *(a.name for a in ANALYTES.values() if a.family in {"depletion", "immunoglobulin"}),
    "soluble_bcma",
)
"""Analytes that an anti-B-lineage product takes away; they get the depletion metrics."""

ANTIBODY = tuple(a.name for a in ANALYTES.values() if a.family == "antibody")
"""Analytes that get the antibody metrics."""

EXPANSION = tuple(a.name for a in ANALYTES.values() if a.family == "expansion")

SCORES = tuple(a.name for a in ANALYTES.values() if a.family == "score")
"""Clinical scores: bounded, with 0 as a value like any other."""
