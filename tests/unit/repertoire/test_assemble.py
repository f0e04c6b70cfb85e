"""Clones and sites of all subjects: results, findings, flags, from tables made by hand."""

from __future__ import annotations

import json
from typing import Any

import pandas as pd
import pytest
from tests.unit.repertoire.hand_tables import (
    SAMPLES,
    alarms,
    b_return_rows,
    clone_samples,
    clone_totals,
    persistence,
    sites,
    tables,
)

from cartrace.config import Config
from cartrace.depletion.course import compute_depletion
from cartrace.intake.assemble import assemble
from cartrace.intake.repertoire_plan import ContigPlan, RepertoirePlan, SitePlan
from cartrace.intake.results import RESULTS
from cartrace.intake.sheet_tables import SheetTables
from cartrace.kinetics.course import compute_metrics
from cartrace.repertoire.assemble import (
    DOUBT,
    FEW,
    MISSING,
    Sources,
    assemble_repertoire,
    doubted_libraries,
    results_of,
)
from cartrace.repertoire.metrics import Tables
from cartrace.repertoire.tables import CLONE_CELLS, SHARED
from cartrace.tables import INFUSIONS, QC, SUBJECTS, empty, records, rows
from cartrace.tables import SAMPLES as TABLE_OF_SAMPLES

CONFIG = Config()
SOURCES = Sources(
    {f"L-{name}": f"sha-{name}" for name in SAMPLES},
    {"I1": ("d28", "unsorted", "sha-1"), "I2": ("d90", "unsorted", "sha-2")},
)
COUNTS = {"product": {"a": 30, "b": 10}, "d28": {"a": 20, "x": 60}, "d90": {"x": 5, "y": 20}}
KEPT = persistence(
    {"d28": {"found": 1, "cells": 20, "total": 80}, "d90": {"found": 0, "cells": 0, "total": 25}}
)
T_CELLS = {"samples": clone_samples(COUNTS), "totals": clone_totals(COUNTS), "persistence": KEPT}


def told(made: Tables, doubted: dict[str, set[str]] | None = None) -> dict[tuple[str, str], dict[str, Any]]:
    frame = rows(results_of(made, SOURCES, CONFIG, doubted or {}), RESULTS)
    return {(r["sample_id"], r["analyte"]): r for r in records(frame)}


def test_the_largest_clone_and_those_of_the_product_become_results():
    found = told(tables(**T_CELLS))
    assert found["d28", "largest_t_clone_fraction"]["value"] == 75
    assert found["product", "largest_t_clone_fraction"]["value"] == 75
    row = found["d28", "product_clone_fraction"]
    assert (row["value"], row["lower"], row["upper"], row["detection"]) == (25, 25, 25, "quantified")
    assert (row["assay"], row["unit"], row["status"]) == ("scTCR-seq", "%", "accepted")
    assert (row["source_file"], row["source_sha256"]) == ("L-d28", "sha-d28")
    # A product is not compared with itself.
    assert ("product", "product_clone_fraction") not in found


def test_none_of_n_is_below_detection_and_no_zero():
    row = told(tables(**T_CELLS))["d90", "product_clone_fraction"]
    assert (row["value"], row["detection"], row["censoring"], row["lower"]) == (None, "BLD", "left", 0)
    # 25 cells miss a share of 11.29 % with a probability of 5 %: 1 - 0.05 ** (1 / 25).
    assert row["upper"] == row["lod"] == pytest.approx(11.29, abs=0.01)


def test_a_sample_with_too_few_cells_has_a_finding_and_no_result():
    made = tables(**(T_CELLS | {"totals": clone_totals(COUNTS, rejected=["d90"])}))
    assert not [key for key in told(made) if key[0] == "d90"]
    qc = records(assemble_repertoire(made, empty(CLONE_CELLS), [], SOURCES, CONFIG).qc)
    assert [(r["check"], r["sample_id"], r["subject_id"], r["message"]) for r in qc] == [
        ("clones_not_estimable", "d90", "P1", "t_cells: too few cells")
    ]


def test_no_car_t_cells_from_before_the_infusion_are_no_finding():
    totals = clone_totals({"pre": {}, "d28": {}}, "car_t_cells", rejected=["pre", "d28"])
    qc = assemble_repertoire(tables(totals=totals), empty(CLONE_CELLS), [], SOURCES, CONFIG).qc
    assert qc["sample_id"].tolist() == ["d28"]


def test_a_product_with_too_few_cells_gives_no_share():
    few = persistence({"d28": {"found": 0, "reason": "product: 3 cells with a clone, fewer than 20"}})
    made = tables(**(T_CELLS | {"persistence": few}))
    assert ("d28", "product_clone_fraction") not in told(made)
    qc = assemble_repertoire(made, empty(CLONE_CELLS), [], SOURCES, CONFIG).qc
    assert qc["message"].tolist() == [
        "product clones in t_cells: product: 3 cells with a clone, fewer than 20"
    ]


def test_only_the_product_of_the_own_infusion_counts():
    other = KEPT.assign(product_sample="product of another infusion", cells=40)
    both = pd.concat([KEPT, other], ignore_index=True)
    assert told(tables(**(T_CELLS | {"persistence": both}))) == told(tables(**T_CELLS))


def test_a_pool_with_a_library_without_cells_is_flagged():
    totals = clone_totals(COUNTS).assign(verdict="flagged", reason="no cell from L2")
    row = told(tables(**(T_CELLS | {"totals": totals})))["d28", "largest_t_clone_fraction"]
    assert (row["status"], row["flags"]) == ("flagged", MISSING)


def test_car_t_cells_have_an_assay_of_their_own():
    found = rows(
        results_of(
            tables(samples=clone_samples(COUNTS, "car_t_cells"), totals=clone_totals(COUNTS, "car_t_cells")),
            SOURCES,
            CONFIG,
            {},
        ),
        RESULTS,
    )
    assert set(found["assay"]) == {"scTCR-seq (CAR+ T cells)"}


def test_b_cells_become_results_by_measure():
    shares = {
        ("d90", "naive"): (60, 80),
        ("d90", "old_clones"): (0, 80),
        ("d90", "ighm"): (64, 80),
        ("d90", "mutated"): (0, 0),
    }
    b = {"d90": {"B-1": 80}}
    made = tables(
        samples=clone_samples(b, "b_cells"),
        totals=clone_totals(b, "b_cells"),
        b_return=b_return_rows(shares),
    )
    found = told(made)
    assert {key[1] for key in found} == {"naive_bcr_fraction", "old_b_clone_fraction", "ighm_b_fraction"}
    assert found["d90", "naive_bcr_fraction"]["value"] == 75
    assert found["d90", "ighm_b_fraction"]["value"] == 80
    assert found["d90", "old_b_clone_fraction"]["detection"] == "BLD"
    assert found["d90", "naive_bcr_fraction"]["assay"] == "scBCR-seq"
    qc = assemble_repertoire(made, empty(CLONE_CELLS), [], SOURCES, CONFIG).qc
    assert qc["message"].tolist() == ["mutated: nothing known"]
    doubted = tables(
        samples=made.samples,
        totals=made.totals,
        b_return=b_return_rows({("d90", "naive"): (6, 8)}, verdict="flagged", reason="8 B cells"),
    )
    assert told(doubted)["d90", "naive_bcr_fraction"]["flags"] == DOUBT


def test_the_largest_site_becomes_a_result():
    made = tables(sites=sites({"d28": {"s1": 60.0, "s2": 20.0}, "d90": {"s1": 4.0}}), alarms=alarms([]))
    found = told(made)
    row = found["d28", "largest_site_fraction"]
    assert (row["value"], row["assay"], row["source_file"]) == (75, "integration sites", "I1")
    few = found["d90", "largest_site_fraction"]
    assert (few["status"], few["flags"], few["detection"]) == ("flagged", FEW, "BLQ")


def test_libraries_under_the_wrong_subject_are_flagged():
    swap = {"check": "sample_swap", "source_file": "L-d28"}
    hopped = rows(
        [
            {
                "library_a": "L-d90",
                "subject_a": "P1",
                "library_b": "L9",
                "subject_b": "P9",
                "receptor": "T",
                "clones_a": 5,
                "clones_b": 5,
                "shared": 4,
                "shared_barcodes": 4,
                "taken_for": "index_hopping",
            }
        ],
        SHARED,
    )
    doubted = doubted_libraries(hopped, [swap, {"check": "public_clones", "source_file": "L-product"}])
    found = told(tables(**T_CELLS), doubted)
    flags = {key[0]: row["flags"] for key, row in found.items()}
    assert flags == {"product": None, "d28": "sample_swap", "d90": "index_hopping"}
    assert found["d28", "product_clone_fraction"]["status"] == "flagged"


def test_findings_of_a_library_are_shown_with_its_subject():
    findings = rows(
        [
            {"check": "empty_contigs", "verdict": "note", "source_file": "L-d28", "message": "It is empty."},
            {"check": "no_sites", "verdict": "note", "source_file": "I2", "message": "None."},
        ],
        QC,
    )
    made = tables(**T_CELLS, sites=sites({"d28": {"s1": 30.0}}))
    qc = records(assemble_repertoire(made, empty(CLONE_CELLS), [findings], SOURCES, CONFIG).qc)
    assert [(r["sample_id"], r["subject_id"]) for r in qc] == [("d28", "P1"), ("d90", "P1")]


def test_sources_say_what_they_lack():
    made = tables(**T_CELLS)
    with pytest.raises(ValueError, match="--sources: no library L-product"):
        list(results_of(made, Sources({}, {}), CONFIG, {}))
    with pytest.raises(ValueError, match="no sites of unsorted in sample d28"):
        list(results_of(tables(sites=sites({"d28": {"s1": 30.0}})), Sources({}, {}), CONFIG, {}))


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"libraries": [], "site_sets": {}}', '{"site_sets": 1}'])
def test_sources_of_another_form_are_refused(text):
    with pytest.raises(ValueError, match="--sources: allowed is"):
        Sources.of([text])


def test_the_plan_tells_the_sources():
    facts = {"sample_id": "d28", "cell_type": "NK cells"}
    plan = RepertoirePlan(
        {"L1": ContigPlan("L1", "P1", "t.csv", "", "sha-l", facts)},
        {"I1": SitePlan("I1", "P1", "s.tsv", "", "", is_bam=False, sha256="sha-i", facts=facts)},
        {"P1": "P1"},
        "",
        "",
    )
    assert Sources.of(plan.sources) == Sources({"L1": "sha-l"}, {"I1": ("d28", "NK cells", "sha-i")})


def test_no_source_is_longer_than_one_argument_of_a_command_may_be():
    contigs = {f"L{n}": ContigPlan(f"L{n}", "P1", "t.csv", "", f"{n:064x}", {}) for n in range(3000)}
    sources = RepertoirePlan(contigs, {}, {"P1": "P1"}, "", "").sources
    assert max(map(len, sources)) < 1000
    assert Sources.of(sources).libraries == {name: item.sha256 for name, item in contigs.items()}


def test_sources_of_pooled_libraries_have_a_digest_of_their_own():
    sources = Sources.of([json.dumps({"libraries": {"A": "1"}}), json.dumps({"libraries": {"B": "2"}})])
    both = sources.of_libraries("A;B")
    assert (both["source_file"], both["n_replicates"]) == ("A;B", 2)
    assert both["source_sha256"] not in {"1", "2"}
    assert sources.of_libraries("A")["source_sha256"] == "1"


def test_a_trial_without_clones_gives_empty_tables():
    made = assemble_repertoire(tables(), empty(CLONE_CELLS), [], Sources({}, {}), CONFIG)
    assert [len(t) for t in (made.results, made.metrics, made.sharing, made.qc)] == [0, 0, 0, 0]


def test_measurements_take_them_and_no_course_is_made_of_them():
    made = tables(**T_CELLS, sites=sites({"d28": {"s1": 60.0, "s2": 20.0}}))
    results = rows(results_of(made, SOURCES, CONFIG, {}), RESULTS)
    sheets = SheetTables(
        rows([{"subject_id": "P1"}], SUBJECTS),
        rows(
            [
                {
                    "subject_id": "P1",
                    "infusion": 1,
                    "study_day": 0.0,
                    "product": "P",
                    "vector": "lentiviral",
                }
            ],
            INFUSIONS,
        ),
        rows([{"subject_id": "P1", **sample} for sample in SAMPLES.values()], TABLE_OF_SAMPLES),
    )
    measurements, qc = assemble([results], [], sheets, CONFIG)
    assert len(measurements) == len(results) == 6
    assert set(measurements["status"]) == {"accepted"}
    assert measurements.groupby("sample_id")["day"].first().to_dict() == {"product": 0, "d28": 28, "d90": 90}
    assert not len(qc)
    assert not len(compute_metrics(measurements, sheets.infusions, CONFIG.kinetics))
    depleted = compute_depletion(measurements, sheets.infusions, sheets.events, CONFIG.depletion)
    assert not len(depleted.metrics)
    assert not len(depleted.episodes)
