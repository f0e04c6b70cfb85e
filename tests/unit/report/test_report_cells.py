"""What the pages of libraries and cells are made from: the list, the counts, the picture, contrasts, words, methods."""

from __future__ import annotations

import ast
import dataclasses
import json
from importlib.resources import files
from typing import Any

import pandas as pd
import pytest
from tests.unit.report.cell_trial import cell_tables, cell_trial, genes, share
from tests.unit.report.full_trial import full_trial

from cartrace import tables
from cartrace.cells.pseudobulk import CONTRASTS
from cartrace.cells.tables import COMPOSITION, EXPRESSION
from cartrace.cells.vocabulary import CELL_TYPES, CHEMISTRIES, LINEAGES, SORTS, T_STATES
from cartrace.config import Config, load
from cartrace.report import cells_words, libraries
from cartrace.report.methods import sections
from cartrace.report.packing import Texts
from cartrace.report.page import payload, render

HOSTILE = '</script><img src=x onerror="alert(2)">'


def made_of(tables_: libraries.CellTables, texts: Texts | None = None, **settings: Any) -> dict[str, Any]:
    """Pack the tables of cells alone."""
    made = libraries.payload(tables_, {"P02": 1, "P03": 2}, load(settings).cells, texts or Texts())
    assert made is not None
    return made


@pytest.fixture(scope="module")
def packed() -> dict[str, Any]:
    return payload(cell_trial(3), Config())


def texts_of(packed: dict[str, Any], values: list[int]) -> list[str]:
    return [packed["texts"][v] if v >= 0 else "" for v in values]


def column(packed: dict[str, Any], name: str) -> list[str]:
    return texts_of(packed, packed["cells"]["libraries"][name])


def methods_of(tables_: libraries.CellTables, **settings: Any) -> dict[str, str]:
    return dict(sections(load(settings), {}, cells=tables_))


def test_without_a_library_there_is_no_tab_and_nothing_is_packed() -> None:
    data = full_trial(1)
    assert payload(data, Config())["cells"] is None
    html = render(data, Config())
    assert 'href="#/libraries"' not in html
    assert "Single-cell libraries: " not in html.split('<section id="methods"')[1].split("</section>")[0]


def test_with_libraries_there_are_two_tabs_and_the_methods_tell_how() -> None:
    html = render(cell_trial(1), Config())
    assert '<a href="#/libraries">Libraries</a>' in html
    assert '<a href="#/cells">Cells</a>' in html
    assert "<h2>Single-cell libraries: CAR calls</h2>" in html


def test_a_library_has_its_sample_and_its_share_of_car_cells_beside_its_quality(
    packed: dict[str, Any],
) -> None:
    rows = packed["cells"]["libraries"]
    assert column(packed, "library") == ["L1", "L2", "L3", "L4"]
    assert column(packed, "sample_id") == ["S1", "S2", "S3", "S4"]
    assert [packed["subjects"][s]["id"] for s in rows["s"]] == ["P02", "P02", "P02", "P03"]
    assert rows["car_fraction"] == [25.0, None, None, None]
    assert rows["car_upper"] == [40.0, 2.5, None, 4.0]
    assert column(packed, "car_detection") == ["quantified", "BLD", "", "BLQ"]
    # One doublet of 61 cells of good quality; nothing of the failed library.
    assert rows["doublet_percent"] == [pytest.approx(100 / 61), pytest.approx(100 / 61), None, pytest.approx(100 / 61)]  # fmt: skip


def test_what_only_all_libraries_together_tell_flags_a_library_too(packed: dict[str, Any]) -> None:
    assert column(packed, "verdict") == ["accepted", "flagged", "rejected", "flagged"]
    assert column(packed, "says") == ["", "much ambient RNA; odd flag", "the library has failed", "perhaps exchanged with another library of the patient"]  # fmt: skip
    assert column(packed, "doubts") == ["", "", "", "perhaps exchanged with another library of the patient"]


def test_a_doubt_about_some_shares_of_a_library_is_found_among_all_of_them() -> None:
    base = cell_tables()
    apart = share("L1", "plasma", "cells", 1, 60, flags="libraries_apart", verdict="flagged")
    more = dataclasses.replace(base, composition=tables.concat([base.composition, tables.rows([apart], COMPOSITION)], COMPOSITION))  # fmt: skip
    texts = Texts()
    made = made_of(more, texts)
    assert texts.listed[made["libraries"]["says"][0]] == "contradicts another library of the sample"


def test_limits_that_are_broken_are_named(packed: dict[str, Any]) -> None:
    assert column(packed, "broken") == ["", "", "cells;umis", ""]
    assert packed["cells"]["limits"]["umis"] == "failed below a median of 200 UMIs"
    texts = Texts()
    limits = {"flagged_cells": 161, "flagged_ambient_percent": 4}
    strict = made_of(cell_tables(), texts, cells={"quality": limits})
    assert texts.listed[strict["libraries"]["broken"][0]] == "cells;ambient"


def test_cells_are_counted_by_type_state_and_molecules_and_only_those_that_count(
    packed: dict[str, Any],
) -> None:
    names, states = packed["cells"]["type_names"], packed["cells"]["state_names"]
    first, failed = packed["cells"]["parts"][0], packed["cells"]["parts"][2]
    types = {name: n for name, n in zip(names, first["types"], strict=True) if n}
    assert types == {"cd4_t": 30, "cd8_t": 10, "naive_b": 20}
    assert dict(zip(states, first["car_states"], strict=True))["exhausted"] == 3
    assert sum(first["car_states"]) == 10
    # 30 CAR- T cells without a molecule; CAR+ ones with 3, 13, then 20 or more; two B cells with one.
    assert first["molecules"]["t"] == [30, 0, 0, 1, *[0] * 9, 1, *[0] * 6, 8]
    assert first["molecules"]["other"] == [18, 2]
    assert sum(failed["types"]) == 0
    assert failed["molecules"] == {"t": [], "other": []}


def test_a_construct_is_as_long_as_its_domains_and_regions_and_reads_stand_with_their_library(
    packed: dict[str, Any],
) -> None:
    assert packed["cells"]["constructs"]["DEMO"]["length"] == 900
    first, second = packed["cells"]["parts"][:2]
    assert first["reads"]["molecules"] == [500]
    assert first["coverage"]["unique"][0] == 49.95
    assert second["coverage"]["unique"] == []


def test_the_picture_is_a_sample_of_all_cells_on_a_grid_of_whole_numbers(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libraries, "MOST_POINTS", 50)
    made = made_of(cell_tables())["picture"]
    again = made_of(cell_tables())["picture"]
    assert made == again
    assert made["of"] == 183
    for name in ("x", "y", "type", "state", "call", "library", "s"):
        assert len(made[name]) == 50
        assert all(isinstance(v, int) for v in made[name])
    assert min(made["x"]) >= 0
    assert max(made["x"]) <= 10_000
    other = made_of(cell_tables(), cells={"seed": 2})["picture"]
    assert other["x"] != made["x"]


def test_a_picture_without_cells_or_of_one_point_is_no_error() -> None:
    base = cell_tables()
    for rows in (base.embedding.iloc[:0], base.embedding.iloc[:1]):
        made = made_of(dataclasses.replace(base, embedding=rows))
        assert made["picture"] is None or made["picture"]["x"] == [0]


def test_a_contrast_shows_its_genes_or_why_it_is_refused(packed: dict[str, Any]) -> None:
    tested, refused = packed["cells"]["contrasts"]
    assert (tested["genes"], tested["found"], tested["n"], tested["refused"]) == (40, 1, 4, -1)
    # The gene without a p value is in no picture.
    assert len(tested["x"]) == 39
    assert tested["y"][0] == 12.0
    assert texts_of(packed, tested["symbol"])[0] == "GENE0"
    assert texts_of(packed, [refused["name"], refused["refused"]]) == ["late CAR+ T cells against the peak", "1 of 3 subjects"]  # fmt: skip


def test_the_picture_of_many_genes_keeps_the_smallest_p_and_some_of_the_rest(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(libraries, "MOST_GENES", 10)
    many = dataclasses.replace(cell_tables(), expression=tables.rows(genes("car_late_vs_peak", 101), EXPRESSION))  # fmt: skip
    made = made_of(many)
    (contrast,) = made["contrasts"]
    assert len(contrast["x"]) == 10
    assert max(contrast["y"]) == 12.0
    assert len(contrast["top"]["gene"]) == libraries.LISTED_GENES


def test_a_p_of_0_is_drawn_at_the_smallest_p_that_is_not_0() -> None:
    rows = genes("car_late_vs_peak", 3)
    rows[1]["p"] = 0.0
    made = made_of(dataclasses.replace(cell_tables(), expression=tables.rows(rows, EXPRESSION)))
    assert made["contrasts"][0]["y"] == [12.0, 12.0]


def test_every_word_of_the_vocabulary_has_a_text() -> None:
    assert set(cells_words.LINEAGE) == set(LINEAGES)
    assert set(cells_words.TYPE) == set(CELL_TYPES)
    assert set(cells_words.STATE) == set(T_STATES)
    assert set(cells_words.CHEMISTRY) == set(CHEMISTRIES)
    assert set(cells_words.MATRIX_SORT) == set(SORTS)
    assert set(cells_words.CONTRAST) == {c.name for c in CONTRASTS}
    assert all(text and "_" not in text for text in (*cells_words.LINEAGE.values(), *cells_words.TYPE.values(), *cells_words.STATE.values(), *cells_words.FLAGS.values()))  # fmt: skip


def may_warn(module: str) -> set[str]:
    """Names of the checks in a module of cartrace.cells whose verdict may be "warn", and of its faults."""
    tree = ast.parse(files("cartrace.cells").joinpath(f"{module}.py").read_text(encoding="utf-8"))
    found = set()
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call) and len(n.args) > 1):
        name, verdict = call.args[:2]
        words = {n.value for n in ast.walk(verdict) if isinstance(n, ast.Constant)}
        fault = isinstance(call.func, ast.Name) and call.func.id == "Fault"
        if isinstance(name, ast.Constant) and ("warn" in words or fault):
            found.add(str(name.value))
    return found


def test_every_check_that_flags_a_library_has_a_text() -> None:
    assert {"raw_counts", "mitochondrial_genes"} <= may_warn("library") <= set(cells_words.LIBRARY_FLAGS)
    assert {"failed_library", "few_cells"} <= may_warn("quality") <= set(cells_words.LIBRARY_FLAGS)
    assert {"no_car_molecule", "flow_fraction"} <= may_warn("car_calls") <= set(cells_words.CAR_FLAGS)


def test_hostile_text_cannot_leave_the_data_of_the_page() -> None:
    html = render(cell_trial(2, HOSTILE), Config())
    assert HOSTILE not in html
    assert html.count("</script>") == 3
    data = html.split('id="cartrace-data">')[1].split("</script>")[0]
    assert f"DEMO{HOSTILE}" in json.loads(data)["cells"]["constructs"]


def test_a_date_in_a_reason_is_blanked() -> None:
    base = cell_tables()
    dated = base.fractions.assign(reason=pd.Series(["measured 2024-05-17"] * 4, dtype="string"))
    texts = Texts()
    made_of(dataclasses.replace(base, fractions=dated), texts)
    assert "measured 2024-05-17" not in texts.listed
    assert any(t.startswith("measured ") for t in texts.listed)


def test_the_methods_tell_only_what_the_trial_has() -> None:
    full = methods_of(cell_tables())
    quality = full["Single-cell libraries: from counts to cells"]
    assert quality.startswith("4 libraries of droplets (5′) were counted by Cell Ranger.")
    assert "(1 of 4)" in quality
    cars = full["Single-cell libraries: CAR calls"]
    assert "aligned again (minimap2)" in cars
    assert "Elsewhere the counts of the CAR feature were taken" in cars
    assert "Libraries from before the infusion" in cars
    assert "surface tag" not in cars
    assert "lent each other" not in cars
    assert "contigs" not in full["Single-cell libraries: types and states"]
    assert "Contrasts that were refused: 1 of 2." in full["Single-cell libraries: differential expression"]
    base = cell_tables()
    counts = base.fractions.assign(evidence="counts", calibrated_by=pd.Series([None] * 4, dtype="string"))
    plain = dataclasses.replace(base, fractions=counts, expression=base.expression.iloc[:0], embedding=base.embedding.iloc[:0])  # fmt: skip
    told = methods_of(plain)
    assert "Single-cell libraries: differential expression" not in told
    assert "minimap2" not in told["Single-cell libraries: CAR calls"]
    assert "UMAP" not in told["Single-cell libraries: composition"]
    nothing = methods_of(dataclasses.replace(base, fractions=base.fractions.assign(evidence="none")))
    assert (
        nothing["Single-cell libraries: CAR calls"]
        == "No library counts the CAR: no CAR+ share is estimated."
    )


def test_the_methods_hold_the_numbers_of_the_configuration() -> None:
    settings = {"cells": {"quality": {"min_umis": 1234, "max_umis": 40000}, "car_calls": {"false_discovery_rate": 0.01}, "composition": {"min_cells_lloq": 17}, "expression": {"min_pairs": 5}}}  # fmt: skip
    told = methods_of(cell_tables(), **settings)
    assert "at least 1,234 and at most 40,000 UMIs" in told["Single-cell libraries: from counts to cells"]
    assert "stays below 1 % (positive) and 5 % (negative)" in told["Single-cell libraries: CAR calls"]
    assert "fewer than 17 cells" in told["Single-cell libraries: composition"]
    assert "needs 5 subjects" in told["Single-cell libraries: differential expression"]
