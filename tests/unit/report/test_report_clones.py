"""What the pages of clones and integration sites are made from: named clones, counts, the overview, words, methods."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pandas as pd
import pytest
from tests.unit.report.cell_trial import cell_trial
from tests.unit.report.clone_trial import COUNTS, SITES, TOTALS, clone_tables, clone_trial

from cartrace import tables
from cartrace.config import Config, load
from cartrace.repertoire.tables import CLONE_SAMPLES, CLONES, SITE_SAMPLES
from cartrace.repertoire.vocabulary import (
    B_MEASURES,
    CHANGES,
    PAIRINGS,
    POPULATIONS,
    SHARINGS,
    SITE_ALARMS,
)
from cartrace.report import clones, clones_words
from cartrace.report.methods import sections
from cartrace.report.packing import Texts
from cartrace.report.page import payload, render

HOSTILE = '</script><img src=x onerror="alert(2)">'
WHOSE = {"P02": 1, "P03": 2}


def made_of(tables_: clones.CloneTables, texts: Texts | None = None, **settings: Any) -> dict[str, Any]:
    """Pack the tables of clones alone."""
    made = clones.payload(tables_, WHOSE, load(settings).repertoire, texts or Texts())
    assert made is not None
    return made


@pytest.fixture(scope="module")
def packed() -> dict[str, Any]:
    texts = Texts()
    return {**made_of(clone_tables(), texts), "texts": texts.listed}


def words(packed: dict[str, Any], table: str, column: str) -> list[str]:
    return [packed["texts"][v] if v >= 0 else "" for v in packed[table][column]]


def sample_names(packed: dict[str, Any], places: list[int]) -> list[str]:
    names = words(packed, "samples", "sample_id")
    return [names[k] for k in places]


def methods_of(tables_: clones.CloneTables, **settings: Any) -> dict[str, str]:
    return dict(sections(load(settings), {}, clones=tables_))


def test_without_clones_and_sites_there_is_no_tab_and_nothing_is_packed() -> None:
    data = cell_trial(1)
    assert payload(data, Config())["clones"] is None
    assert not any("lone" in name for name, _ in sections(Config(), {}, clones=data.clones))
    # The template shows the tab by this alone.
    assert (data.clones.listed, clone_tables().listed) == (False, True)


def test_with_clones_there_is_a_tab_and_hostile_text_stays_text() -> None:
    html = render(clone_trial(1, HOSTILE), Config())
    assert '<a href="#/clones">Clones</a>' in html
    assert "<h2>Clones: tracking</h2>" in html
    assert "<h2>Integration sites</h2>" in html
    assert "<img src=x" not in html


def test_samples_stand_once_with_the_product_first_and_then_in_time(packed: dict[str, Any]) -> None:
    assert words(packed, "samples", "sample_id") == ["S1", "S0", "S2", "S3", "S5", "S6", "S4"]
    assert packed["samples"]["product"] == [1, 0, 0, 0, 0, 0, 0]
    assert words(packed, "samples", "matrix")[0] == "infusion product"


def test_the_clones_that_are_named_are_the_surest_large_ones(packed: dict[str, Any]) -> None:
    named = packed["named"]
    mine = [r for r, (s, p) in enumerate(zip(named["s"], named["pop"], strict=True)) if (s, p) == (1, 0)]
    assert [words(packed, "named", "clonotype")[r] for r in mine[:3]] == ["T-001", "T-002", "T-003"]
    assert [named["shown"][r] for r in mine] == [1] * 12 + [0] * 4
    # T-003 is not of the product; the four after the twelve are, and were found later.
    assert [named["traced"][r] for r in mine[:3]] == [1, 1, 0]
    assert all(named["traced"][r] for r in mine[12:])


def test_one_cell_of_a_small_sample_makes_no_large_clone() -> None:
    base = clone_tables()
    rows = tables.records(base.clone_samples)
    one = next(r for r in rows if r["sample_id"] == "S6" and r["clonotype"] == "T-003")
    # A share of 20 % by one cell of five: its lower limit is below that of T-002.
    few = one | {"clonotype": "T-999", "cells": 1, "total": 5, "percent": 20.0, "lower": 0.5, "upper": 72.0}
    texts = Texts()
    made = made_of(dataclasses.replace(base, clone_samples=tables.rows([*rows, few], CLONE_SAMPLES)), texts)
    found = [texts.listed[k] for k, p in zip(made["named"]["clonotype"], made["named"]["pop"], strict=True) if p == 0]  # fmt: skip
    assert found.index("T-002") < found.index("T-999")


def test_a_clone_that_changed_is_named_though_it_is_small() -> None:
    base = clone_tables()
    texts = Texts()
    made = made_of(base, texts, repertoire={"tracking": {"shown_clones": 1}})
    t_cells = [k for k, (s, p) in enumerate(zip(made["named"]["s"], made["named"]["pop"], strict=True)) if (s, p) == (1, 0)]  # fmt: skip
    assert [texts.listed[made["named"]["clonotype"][k]] for k in t_cells] == ["T-001", "T-002", "T-003"]
    assert [made["named"]["shown"][k] for k in t_cells] == [1, 0, 0]
    assert [made["named"]["traced"][k] for k in t_cells] == [1, 0, 0]


def test_numbers_of_the_page_are_those_of_the_tables(packed: dict[str, Any]) -> None:
    base, seen, names = clone_tables(), packed["seen"], words(packed, "named", "clonotype")
    truth = base.clone_samples.set_index(["population", "clonotype", "sample_id", "subject_id"])
    who = {number: name for name, number in WHOSE.items()}
    for r, sample in enumerate(sample_names(packed, seen["k"])):
        row = truth.loc[(POPULATIONS[seen["pop"][r]], names[seen["n"][r]], sample, who[seen["s"][r]])]
        assert seen["cells"][r] == row["cells"]
        for limit in ("percent", "lower", "upper"):
            told = seen[limit][r]
            assert (told is None) == bool(pd.isna(row[limit]))
            assert told is None or told == pytest.approx(row[limit], rel=1e-4)
    # Each row of a named clone is there: T-001 was seen in five samples of P02 and one of P03.
    first = [n for n, name in enumerate(names) if name == "T-001" and packed["named"]["pop"][n] == 0]
    assert sum(n in first for n in seen["n"]) == len(COUNTS["T-001"]) + 1
    totals = {s: c for s, c, p in zip(sample_names(packed, packed["totals"]["k"]), packed["totals"]["cells"], packed["totals"]["pop"], strict=True) if p == 0}  # fmt: skip
    assert totals == TOTALS


def test_tests_are_counted_over_all_clones_and_listed_of_the_named(packed: dict[str, Any]) -> None:
    pairs = packed["pairs"]
    told = {
        (a, b): (t, e, c)
        for a, b, t, e, c in zip(sample_names(packed, pairs["a"]), sample_names(packed, pairs["b"]), pairs["tested"], pairs["expanded"], pairs["contracted"], strict=True)
    }  # fmt: skip
    assert told == {("S1", "S2"): (2, 1, 0), ("S1", "S5"): (3, 2, 1), ("S5", "S6"): (1, 0, 1)}
    # T-004 is not the largest of all or of the product, and did not change.
    tests = made_of(clone_tables(), repertoire={"tracking": {"shown_clones": 1}})["changes"]
    assert sorted(tests["q"]) == [1e-70, 1e-12, 1e-8, 1e-6, 2e-3]
    assert tests["odds_ratio"].count(None) == 1
    assert [x / 10 for x in tests["q"]] == pytest.approx(tests["p"])


def test_sizes_of_clones_are_read_by_their_names(packed: dict[str, Any]) -> None:
    assert packed["bin_names"] == ["1", "2-4", "5-9", "10+"]
    by_sample = dict(zip(sample_names(packed, packed["totals"]["k"]), packed["totals"]["bins"], strict=True))
    assert by_sample["S1"] == [50, 20, 10, 20]
    assert by_sample["S3"] == [None] * 4


def test_the_overview_takes_the_last_sample_that_counts_blood_before_marrow(packed: dict[str, Any]) -> None:
    first = packed["overview"]
    at = {name: sample_names(packed, first[name]["k"]) for name in first}
    assert at["products"] == ["S1", "S1"]
    assert dict(zip(first["last"]["s"], at["last"], strict=True)) == {1: "S5", 2: "S4"}
    largest = {(s, p): (c, t) for s, p, c, t in zip(first["largest"]["s"], first["largest"]["pop"], first["largest"]["cells"], first["largest"]["total"], strict=True)}  # fmt: skip
    assert largest == {(1, 0): (250, 500), (1, 1): (125, 250), (2, 0): (60, 80)}
    assert (first["found"]["found"], first["found"]["product_clones"]) == ([5], [130])
    assert (first["old"]["cells"], first["old"]["total"], at["old"]) == ([1], [100], ["S6"])
    assert at["site"] == ["S5"]
    assert first["site"]["percent"] == [pytest.approx(100 * 60 / sum(s.get("S5", 0) for s in SITES.values()), rel=1e-4)]  # fmt: skip


def test_sites_are_the_largest_and_those_near_a_gene_of_concern() -> None:
    base = clone_tables()
    rows = tables.records(base.site_samples)
    small = next(r for r in rows if r["site"] == "chr2+1000") | {"site": "chr9+9", "of_concern": True, "lower": 0.0, "percent": 0.1}  # fmt: skip
    texts = Texts()
    made = made_of(dataclasses.replace(base, site_samples=tables.rows([*rows, small], SITE_SAMPLES)), texts)
    found = {texts.listed[k] for k in made["sites"]["site"]}
    assert {"chr11+33880000", "chr1-1099346", "chr9+9"} <= found
    # The twelve largest, which those of CD14+ are among, and the one of concern.
    assert len(found) == 13
    totals = dict(zip(zip(made["site_totals"]["k"], made["site_totals"]["cell_type"], strict=True), made["site_totals"]["sites"], strict=True))  # fmt: skip
    # S1 has all 28 sites of CD3+ and the small one, S2 all but one, S6 two; CD14+ one.
    assert sorted(totals.values()) == [1, 2, 27, 28, 29]


def test_chains_are_counted_by_library_receptor_and_pairing(packed: dict[str, Any]) -> None:
    table = packed["receptors"]
    rows = list(zip(words(packed, "receptors", "library"), words(packed, "receptors", "receptor"), table["single_pair"], table["orphan_vdj"], table["multichain"], table["ambiguous"], table["barcodes"], strict=True))  # fmt: skip
    assert [r for r in rows if r[0] == "L1"] == [("L1", "B", 8, 0, 0, 0, 8), ("L1", "T", 60, 30, 10, 0, 100), ("L1", "both", 0, 0, 0, 2, 2)]  # fmt: skip


def test_of_pairs_of_libraries_only_those_with_a_common_clone_are_listed(packed: dict[str, Any]) -> None:
    assert words(packed, "sharing", "taken_for") == ["swap"]
    assert packed["sharing"]["s_a"] == [1]
    assert packed["sharing"]["s_b"] == [2]
    assert packed["compared"]


def test_a_large_repertoire_does_not_make_the_page_heavy() -> None:
    base = clone_tables()
    one = tables.records(base.clones)[0]
    row = tables.records(base.clone_samples)[0]
    many = [f"T-{k:06}" for k in range(3000)]
    big = dataclasses.replace(
        base,
        clones=tables.rows([one | {"clonotype": c} for c in many], CLONES),
        clone_samples=tables.rows(
            [row | {"clonotype": c, "cells": 1, "percent": 0.1, "lower": 0.01} for c in many], CLONE_SAMPLES
        ),
    )
    made = made_of(big)
    assert len(made["named"]["s"]) <= 40
    assert len(json.dumps(made)) < 40_000


def test_empty_tables_of_some_kind_leave_the_others_alone() -> None:
    base = clone_tables()
    sites = made_of(clones.CloneTables(site_samples=base.site_samples, site_alarms=base.site_alarms))
    assert sites["named"]["s"] == []
    assert len(sites["alarms"]["s"]) == 2
    b_cells = made_of(clones.CloneTables(b_return=base.b_return))
    assert b_cells["overview"]["old"]["cells"] == [1]
    chains = made_of(clones.CloneTables(receptors=base.receptors))
    assert chains["samples"]["s"] == []


def test_every_code_has_words() -> None:
    for codes, told in (
        (POPULATIONS, clones_words.POPULATION),
        (PAIRINGS, clones_words.PAIRING),
        (B_MEASURES, clones_words.MEASURE),
        (SHARINGS, clones_words.SHARING),
        (SITE_ALARMS, clones_words.ALARM),
        (CHANGES, clones_words.CHANGE),
    ):
        assert list(told) == list(codes)
        assert all(told.values())


def test_an_index_of_sites_is_not_told_as_one_of_clones(packed: dict[str, Any]) -> None:
    of_clones, of_sites = packed["indices"]["clonotype"], packed["indices"]["site"]
    assert of_clones[0][2].startswith("Clones seen.")
    assert of_sites[0][2].startswith("Sites seen.")
    assert len(of_sites) == len(packed["index_names"])


def test_dates_are_blanked() -> None:
    dated = clone_tables().site_alarms.assign(message="seen on 2024-05-17").astype({"message": "string"})
    texts = Texts()
    made_of(clones.CloneTables(site_alarms=dated, site_samples=clone_tables().site_samples), texts)
    assert not any("2024-05-17" in text for text in texts.listed)
    assert any(text.startswith("seen on ") for text in texts.listed)


def test_the_methods_tell_only_what_the_trial_has() -> None:
    assert [name for name in methods_of(clone_tables()) if "lone" in name or "ites" in name] == [
        "Clones: receptors and clonotypes",
        "Clones: tracking",
        "Clones: diversity and overlap",
        "Clones: shared between patients",
        "Clones: B cells that return",
        "Integration sites",
    ]
    base = clone_tables()
    sites = methods_of(clones.CloneTables(site_samples=base.site_samples))
    assert "Clones: tracking" not in sites
    assert "No list of genes of concern was given." in sites["Integration sites"]


def test_the_methods_hold_the_numbers_of_the_configuration() -> None:
    settings = {"repertoire": {
        "clonotypes": {"b_identity": 0.9, "t_chains": "paired"}, "tracking": {"fdr": 0.01, "min_sample_cells": 33}, "diversity": {"rarefied_to": 77},
        "b_cells": {"mutated_above": 0.03}, "sites": {"dominant_percent": 25, "genes_of_concern": "genes.txt"},
    }}  # fmt: skip
    told = methods_of(clone_tables(), **settings)
    clonotypes = told["Clones: receptors and clonotypes"]
    assert "at least 90 % of its nucleotides" in clonotypes
    assert "their beta and their alpha chain" in clonotypes
    assert "fewer than 33 such cells" in told["Clones: tracking"]
    assert "is below 0.01" in told["Clones: tracking"]
    assert "77 cells" in told["Clones: diversity and overlap"]
    assert "more than 3 % of the bases" in told["Clones: B cells that return"]
    assert "reaches 25 %" in told["Integration sites"]
    assert "a gene of the trial's list are marked" in told["Integration sites"]
