"""The shipped panels keep the rules, and a faulty file is told with all its faults."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from tests.unit.cells.hand_types import PANELS, shipped

from cartrace.cells.panels import read_panels
from cartrace.cells.vocabulary import CELL_TYPES, LINEAGES, T_STATES
from cartrace.problems import InputError

SMALL = {
    "sources": {"house": "House value"},
    "levels": {"low": 1},
    "lineages": {
        "t": {"sources": ["house"], "markers": {"low": ["CD3E"]}},
        "b": {"sources": ["house"], "markers": {"low": ["MS4A1"]}, "absent": ["CD3E"]},
    },
}


def written(folder: Path, raw: object) -> Path:
    path = folder / "panels.yaml"
    path.write_text(yaml.safe_dump(raw))
    return path


def test_every_lineage_and_nearly_every_type_has_a_panel() -> None:
    panels = shipped()
    assert {p.named or n for n, p in panels.lineages.items()} == set(LINEAGES) - {"unassigned"}
    typed = {t for group in panels.types.values() for t in group}
    typed |= {p.cell_type or n for n, p in panels.lineages.items() if n not in panels.types}
    open_ = {t for t in CELL_TYPES if t.startswith("unassigned")}
    # Told by what a cell and its neighbours lack.
    assert set(CELL_TYPES) - open_ - typed == {"double_negative_t"}
    # Told by the type, and by the cell cycle.
    assert set(T_STATES) - set(panels.states) == {"treg", "proliferating", "unassigned"}


def test_every_source_is_used_and_every_gene_has_its_ensembl_id() -> None:
    panels = shipped()
    used = {s for _, group in panels.groups() for p in group.values() for s in p.sources}
    assert used == set(panels.sources)
    without = [g for g in panels.all_genes if not any(n.startswith("ENSG") for n in panels.genes.get(g, ()))]
    assert without == ["IGLL5"]  # not in the reference that the ids are from
    names = [n for others in panels.genes.values() for n in others]
    assert len(names) == len(set(names))


def test_the_cell_cycle_has_the_genes_of_tirosh() -> None:
    cycle = shipped().cell_cycle
    assert {p: sum(len(g) for g in panel.markers.values()) for p, panel in cycle.items()} == {
        "S": 43,
        "G2M": 54,
    }


def test_no_gene_of_a_car_is_a_marker_of_a_lineage() -> None:
    panels = shipped()
    for panel in panels.lineages.values():
        assert not {g for genes in panel.markers.values() for g in genes} & set(panels.shared_with_cars)


def test_a_small_file_of_the_user_is_read(tmp_path: Path) -> None:
    panels = read_panels(written(tmp_path, SMALL), "panels.yaml")
    assert panels.all_genes == ("CD3E", "MS4A1")


def test_all_faults_are_told_at_once(tmp_path: Path) -> None:
    raw = {
        **SMALL,
        "lineages": {
            "t": {"sources": ["hause"], "markers": {"lw": ["CD3E"]}},
            "tee": {"sources": ["house"], "markers": {"low": ["CD3E"]}},
        },
        "types": {"t": {"cd5_t": {"sources": ["house"], "markers": {}}}},
        "states": {"treg": {"sources": ["house"], "markers": {}}},
        "cell_cycle": {"G1": {"sources": ["house"], "markers": {}}},
    }
    with pytest.raises(InputError) as told:
        read_panels(written(tmp_path, raw), "panels.yaml")
    text = str(told.value)
    for part in (
        "'hause' is not defined above (did you mean 'house'?)",
        "'lw' is not defined above (did you mean 'low'?)",
        "lineages.tee is no lineage",
        "types.t.cd5_t",
        "states.treg",
        "cell_cycle.G1",
    ):
        assert part in text


def test_a_gene_in_two_lists_and_an_unknown_key_are_faults(tmp_path: Path) -> None:
    twice = {"sources": ["house"], "markers": {"low": ["CD3E"]}, "absent": ["CD3E"]}
    with pytest.raises(InputError, match="twice here: CD3E"):
        read_panels(written(tmp_path, {**SMALL, "lineages": {"t": twice}}), "panels.yaml")
    odd = {"sources": ["house"], "markers": {}, "negative": ["CD3E"]}
    with pytest.raises(InputError, match="unknown key 'negative'"):
        read_panels(written(tmp_path, {**SMALL, "lineages": {"t": odd}}), "panels.yaml")


def test_a_type_of_another_lineage_is_a_fault(tmp_path: Path) -> None:
    wrong = {"type": "nk", "sources": ["house"], "markers": {"low": ["CD3E"]}}
    with pytest.raises(InputError, match="no type of its lineage"):
        read_panels(written(tmp_path, {**SMALL, "lineages": {"t": wrong}}), "panels.yaml")


def test_the_file_says_that_it_can_be_replaced() -> None:
    assert "cells.types.panels" in PANELS.read_text()
