from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from cartrace.flow.compensation import (
    CompensationCheck,
    check_compensation,
    compensation_remark,
    read_compensation_csv,
    spillover_of,
)
from cartrace.flow.fcs import Channel, FcsData, Spillover
from cartrace.flow.panel import Panel
from cartrace.problems import InputError

MATRIX = [[1.0, 0.25], [0.01, 1.0]]
OWN = Spillover(("FITC-A", "PE-A"), np.array(MATRIX))
IDENTITY = Spillover(("FITC-A", "PE-A"), np.eye(2))


@pytest.mark.parametrize(
    "text",
    [
        "FITC-A,PE-A\n1,0.25\n0.01,1\n",
        "\ufeff# FITC-A,PE-A\r\n1,0.25\r\n\r\n0.01,1\r\n",
        ",FITC-A :: CD3,PE-A :: CAR\nFITC-A :: CD3,1,0.25\nPE-A :: CAR,1e-2,1\n",
        "channel\tFITC-A\tPE-A\nPE-A\t0.01\t1\nFITC-A\t1\t0.25\n",
        "FITC-A;PE-A\n1;0,25\n0,01;1\n",
        '"FITC-A","PE-A"\n"1","0.25"\n"0.01","1"\n',
        "FITC-A\tPE-A\nFITC-A\t1\t0.25\nPE-A\t0.01\t1\n",
        "FITC-A,PE-A,\n1,0.25,\n0.01,1,\n",
    ],
)
def test_a_matrix_is_read_as_programs_write_it(text: str) -> None:
    read = read_compensation_csv(text, "day1.csv")
    assert read.channels == ("FITC-A", "PE-A")
    assert read.matrix.tolist() == MATRIX


def test_every_cell_that_is_no_number_is_told_with_row_and_column() -> None:
    with pytest.raises(InputError) as error:
        read_compensation_csv("FITC-A,PE-A\n1,x\nnan,1\n", "day1.csv")
    places = [(p.file, p.row, p.column, p.found) for p in error.value.problems]
    assert places == [("day1.csv", 2, "PE-A", "'x'"), ("day1.csv", 3, "FITC-A", "'nan'")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("", "an empty file"),
        ("FITC-A,PE-A\n1,0\n", "1 rows for 2 channels"),
        ("FITC-A,PE-A\n1\n0,1\n", "1 values for 2 channels"),
        ("FITC-A,FITC-A\n1,0\n0,1\n", "the channel 'FITC-A' twice"),
        ("FITC-A,PE-A\n1,1\n1,1\n", "a matrix that can't be inverted"),
        ("FITC-A,PE-A\n100,25\n1,100\n", "percent"),
        (",FITC-A,PE-A\nFITC-A,1,0\nAPC-A,0,1\n", "the row of 'APC-A'"),
        ("FITC-A,,PE-A\n1,0,0\n0,1,0\n0,0,1\n", "no name of channel 2"),
    ],
)
def test_what_is_no_spillover_matrix_is_an_error(text: str, found: str) -> None:
    with pytest.raises(InputError, match=found):
        read_compensation_csv(text, "day1.csv")


def panel(source: str = "file") -> Panel:
    compensation = {"source": source}
    drawn = {"flowjo": "panel.wsp"}
    if source == "csv":
        compensation["file"] = "day1.csv"
    return Panel.model_validate(
        {
            "markers": {"CD3": "FITC-A"},
            "compensation": compensation,
            "drawn": drawn,
            "populations": {"T": {"gate": "T"}},
        }
    )


def tube(
    names: tuple[str, ...] = ("FSC-A", "FITC-A", "PE-A"), own: Spillover | None = OWN, **keywords: str
) -> FcsData:
    channels = tuple(Channel(i, n, "", 262_144.0, 1.0, 0.0, 0.0) for i, n in enumerate(names))
    return FcsData(
        "FCS3.1", 1, channels, 0, lambda c, a, b: np.empty((b - a, len(c))), own, None, None, keywords
    )


def test_the_panel_chooses_the_matrix() -> None:
    other = Spillover(("PE-A", "FITC-A"), np.array([[1.0, 0.5], [0.0, 1.0]]))
    third = Spillover(("FITC-A",), np.eye(1))
    assert spillover_of(panel("none"), tube(), "a.fcs", other, third) is None
    for source, expected in (("file", OWN), ("csv", other), ("gates", third)):
        found = spillover_of(panel(source), tube(), "a.fcs", other, third)
        assert found is not None
        assert found.channels == expected.channels
        assert np.array_equal(found.matrix, expected.matrix)


def test_a_matrix_of_one_channel_compensates_nothing_without_drawn_gates_and_is_still_checked() -> None:
    automatic = Panel.model_validate(
        {
            "markers": {"CD3": "FITC-A"},
            "thresholds": {"CD3": {"method": "fixed", "value": 3000}},
            "gates": {"T": {"where": {"CD3": "above"}}},
            "populations": {"T": {"gate": "T"}},
        }
    )
    alone = Spillover(("FITC-A",), np.eye(1))
    assert spillover_of(automatic, tube(own=alone), "a.fcs") is None
    assert spillover_of(panel(), tube(own=alone), "a.fcs") is not None
    with pytest.raises(InputError, match="2 on the diagonal"):
        spillover_of(automatic, tube(own=Spillover(("FITC-A",), np.array([[2.0]]))), "a.fcs")


def test_names_that_flowjo_changed_find_their_channel() -> None:
    data = tube(("FSC-A", "FITC-A", "PE/Cy7-A"))
    flowjo = Spillover(("FITC-A", "PE_Cy7-A"), np.array(MATRIX))
    found = spillover_of(panel("gates"), data, "a.fcs", None, flowjo)
    assert found is not None
    assert found.channels == ("FITC-A", "PE/Cy7-A")


@pytest.mark.parametrize(
    ("data", "found"),
    [
        (tube(own=None), "no spillover matrix in the file"),
        (tube(("FSC-A", "FITC-A")), "no channel 'PE-A'"),
        (tube(("FSC-A", "Comp-FITC-A", "Comp-PE-A")), "compensated already"),
        (tube(own=Spillover(("FITC-A", "PE-A"), np.ones((2, 2)))), "can't be inverted"),
        (tube(own=Spillover(("FITC-A", "PE-A"), np.diag([1.0, 0.5]))), "0.5 on the diagonal at 'PE-A'"),
    ],
)
def test_a_matrix_that_cannot_be_applied_is_an_error(data: FcsData, found: str) -> None:
    with pytest.raises(InputError, match=found) as error:
        spillover_of(panel(), data, "a.fcs")
    assert error.value.problems[0].file == "a.fcs"


def test_all_missing_channels_are_told_at_once() -> None:
    with pytest.raises(InputError) as error:
        spillover_of(panel(), tube(("FSC-A",)), "a.fcs")
    assert len(error.value.problems) == 2


def test_raw_channels_beside_compensated_ones_are_compensated() -> None:
    data = tube(("FITC-A", "PE-A", "Comp-FITC-A", "Comp-PE-A"))
    assert spillover_of(panel(), data, "a.fcs") is not None


@pytest.mark.parametrize(
    ("source", "data", "remark"),
    [
        ("file", tube(), ""),
        ("none", tube(own=None), ""),
        ("none", tube(own=IDENTITY), ""),
        ("none", tube(), "the file carries a spillover matrix, and the panel applies none"),
        ("file", tube(own=IDENTITY), "the file's own matrix compensates nothing"),
        ("csv", tube(own=IDENTITY), ""),
        ("file", tube(ANALOG_COMP="2,1.0,0.0,0.0,1.0"), ""),
        ("file", tube(ANALOG_COMP="2,1.0,-0.9,0.0,1.0"), "ANALOG_COMP"),
        ("file", tube(TRANSFORMATION="custom"), "transformed"),
    ],
)
def test_what_is_odd_is_remarked(source: str, data: FcsData, remark: str) -> None:
    found = compensation_remark(panel(source), data)
    assert (remark in found) if remark else (found == "")


# --- is a matrix applied once? ---

MARKERS = ("CD3", "CD4", "CD8", "CAR", "CD45RA", "CCR7", "CD19", "CD56", "dead", "CD14")
N = len(MARKERS)


@dataclass
class Values:
    """The part of TubeValues that the check asks."""

    table: np.ndarray
    names: tuple[str, ...] = MARKERS

    @property
    def keep(self) -> np.ndarray:
        return np.ones(len(self.table), dtype=np.bool_)

    def column(self, channel: int, rows: np.ndarray | None = None) -> np.ndarray:
        return self.table[self.keep if rows is None else rows][:, channel]


def blood(seed: int, n: int = 40_000, noise: float = 4.0) -> tuple[np.ndarray, np.ndarray]:
    """Raw values and spillover of leukocytes.

    Markers on the same cells (CD3 on all CD4), markers that exclude each other, brightness that
    follows cell size, autofluorescence (more in monocytes and dead cells), and photon noise, which
    compensation spreads to both sides.
    """
    r = np.random.default_rng(seed)
    kinds = {"t4": 0.35, "t8": 0.2, "nk": 0.1, "b": 0.1, "mono": 0.2, "dead": 0.05}
    kind = r.choice(list(kinds), n, p=list(kinds.values()))
    t4, t8, nk, b, mono, dead = (kind == k for k in kinds)
    t, naive = t4 | t8, r.random(n)
    level = 10 ** r.uniform(3.6, 4.8, N)
    light = np.zeros((n, N))

    def on(cells: np.ndarray, marker: str, of: float = 1.0, cv: float = 0.35) -> None:
        c = MARKERS.index(marker)
        light[cells, c] = level[c] * of * np.exp(r.normal(0, cv, int(cells.sum())))

    on(t, "CD3")
    on(t4, "CD4")
    on(mono, "CD4", 0.1)
    on(t8, "CD8")
    on(nk & (r.random(n) < 0.3), "CD8", 0.4)
    on(t & (r.random(n) < 0.15), "CAR", 0.5, 0.8)
    on((t | nk | b) & (naive < 0.5), "CD45RA")
    on((t | nk) & (naive >= 0.5) & (naive < 0.7), "CD45RA", 0.2, 0.6)
    on((t | b) & (r.random(n) < np.where(naive < 0.5, 0.8, 0.3)), "CCR7", 0.3, 0.5)
    on(b, "CD19")
    on(nk, "CD56")
    on(mono, "CD14")
    on(dead, "dead")
    size = np.exp(r.normal(0, 0.25, n))[:, None]
    own = 120 * np.exp(r.normal(0, 0.4, (n, N))) * np.where(mono | dead, 4, 1)[:, None] * size
    spill = np.eye(N)
    for i, j in np.ndindex(N, N):
        if i != j and r.random() < 0.4:
            spill[i, j] = r.uniform(0, 0.25) * r.random()
    raw = light * size @ spill + own
    raw += r.normal(0, 1, raw.shape) * np.sqrt(np.maximum(raw, 0) * noise) + r.normal(0, 20, raw.shape)
    return raw, spill


def check(values: np.ndarray) -> CompensationCheck:
    return check_compensation(Values(values), range(N))


@pytest.mark.parametrize("seed", range(5))
def test_matrices_applied_once_twice_and_not_at_all_are_told_apart(seed: int) -> None:
    raw, spill = blood(seed)
    inverse = np.linalg.inv(spill)
    assert (spill - np.eye(N)).max() >= 0.08
    once = check(raw @ inverse)
    assert (once.over, once.under) == pytest.approx((0, 0), abs=0.03)
    twice = check(raw @ inverse @ inverse).over
    assert twice is not None
    assert twice >= 0.05
    none = check(raw).under
    assert none is not None
    assert none >= 0.05


@pytest.mark.parametrize("noise", [1.0, 20.0, 60.0])
def test_spillover_spreading_is_no_fault(noise: float) -> None:
    raw, spill = blood(31, noise=noise)
    once = check(raw @ np.linalg.inv(spill))
    assert (once.over, once.under) == pytest.approx((0, 0), abs=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_a_transposed_matrix_is_found(seed: int) -> None:
    raw, spill = blood(seed)
    found = check(raw @ np.linalg.inv(spill.T))
    assert max(found.over or 0, found.under or 0) >= 0.05


@pytest.mark.parametrize(("bright", "other"), [("CD19", "CD14"), ("CD8", "CD19"), ("CD56", "CD19")])
@pytest.mark.parametrize("error", [0.1, -0.1])
def test_one_number_that_is_wrong_is_found_with_its_pair(bright: str, other: str, error: float) -> None:
    raw, spill = blood(7)
    wrong = spill.copy()
    wrong[MARKERS.index(bright), MARKERS.index(other)] += error
    found = check(raw @ np.linalg.inv(wrong))
    value, pair = (found.over, found.over_pair) if error > 0 else (found.under, found.under_pair)
    assert value == pytest.approx(0.1, abs=0.03)
    assert pair == (bright, other)


def test_a_pair_that_is_always_on_the_same_cells_is_silent() -> None:
    # All CD4+ cells bear CD3, so nobody can tell CD3 from spillover of CD4 that grows as CD4 does not.
    raw, spill = blood(3)
    keep = raw[:, 0] > np.quantile(raw[:, 0], 0.5)
    once = check((raw @ np.linalg.inv(spill))[keep])
    assert once.under == pytest.approx(0, abs=0.03)


def test_too_few_bright_events_say_nothing() -> None:
    values = np.random.default_rng(1).normal(0, 50, (5000, N))
    assert check(values) == CompensationCheck(None, ("", ""), None, ("", ""))
    assert check(values[:10]).over is None
    assert check(values[:0]).over is None
    assert check_compensation(Values(values), []).over is None


def test_constant_and_clipped_channels_do_not_break_it() -> None:
    raw, spill = blood(2, n=5000)
    values = np.maximum(raw @ np.linalg.inv(spill), 0)
    values[:, 4] = 0
    found = check(values)
    assert found.over == pytest.approx(0, abs=0.03)
