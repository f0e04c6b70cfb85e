"""Sites of one subject over its samples, by hand."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.repertoire.hand_sites import site_set, sites_of, tracked_of

from cartrace.repertoire.settings import Repertoire
from cartrace.repertoire.site_clonality import (
    findings,
    of_concern,
    planned,
    site_diversity,
    site_overlap,
    site_samples,
    track,
)
from cartrace.tables import records

PRODUCT = site_set("prod", day=0, matrix="infusion_product")


def test_sites_a_few_bases_apart_are_one_named_after_the_earliest() -> None:
    plan = [site_set("late", day=90), PRODUCT, site_set("early", day=28)]
    sites = {
        "prod": {"chr1+1003": 1.0, "chr1+5000": 1.0},
        "early": {"chr1+1000": 9.0, "chr1-1003": 1.0},
        "late": {"chr1+1007": 4.0, "chr1+1013": 2.0},
    }
    tracked = tracked_of(plan, sites)
    assert {k[1]: {n: s.abundance for n, s in v.items()} for k, v in tracked.counts.items()} == {
        "prod": {"chr1+1003": 1.0, "chr1+5000": 1.0},
        "early": {"chr1+1003": 9.0, "chr1-1003": 1.0},
        "late": {"chr1+1003": 4.0, "chr1+1013": 2.0},
    }


def test_within_the_earliest_sample_the_larger_position_names_a_site() -> None:
    tracked = tracked_of([PRODUCT], {"prod": {"chr1+1000": 1.0, "chr1+1004": 3.0}})
    assert {n: s.abundance for n, s in tracked.counts["T", "prod"].items()} == {"chr1+1004": 4.0}


def test_later_samples_rename_nothing() -> None:
    first = {"prod": {"chr1+1000": 1.0, "chr2-70": 2.0}}
    more = first | {"late": {"chr1+1001": 50.0, "chr2-66": 9.0}}
    before = tracked_of([PRODUCT], first)
    after = tracked_of([PRODUCT, site_set("late", day=90)], more)
    assert list(after.counts["T", "prod"]) == list(before.counts["T", "prod"])


def test_shares_have_exact_intervals_on_whole_cells() -> None:
    tracked = tracked_of([site_set("a")], {"a": {"chr1+10": 2.4, "chr1+20": 7.6}})
    first, second = records(site_samples(tracked, genes=None, gene_distance=0, confidence=0.95))
    assert first["percent"] == pytest.approx(24)
    assert first["total"] == pytest.approx(10)
    # 2 of 10: Clopper and Pearson 0.02521 to 0.55610.
    assert first["lower"] == pytest.approx(2.521, abs=1e-3)
    assert first["upper"] == pytest.approx(55.610, abs=1e-3)
    assert second["lower"] == pytest.approx(100 - first["upper"])
    assert first["of_concern"] is None


def test_sets_of_one_sample_and_cell_type_are_added_up_and_told() -> None:
    plan = [site_set("a", sample="S"), site_set("b", sample="S")]
    tracked = tracked_of(plan, {"a": {"chr1+10": 2.0}, "b": {"chr1+11": 3.0}})
    found = site_samples(tracked, genes=None, gene_distance=0, confidence=0.95)
    assert found["abundance"].tolist() == [5.0]
    assert [f["check"] for f in findings(tracked, found, None)] == ["pooled_site_sets"]


def test_cell_types_that_share_a_site_on_one_day_are_named() -> None:
    plan = [
        site_set("t", sample="S1", cell_type="T"),
        site_set("b", sample="S2", cell_type="B"),
        site_set("later", day=90, cell_type="NK"),
    ]
    sites = {
        "t": {"chr1+10": 1.0, "chr1+50": 4.0},
        "b": {"chr1+12": 2.0, "chr1+90": 1.0},
        "later": {"chr1+50": 1.0},
    }
    tracked = tracked_of(plan, sites)
    found = site_samples(tracked, genes=None, gene_distance=0, confidence=0.95)
    told = {(r["cell_type"], r["site"]): r["cell_types"] for r in records(found)}
    # Two sites of one abundance and day: the lower position names both.
    assert told["T", "chr1+12"] == told["B", "chr1+12"] == "B;T"
    assert told["T", "chr1+50"] == "T"
    assert told["NK", "chr1+50"] == "NK"
    (finding,) = findings(tracked, found, None)
    assert (finding["check"], finding["value"]) == ("sites_shared_by_cell_types", "1")


def test_a_sample_without_sites_is_no_share_but_has_a_reason() -> None:
    tracked = tracked_of([site_set("a"), site_set("b", day=60)], {"a": {"chr1+10": 30.0}, "b": {}})
    assert site_samples(tracked, genes=None, gene_distance=0, confidence=0.95)["sample_id"].tolist() == ["a"]
    empty = [r for r in records(site_diversity(tracked, Repertoire())) if r["sample_id"] == "b"]
    assert {r["value"] for r in empty} == {None}
    assert all(r["reason"] for r in empty)
    (pair,) = records(site_overlap(tracked, Repertoire()))
    assert pair["jaccard"] is None
    assert pair["reason"]


def test_indices_and_overlap_are_those_of_the_sites() -> None:
    sites = {"a": {"chr1+10": 20.0, "chr1+90": 20.0}, "b": {"chr1+11": 40.0}}
    tracked = tracked_of([site_set("a"), site_set("b", day=60)], sites)
    values = {
        (r["sample_id"], r["index"]): r["value"]
        for r in records(site_diversity(tracked, Repertoire()))
        if not r["rarefied"]
    }
    assert values["a", "richness"] == 2
    assert values["a", "hill_1"] == pytest.approx(2)
    assert values["b", "shannon"] == 0
    (pair,) = records(site_overlap(tracked, Repertoire()))
    assert (pair["unit"], pair["shared"], pair["jaccard"]) == ("site", 1, 0.5)


@pytest.mark.parametrize(
    ("gene", "distance", "genes", "expected"),
    [
        ("LMO2", 50_000, {"LMO2"}, True),
        ("LMO2", 50_001, {"LMO2"}, False),
        ("lmo2", 0, {"LMO2"}, True),
        ("ABC,LMO2 *", 10, {"LMO2"}, True),
        ("LMO2-AS1", 10, {"LMO2"}, False),
        ("ABC", None, {"LMO2"}, False),
        ("LMO2", None, {"LMO2"}, None),
        (None, None, {"LMO2"}, None),
        ("LMO2", 0, None, None),
    ],
)
def test_a_gene_of_concern_is_near_within_the_distance(
    gene: str | None, distance: int | None, genes: set[str] | None, expected: bool | None
) -> None:
    assert of_concern(gene, distance, genes, 50_000) is expected


def test_genes_that_are_not_told_are_counted() -> None:
    tracked = tracked_of([site_set("a")], {"a": {"chr1+10": 1.0, "chr1+90": 1.0}}, {"chr1+10": ("LMO2", 9)})
    found = site_samples(tracked, genes={"LMO2"}, gene_distance=100, confidence=0.95)
    assert found["of_concern"].tolist()[0] is True or bool(found["of_concern"][0])
    (finding,) = findings(tracked, found, {"LMO2"})
    assert (finding["check"], finding["value"]) == ("genes_of_concern_not_known", "1")


@settings(max_examples=25, deadline=None)
@given(
    st.lists(st.tuples(st.integers(1, 60), st.sampled_from("+-"), st.integers(1, 9)), max_size=20),
    st.randoms(use_true_random=False),
)
def test_row_order_changes_nothing_and_no_cell_is_lost(
    places: list[tuple[int, str, int]], random: object
) -> None:
    unique = {f"chr1{strand}{position}": float(n) for position, strand, n in places}
    frame = sites_of("a", unique)
    shuffled = frame.sample(frac=1, random_state=random.randrange(99)) if len(frame) else frame  # type: ignore[attr-defined]
    plan = planned([site_set("a")])
    one, other = (track("P1", plan, {"a": f}, 5).counts["T", "a"] for f in (frame, shuffled))
    assert {n: s.abundance for n, s in one.items()} == {n: s.abundance for n, s in other.items()}
    assert sum(s.abundance for s in one.values()) == sum(unique.values())
    for strand in "+-":
        kept = sorted(s.position for s in one.values() if s.strand == strand)
        assert all(b - a > 5 for a, b in pairwise(kept))


def test_a_plan_with_unknown_facts_is_refused() -> None:
    with pytest.raises(ValueError, match="--plan"):
        planned([{**PRODUCT, "colour": "red"}])
