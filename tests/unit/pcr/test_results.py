"""All plates together: one row for each sample and unit, nothing lost and nothing made up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.pcr.plate_samples import assay, curve, extraction, gene, plate, sample

from cartrace.config import Pcr
from cartrace.intake.extractions import Extraction
from cartrace.pcr.assay import Assay
from cartrace.pcr.results import Assembled, PlateTables, assemble_plates
from cartrace.pcr.tables import WELLS
from cartrace.tables import rows

REACTION = {"volume_ul": 20, "template_ul": 5}
LIMITS = {"lod": 3, "lloq": 10, "uloq": 1e6}


def put_together(
    *plates: PlateTables,
    extractions: dict[str, Extraction] | None = None,
    matrices: dict[str, str] | None = None,
    **pcr: Any,
) -> Assembled:
    return assemble_plates(
        plates, extraction() if extractions is None else extractions, {}, matrices or {}, Pcr(**pcr)
    )


def usual(**more: Any) -> Assay:
    return assay(limits=LIMITS, reaction=REACTION, **more)


def by_unit(made: Assembled) -> pd.DataFrame:
    return made.results.set_index("unit")


def test_a_result_is_carried_in_all_three_units() -> None:
    made = put_together(plate([sample()], usual()))
    # 200 ng, 5 uL of 100 uL eluate from 200 uL of blood; see test_normalise for the arithmetic.
    found = by_unit(made)
    assert found.loc[["copies/ug", "copies/cell", "copies/uL"], "value"].tolist() == pytest.approx(
        [500, 0.0033, 10]
    )
    row = found.loc["copies/ug"]
    assert row[["lower", "upper", "lod", "lloq", "uloq", "sd"]].tolist() == [500, 500, 15, 50, 5e6, 50]
    assert row[["status", "detection", "censoring", "n_replicates"]].tolist() == [
        "accepted",
        "quantified",
        "none",
        2,
    ]
    assert row[["source_file", "source_row", "source_column"]].tolist() == ["p1", 2, "A01, A02 / CAR"]
    assert row[["printed", "rounding", "ratios"]].isna().all()
    assert len(made.qc) == 0


def test_only_the_units_that_are_asked_for() -> None:
    made = put_together(plate([sample()], usual()), units=("copies/uL",), extractions={})
    assert len(made.results) == 0
    assert made.qc[["check", "verdict", "value"]].to_numpy().tolist() == [
        ["unit_not_estimable", "warn", "copies/uL"]
    ]


def test_a_result_below_a_limit_is_an_interval_in_every_unit() -> None:
    made = put_together(
        plate([sample(copies=5.0), sample("S2", 0.0)], usual()), extractions=extraction() | extraction("S2")
    )
    ug = made.results[made.results["unit"] == "copies/ug"]
    assert ug["value"].isna().all()
    columns = ["detection", "censoring", "lower", "upper"]
    assert ug[columns].to_numpy().tolist() == [["BLQ", "left", 15, 50], ["BLD", "left", 0, 15]]
    # The evidence keeps the number.
    assert made.samples["copies_per_ug"].tolist() == [25, 0]


def test_above_the_standards_is_known_from_below() -> None:
    made = put_together(
        plate(
            [sample(copies=5e6, flags="above_standards", verdict="flagged")],
            usual(),
            curves=[curve(highest=2e5)],
        )
    )
    row = by_unit(made).loc["copies/ug"]
    assert row[["detection", "censoring", "lower", "status", "flags"]].tolist() == [
        "above_uloq",
        "right",
        1e6,
        "flagged",
        "above_standards",
    ]
    assert pd.isna(row["upper"])
    assert made.samples["repeat"].tolist() == [True]
    assert made.samples["repeat_reason"][0] == "Above the standards: dilute the eluate 1:50 and repeat."


def test_a_rejected_sample_keeps_its_row_and_is_never_used() -> None:
    made = put_together(plate([sample(flags="slope", verdict="rejected")], usual()))
    assert made.results["status"].tolist() == ["rejected"] * 3
    assert made.results["flags"].tolist() == ["slope"] * 3
    assert made.samples["repeat"].tolist() == [True]


def test_what_is_missing_is_told_for_each_sample_and_unit() -> None:
    made = put_together(plate([sample()], usual()), extractions=extraction(blood=None, white=None))
    assert sorted(made.results["unit"]) == ["copies/cell", "copies/ug"]
    (row,) = made.qc.to_dict("records")
    assert (row["check"], row["verdict"], row["value"]) == ("unit_not_estimable", "note", "copies/uL")
    assert row["message"] == (
        "S1 (CAR) has no result in copies/uL: the extractions sheet gives no blood_volume_ul; "
        "the extractions sheet gives no white_cells_per_ul."
    )


def test_a_sample_without_copies_has_no_row_and_says_so() -> None:
    made = put_together(plate([sample(copies=None)], usual()))
    assert len(made.results) == 0
    assert set(made.qc["message"]) == {
        f"S1 (CAR) has no result in {unit}: copies per reaction are not known."
        for unit in ("copies/ug", "copies/cell", "copies/uL")
    }


def test_unknown_limits_are_told_once_for_an_assay_and_target() -> None:
    of = assay(reaction=REACTION)
    both = extraction() | extraction("S2")
    made = put_together(
        plate([sample(), sample("S2", 0.0, upper=4.0)], of),
        plate([sample()], of, file_id="p2"),
        extractions=both,
    )
    (row,) = made.qc[made.qc["check"] == "limits_unknown"].to_dict("records")
    assert (row["verdict"], row["value"], row["source_column"]) == ("warn", "3 results", "CAR")
    assert pd.isna(row["source_file"])
    bld = made.results[(made.results["detection"] == "BLD") & (made.results["unit"] == "copies/ug")]
    assert bld["upper"].tolist() == [20]


def test_too_little_dna_flags_and_asks_for_another_extraction() -> None:
    made = put_together(plate([sample()], usual()), extractions=extraction(dna=2.0))
    (row,) = made.qc.to_dict("records")
    assert (row["check"], row["verdict"], row["limit"]) == ("dna_ng", "warn", "20 to 1000 ng")
    assert row["message"] == "S1: 10 ng of DNA in the reaction (measured), too little."
    assert set(made.results["status"]) == {"flagged"}
    assert set(made.results["flags"]) == {"dna_ng"}
    assert "extract again" in made.samples["repeat_reason"][0]


def test_the_assay_may_reject_what_holds_too_little_dna_or_not_look() -> None:
    strict = usual(acceptance={"dna_ng": {"consequence": "reject"}})
    made = put_together(
        plate([sample(flags="replicate_cv", verdict="flagged")], strict), extractions=extraction(dna=2.0)
    )
    assert set(made.results["status"]) == {"rejected"}
    assert set(made.results["flags"]) == {"replicate_cv;dna_ng"}
    blind = usual(acceptance={"dna_ng": {"consequence": "ignore"}})
    made = put_together(plate([sample()], blind), extractions=extraction(dna=2.0))
    assert set(made.results["status"]) == {"accepted"}
    assert made.qc["verdict"].tolist() == ["note"]


def counting(**limits: Any) -> Assay:
    return assay(
        limits=LIMITS,
        reference={"limits": limits},
        reaction={**REACTION, "dna_from": ["reference"]},
        acceptance={"dna_ng": {"lower": 1}},
    )


def test_the_reference_gene_gives_the_mass_and_no_result_of_its_own() -> None:
    made = put_together(plate([sample(), gene()], counting(lod=3)), units=("copies/cell",))
    assert made.results["value"].tolist() == pytest.approx([200 / 6000])
    assert made.samples["dna_source"].tolist() == ["reference"] * 2


@pytest.mark.parametrize(
    "bad", [{"verdict": "rejected"}, {"copies": 0.0}, {"copies": 5.0}, {"copies": 2e6}, {"copies": None}]
)
def test_a_reference_gene_outside_its_limits_counts_nothing(bad: dict[str, Any]) -> None:
    made = put_together(plate([sample(), gene(**bad)], counting(**LIMITS)), units=("copies/cell",))
    assert len(made.results) == 0
    assert "RPP30 has no single result" in made.qc["message"].str.cat(sep=" ")
    assert made.samples["repeat_reason"].dropna().tolist() == [
        "The reference gene was not quantified: repeat both targets."
    ]


def test_the_samples_sheet_says_the_matrix_before_the_assay_file() -> None:
    listed = sample(sample_id="X1", subject_id=None, matrix="blood")
    sheet = {"X1": "csf"}
    white = assay(limits=LIMITS, reaction={**REACTION, "blood_from": ["white_cells"]})
    made = put_together(plate([listed], white), matrices=sheet, units=("copies/ug", "copies/uL"))
    assert made.results[["unit", "matrix"]].to_numpy().tolist() == [["copies/ug", "csf"]]
    found = put_together(
        plate([listed | {"matrix": None}], white), matrices={"X1": "blood"}, units=("copies/uL",)
    )
    assert found.results["value"].tolist() == pytest.approx([16.5])


def test_a_sample_of_no_known_matrix_gives_no_result() -> None:
    made = put_together(plate([sample(matrix=None)], usual()))
    assert len(made.results) == 0
    assert made.qc["check"].tolist() == ["matrix_unknown"]
    by_id = put_together(plate([sample(matrix=None, sample_id="X1")], usual()))
    assert len(by_id.results) == 3


def test_controls_spikes_and_what_the_operator_left_out_give_no_results() -> None:
    made = put_together(
        plate(
            [
                sample("PC", 1e4, task="accuracy_control", subject_id=None),
                sample("NTC", 0.0, task="ntc", subject_id=None),
                sample("S3", 100.0, verdict="not_used", flags="omitted"),
            ],
            usual(),
        )
    )
    assert len(made.results) == 0
    assert len(made.samples) == 3
    assert made.samples["detection"].notna().tolist() == [False, False, True]


def test_a_failed_sample_is_answered_by_a_later_plate() -> None:
    made = put_together(
        plate([sample(flags="slope", verdict="rejected")], usual()), plate([sample()], usual(), file_id="p2")
    )
    assert made.results["status"].value_counts().to_dict() == {"accepted": 3, "rejected": 3}
    assert made.samples["repeat"].tolist() == [False, False]


def test_no_plates_give_empty_tables() -> None:
    made = put_together()
    tables = (made.results, made.samples, made.wells, made.curves, made.droplets, made.controls, made.qc)
    assert [len(t) for t in tables] == [0] * 7


verdicts = st.sampled_from(["accepted", "flagged", "rejected"])
records = st.lists(
    st.tuples(
        st.sampled_from(["S1", "S2", "S3"]),
        st.one_of(st.just(0.0), st.floats(0.1, 1e7)),
        verdicts,
        st.sampled_from([None, "replicate_cv", "above_standards", "slope"]),
    ),
    max_size=6,
    unique_by=lambda r: r[0],
)


@settings(deadline=None, max_examples=6)
@given(first=records, second=records, random=st.randoms())
def test_neither_the_order_of_rows_nor_of_plates_matters(first: Any, second: Any, random: Any) -> None:
    known = extraction() | extraction("S2", dna=3.0)
    of = usual()
    plates = [
        [sample(n, c, verdict=v, flags=f, source_row=i) for i, (n, c, v, f) in enumerate(chosen, 2)]
        for chosen in (first, second)
    ]
    one = put_together(*(plate(r, of, file_id=f"p{n}") for n, r in enumerate(plates)), extractions=known)
    shuffled = [random.sample(r, len(r)) for r in plates]
    other = put_together(
        *(plate(r, of, file_id=f"p{n}") for n, r in reversed(list(enumerate(shuffled)))), extractions=known
    )
    pd.testing.assert_frame_equal(one.results, other.results)
    pd.testing.assert_frame_equal(one.samples, other.samples)
    whole = one.results
    # Rejected or not: each sample that can be computed has a row, and bounds hold the value.
    assert len(whole[whole["unit"] == "copies/ug"]) == sum(r["sample"] != "S3" for p in plates for r in p)
    quantified = whole[whole["detection"] == "quantified"]
    assert (quantified["value"] > 0).all()
    assert whole.loc[whole["detection"] != "quantified", "value"].isna().all()
    assert not (whole["lower"] > whole["upper"]).any()


@settings(deadline=None, max_examples=6)
@given(copies=st.floats(0, 1e7), dna=st.floats(5, 200))
def test_the_units_of_one_result_stay_in_step(copies: float, dna: float) -> None:
    made = put_together(plate([sample(copies=copies)], usual()), extractions=extraction(dna=dna))
    found = by_unit(made)
    ratio = made.samples["dna_ng"][0] / 1000
    assert len(set(found["detection"])) == 1
    for name in ("value", "lower", "upper", "lod", "lloq", "uloq", "sd"):
        ug, cell, ul = (found.loc[u, name] for u in ("copies/ug", "copies/cell", "copies/uL"))
        assert cell == pytest.approx(ug * 6.6e-6, nan_ok=True)
        assert ul == pytest.approx(ug * ratio / 5 * 100 / 200, nan_ok=True)
    assert np.isnan(found.loc["copies/ug", "value"]) == (found.loc["copies/ug", "detection"] != "quantified")


def with_wells(file_id: str, of: Assay, shift: float = 0.0) -> PlateTables:
    wells = [
        {
            "plate": file_id,
            "well": f"A{n:02d}",
            "target": "CAR",
            "role": "transgene",
            "method": "qpcr",
            "task": "unknown",
            "cq": 20.123 + n + shift,
            "cq_kind": "quantified",
            "verdict": "accepted",
            "source_row": n,
        }
        for n in range(1, 6)
    ]
    return replace(plate([sample()], of, file_id=file_id), wells=rows(wells, WELLS))


def test_one_run_under_two_names_is_told() -> None:
    made = put_together(
        with_wells("p1", usual()), with_wells("p2", usual()), with_wells("p3", usual(), 0.001)
    )
    told = made.qc[made.qc["check"] == "plate_twice"]
    assert told[["source_file", "value", "verdict"]].to_numpy().tolist() == [["p2", "p1", "warn"]]
    # For another assay the same plate has other results.
    made = put_together(with_wells("p1", usual()), with_wells("p2", usual(assay="ddpcr")))
    assert not (made.qc["check"] == "plate_twice").any()


def test_a_sample_without_reference_gene_is_no_proof_of_absence() -> None:
    of = usual(reference={})
    pairs = [sample(copies=0.0), gene(copies=0.0), sample("S2", 0.0), gene("S2")]
    made = put_together(plate(pairs, of), extractions=extraction() | extraction("S2"))
    car = made.samples[made.samples["role"] == "transgene"].set_index("sample")
    assert car["verdict"].to_dict() == {"S1": "flagged", "S2": "accepted"}
    assert car["repeat"].to_dict() == {"S1": True, "S2": False}
    assert "repeat both targets" in car.loc["S1", "repeat_reason"]
    assert made.qc["check"].tolist().count("reference_gene") == 1
    assert set(made.results.loc[made.results["flags"].notna(), "flags"]) == {"reference_gene"}


@pytest.mark.parametrize("dna", [41.3, 137.7, 290.1])
def test_a_limit_in_the_unit_of_the_result_comes_back_as_it_was_given(dna: float) -> None:
    given = assay(limits={"unit": "copies/ug", "lod": 10, "lloq": 50}, reaction={"dna_ng": dna})
    found = by_unit(put_together(plate([sample()], given), extractions={})).loc["copies/ug"]
    assert (found["lod"], found["lloq"]) == (10.0, 50.0)
