"""Copies per reaction in copies/ug, copies/cell and copies/uL of blood, by hand."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.pcr.plate_samples import assay, extraction, gene, sample, table

from cartrace.config import Pcr
from cartrace.intake.extractions import Extraction
from cartrace.pcr.assay import Assay
from cartrace.pcr.normalise import Normalised, normalise, quotient_interval

REACTION = {"volume_ul": 20, "template_ul": 5}


def made(
    frame: pd.DataFrame, of: Assay, extractions: dict[str, Extraction] | None = None, **settings: Any
) -> Normalised:
    references = (frame["role"] == "reference").to_numpy(bool)
    assays = dict.fromkeys(frame["plate"], of)
    return normalise(frame, references, assays, extractions or {}, Pcr(**settings))


def only(result: Normalised) -> pd.Series:
    return result.samples[result.samples["role"] == "transgene"].iloc[0]


def test_the_measured_mass_gives_copies_per_microgram() -> None:
    # 40 ng/uL x 5 uL = 200 ng = 0.2 ug; 100 copies in it are 500 copies/ug.
    row = only(made(table(sample()), assay(reaction=REACTION), extraction()))
    assert row["dna_ng"] == 200
    assert row["dna_source"] == "measured"
    assert row[["copies_per_ug", "copies_per_ug_lower", "copies_per_ug_upper"]].tolist() == [500, 400, 625]


def test_a_dilution_leaves_less_dna_in_the_reaction() -> None:
    # 1 in 4: 50 ng in the reaction, 2000 copies/ug; and the eluate holds four times as many copies.
    row = only(made(table(sample(dilution=4.0)), assay(reaction=REACTION), extraction()))
    assert row["dna_ng"] == 50
    assert row["copies_per_ug"] == 2000
    # 100 copies / 5 uL x 4 = 80 copies/uL eluate; x 100 uL / 200 uL blood = 40 copies/uL.
    assert row["copies_per_ul"] == 40
    assert row["blood_source"] == "extraction"


def test_the_plate_map_knows_the_mass_better_than_the_extractions_sheet() -> None:
    frame = table(sample(dna_ng=80.0, dna_source="measured"))
    row = only(made(frame, assay(reaction=REACTION), extraction()))
    assert row["dna_ng"] == 80
    assert row["copies_per_ug"] == 1250


def test_the_reference_gene_counts_the_genomes() -> None:
    # 6000 copies of a gene with 2 in a genome: 3000 genomes x 6.6 pg = 19.8 ng.
    of = assay(reference={}, reaction={**REACTION, "dna_from": ["reference"]})
    row = only(made(table(sample(), gene()), of))
    assert row["dna_source"] == "reference"
    assert row["dna_ng"] == pytest.approx(19.8)
    assert row["copies_per_ug"] == pytest.approx(100 / 19.8 * 1000)
    assert row["copies_per_cell"] == pytest.approx(2 * 100 / 6000)
    assert row["cell_source"] == "reference"
    assert row["reference_copies"] == 6000


def test_the_limits_of_a_counted_mass_hold_the_uncertainty_of_the_count() -> None:
    # Both counts have limits of a factor 1.25: on the log scale sqrt(2) ln 1.25.
    of = assay(reference={}, reaction={**REACTION, "dna_from": ["reference"]})
    row = only(made(table(sample(), gene()), of))
    fold = math.exp(math.sqrt(2) * math.log(1.25))
    for name in ("copies_per_ug", "copies_per_cell"):
        assert row[name + "_upper"] == pytest.approx(row[name] * fold)
        assert row[name + "_lower"] == pytest.approx(row[name] / fold)


def test_a_gene_with_four_copies_in_a_genome_counts_half_the_cells() -> None:
    of = assay(reference={"copies_per_genome": 4}, reaction={"dna_from": ["reference"]})
    row = only(made(table(sample(), gene()), of))
    assert row["copies_per_cell"] == pytest.approx(4 * 100 / 6000)
    assert row["dna_ng"] == pytest.approx(9.9)


def test_the_two_genes_may_be_diluted_differently() -> None:
    # RPP30 1 in 100 and 2 uL, the transgene undiluted and 5 uL: 60 x 100 x 5 / 2 = 15000 copies beside it.
    frame = table(sample(template_ul=5.0), gene(copies=60.0, dilution=100.0, template_ul=2.0))
    row = only(made(frame, assay(reference={})))
    assert row["reference_copies"] == 15_000
    assert row["copies_per_cell"] == pytest.approx(200 / 15_000)


def test_a_sample_in_two_dilutions_has_a_reference_gene_in_each() -> None:
    frame = table(
        sample(copies=1000.0, dilution=1.0),
        sample(copies=110.0, dilution=10.0),
        gene(copies=500.0, dilution=10.0),
        gene(copies=6000.0, dilution=1.0),
    )
    result = made(frame, assay(reference={})).samples
    assert result["copies_per_cell"].dropna().tolist() == pytest.approx([2000 / 6000, 220 / 500])
    # A third dilution without a gene of its own can't choose between two.
    third = made(table(*frame.to_dict("records"), sample(dilution=5.0)), assay(reference={}))
    assert third.samples["copies_per_cell"].isna().tolist() == [False, False, True, True, True]


def test_a_duplex_keeps_the_ratio_that_was_computed_in_its_wells() -> None:
    kept = {
        "reference_copies": 5000.0,
        "copies_per_cell": 0.04,
        "copies_per_cell_lower": 0.03,
        "copies_per_cell_upper": 0.05,
        "cell_source": "reference",
    }
    of = assay(reference={}, reaction={"dna_from": ["reference"]})
    row = only(made(table(sample(**kept), gene()), of))
    assert {name: row[name] for name in kept} == kept
    # copies/ug = copies/cell / 6.6e-6 ug.
    assert row["copies_per_ug_lower"] == pytest.approx(0.03 / 6.6e-6)
    assert row["copies_per_ug"] == pytest.approx(0.04 / 6.6e-6)


def test_a_reference_gene_that_does_not_count_gives_no_ratio_not_even_a_duplex() -> None:
    frame = table(sample(reference_copies=5000.0, copies_per_cell=0.04, cell_source="reference"), gene())
    of = assay(reference={}, reaction={"dna_from": ["reference"]})
    result = normalise(frame, np.zeros(2, dtype=bool), {"p1": of}, {}, Pcr())
    row = only(result)
    assert row[["copies_per_cell", "copies_per_ug", "reference_copies", "dna_ng"]].isna().all()
    assert "RPP30 has no single result" in result.reasons["copies/cell"][0]


def test_a_nominal_mass_comes_last() -> None:
    nominal = assay(reaction={**REACTION, "dna_ng": 100})
    row = only(made(table(sample()), nominal))
    assert (row["dna_ng"], row["dna_source"], row["copies_per_ug"]) == (100, "nominal", 1000)
    assert only(made(table(sample()), nominal, extraction()))["dna_source"] == "measured"
    first = assay(reaction={**REACTION, "dna_ng": 100, "dna_from": ["nominal", "measured"]})
    assert only(made(table(sample()), first, extraction()))["dna_source"] == "nominal"


def test_a_nominal_mass_does_not_replace_a_measured_one_of_zero() -> None:
    of = assay(reaction=REACTION | {"dna_ng": 500})
    result = made(table(sample(copies=0.0)), of, extraction(dna=0.0))
    row = only(result)
    assert (row["dna_ng"], row["dna_source"]) == (0, "measured")
    assert np.isnan(row["copies_per_ug"])
    assert np.isnan(row["copies_per_cell"])
    assert "the measured mass of DNA is 0" in result.reasons["copies/ug"][0]
    assert "the nominal mass does not hold" in result.reasons["copies/ug"][0]


def test_a_nominal_mass_does_not_replace_a_reference_gene_that_found_nothing() -> None:
    of = assay(reference={}, reaction=REACTION | {"dna_ng": 500})
    row = only(made(table(sample(copies=0.0), gene(copies=0.0), sample("S2")), of))
    assert (row["dna_ng"], row["dna_source"]) == (0, "reference")
    assert np.isnan(row["copies_per_ug"])
    # A reference gene that was rejected says nothing of the DNA.
    row = only(made(table(sample(copies=0.0), gene(copies=0.0, verdict="rejected")), of))
    assert (row["dna_ng"], row["dna_source"], row["copies_per_ug"]) == (500, "nominal", 0)


def test_without_a_reference_gene_a_cell_is_a_genome_by_mass() -> None:
    # 500 copies/ug x 6.6 pg = 0.0033 copies in a cell; reference 2.5: 24000 copies/ug are 0.158.
    row = only(made(table(sample()), assay(reaction=REACTION), extraction()))
    assert row["copies_per_cell"] == pytest.approx(0.0033)
    assert row["cell_source"] == "genome_mass"
    heavy = only(made(table(sample(copies=4800.0)), assay(reaction=REACTION), extraction()))
    assert heavy["copies_per_cell"] == pytest.approx(0.1584)
    other = made(table(sample()), assay(reaction=REACTION), extraction(), pg_per_diploid_genome=6.0)
    assert only(other)["copies_per_cell"] == pytest.approx(0.0030)


def test_the_white_cell_count_gives_copies_per_microlitre_of_blood() -> None:
    # 0.0033 copies/cell x 5000 cells/uL = 16.5 copies/uL.
    of = assay(reaction={**REACTION, "blood_from": ["white_cells", "extraction"]})
    row = only(made(table(sample()), of, extraction()))
    assert row["copies_per_ul"] == pytest.approx(16.5)
    assert row["copies_per_ul_lower"] == pytest.approx(0.8 * 16.5)
    assert row["blood_source"] == "white_cells"
    # No blood volume: the second source is taken by itself.
    default = only(made(table(sample()), assay(reaction=REACTION), extraction(blood=None)))
    assert default["blood_source"] == "white_cells"


@pytest.mark.parametrize("matrix", ["csf", "marrow", "pbmc", None])
def test_white_cells_of_blood_say_nothing_of_another_matrix(matrix: str | None) -> None:
    of = assay(reaction={**REACTION, "blood_from": ["white_cells"]})
    result = made(table(sample(matrix=matrix)), of, extraction())
    assert math.isnan(only(result)["copies_per_ul"])
    assert result.reasons["copies/uL"].tolist() == ["white cells count for the matrix blood only"]


def test_what_can_not_be_computed_says_because_of_what() -> None:
    result = made(table(sample()), assay())
    assert result.reasons["copies/ug"].tolist() == [
        "the extractions sheet has no row of the sample; the assay has no reference gene; "
        "the assay file gives no reaction.dna_ng"
    ]
    assert all(math.isnan(f[0]) for f in result.factors.values())
    half = made(table(sample()), assay(), extraction(elution=None, white=None))
    assert "no reaction.template_ul" in half.reasons["copies/ug"][0]
    assert "no elution_volume_ul" in half.reasons["copies/uL"][0]
    assert "no white_cells_per_ul" in half.reasons["copies/uL"][0]
    twin = made(table(sample("S001 D14")), assay(), extraction("S1 d14"))
    assert "(but one of 'S1 d14')" in twin.reasons["copies/ug"][0]


def test_no_dna_is_no_mass() -> None:
    result = made(table(sample()), assay(reaction=REACTION), extraction(dna=0.0))
    assert math.isnan(only(result)["copies_per_ug"])
    assert "the measured mass of DNA is 0" in result.reasons["copies/ug"][0]


def test_a_control_has_no_units() -> None:
    frame = table(sample("NTC", 0.0, task="ntc"), sample("PC", 1e4, task="accuracy_control"))
    done = made(frame, assay(reaction={**REACTION, "dna_ng": 200})).samples
    assert (
        done[["copies_per_ug", "copies_per_cell", "copies_per_ul", "dna_ng", "cell_source"]]
        .isna()
        .all(axis=None)
    )


def test_nothing_found_is_nothing_in_every_unit_with_an_upper_limit() -> None:
    of = assay(reference={}, reaction={**REACTION, "dna_from": ["reference"]})
    row = only(made(table(sample(copies=0.0, lower=0.0, upper=3.0), gene()), of))
    assert row[["copies_per_ug", "copies_per_ug_lower", "copies_per_cell"]].tolist() == [0, 0, 0]
    # 3 copies beside the fewest genomes that are possible: 0.8 x 6000.
    assert row["copies_per_cell_upper"] == pytest.approx(2 * 3 / 4800)


def test_a_quotient_with_an_exact_denominator_keeps_the_limits_of_the_numerator() -> None:
    one = np.array([4.0])
    low, high = quotient_interval((one * 2, one, one * 3), (one, one, one))
    assert (low[0], high[0]) == (pytest.approx(1.0), pytest.approx(3.0))


positive = st.floats(0.01, 1e6)


@settings(deadline=None, max_examples=12)
@given(
    copies=positive,
    dna=st.floats(0.1, 1000),
    template=st.floats(1, 20),
    dilution=st.floats(1, 100),
    k=st.floats(0.1, 10),
)
def test_units_scale_as_they_must(
    copies: float, dna: float, template: float, dilution: float, k: float
) -> None:
    of = assay(reaction={"template_ul": template, "dilution": dilution})
    base = only(made(table(sample(copies=copies)), of, extraction(dna=dna)))
    more = only(made(table(sample(copies=k * copies)), of, extraction(dna=dna)))
    for name in ("copies_per_ug", "copies_per_cell", "copies_per_ul"):
        assert more[name] == pytest.approx(k * base[name])
        assert base[name + "_lower"] <= base[name] <= base[name + "_upper"]
    heavier = only(made(table(sample(copies=copies)), of, extraction(dna=k * dna)))
    assert heavier["copies_per_ug"] == pytest.approx(base["copies_per_ug"] / k)
    # More DNA in the same volume says nothing of the blood.
    assert heavier["copies_per_ul"] == pytest.approx(base["copies_per_ul"])


@settings(deadline=None, max_examples=20)
@given(copies=positive, genes=st.floats(100, 1e6), dilution=st.floats(1, 100))
def test_the_ratio_to_the_reference_gene_does_not_know_of_dilutions(
    copies: float, genes: float, dilution: float
) -> None:
    frame = table(sample(copies=copies, dilution=dilution), gene(copies=genes, dilution=dilution))
    row = only(made(frame, assay(reference={})))
    assert row["copies_per_cell"] == pytest.approx(2 * copies / genes)
    assert row["copies_per_ug"] == pytest.approx(row["copies_per_cell"] / 6.6e-6)


def test_the_factor_of_a_unit_is_what_one_copy_is() -> None:
    result = made(table(sample()), assay(reaction=REACTION), extraction())
    row = only(result)
    for unit, name in (
        ("copies/ug", "copies_per_ug"),
        ("copies/cell", "copies_per_cell"),
        ("copies/uL", "copies_per_ul"),
    ):
        assert result.factors[unit][0] * 100 == pytest.approx(row[name])
