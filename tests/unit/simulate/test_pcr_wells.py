"""What happens in tubes and wells: extraction, qPCR and droplet PCR against what theory says."""

from __future__ import annotations

from math import isnan, log10

import numpy as np
import pytest

from cartrace.simulate import ddpcr_plates, qpcr_plates
from cartrace.simulate.ddpcr_plates import Tube, reference_copies
from cartrace.simulate.dna import BLOOD_UL, ELUTION_UL, Eluate, extract
from cartrace.simulate.laboratory import Draw
from cartrace.simulate.qpcr_plates import Loaded, QpcrWell

DRAW = Draw("NMO-001", 1, "blood", "D14", 14, 14, 14)


def eluates(n: int, t_cells: float, copies: float = 1000.0) -> list[Eluate]:
    rng = np.random.default_rng(1)
    return [extract(rng, DRAW, copies_per_ug=copies, t_cells=t_cells) for _ in range(n)]


def by_name(wells: list[QpcrWell], name: str) -> list[QpcrWell]:
    return [w for w in wells if w.name == name]


# --- DNA ----------------------------------------------------------------------------------


def test_copies_per_cell_and_per_blood_follow_from_the_mass_of_a_genome() -> None:
    # 1000 copies/ug x 6.6e-6 ug a cell = 0.0066 copies a cell; 600 T cells are 2000 leukocytes/uL.
    eluate = eluates(1, t_cells=600)[0]
    assert eluate.copies_per_cell == pytest.approx(0.0066)
    assert eluate.white_cells == pytest.approx(2000)
    assert eluate.copies_per_ul == pytest.approx(13.2)


def test_a_strong_eluate_is_brought_to_50_ng_per_ul() -> None:
    found = eluates(400, t_cells=600)
    assert np.median([e.ng_per_ul for e in found]) == pytest.approx(50, rel=0.02)
    assert min(e.elution_ul for e in found) > ELUTION_UL


def test_a_weak_eluate_stays_as_it_is() -> None:
    # 20 T cells/uL are 67 leukocytes; 3 mL hold 200,000 of them or 1.3 ug, of which 60 uL get 80 %.
    found = eluates(400, t_cells=20)
    assert {e.elution_ul for e in found} == {ELUTION_UL}
    expected = BLOOD_UL * 20 / 0.3 * 6.6e-3 * 0.8 / ELUTION_UL
    assert np.median([e.ng_per_ul for e in found]) == pytest.approx(expected, rel=0.02)


def test_the_photometer_is_off_by_5_percent() -> None:
    ratio = [e.measured_ng_per_ul / e.ng_per_ul for e in eluates(2000, t_cells=600)]
    assert np.median(ratio) == pytest.approx(1, abs=0.01)
    assert np.std(ratio) == pytest.approx(0.05, abs=0.005)


# --- qPCR ---------------------------------------------------------------------------------


def test_a_plate_has_standards_controls_blanks_and_samples_in_triplicate() -> None:
    wells = qpcr_plates.run_plate(np.random.default_rng(1), [Loaded("a", 1e4), Loaded("b", 0)])
    names = [w.name for w in wells]
    assert names[::3] == [f"STD {i}" for i in range(1, 7)] + ["QC high", "QC low", "NTC", "a", "b"]
    assert [names.count(n) for n in names] == [3] * 33
    assert [w.well for w in wells][:13] == [f"A{i:02d}" for i in range(1, 13)] + ["B01"]
    assert {w.task for w in by_name(wells, "NTC")} == {"NTC"}
    assert [w.nominal for w in wells[:18:3]] == [1e6, 1e5, 1e4, 1e3, 100, 25]


def test_a_full_plate_has_96_wells_and_no_room_for_more() -> None:
    rng = np.random.default_rng(1)
    assert len(qpcr_plates.run_plate(rng, [Loaded(str(i), 0) for i in range(23)])) == 96
    with pytest.raises(ValueError, match="at most 23"):
        qpcr_plates.run_plate(rng, [Loaded(str(i), 0) for i in range(24)])


def test_nothing_in_the_well_is_undetermined_and_the_spike_is_not() -> None:
    wells = qpcr_plates.run_plate(np.random.default_rng(1), [Loaded("a", 0)])
    for name in ("NTC", "a"):
        assert all(isnan(w.cq) for w in by_name(wells, name))
    assert all(abs(w.ipc_cq - 28) < 1 for w in wells)


def test_a_few_copies_drop_out_as_often_as_poisson_says() -> None:
    rng = np.random.default_rng(1)
    wells = [w for _ in range(100) for w in qpcr_plates.run_plate(rng, [Loaded("a", 2.0)] * 20)]
    dropped = np.mean([isnan(w.cq) for w in wells if w.name == "a"])
    # exp(-2) hold no copy; of those with one a few need more than 40 cycles.
    assert np.exp(-2) - 0.01 < dropped < np.exp(-2) + 0.02


@pytest.mark.parametrize("copies", [100.0, 1e4])
def test_the_spread_of_cq_is_noise_and_counting(copies: float) -> None:
    rng = np.random.default_rng(1)
    runs = [qpcr_plates.run_plate(rng, [Loaded("a", copies)] * 20, slope=-3.36) for _ in range(40)]
    within = [np.var([w.cq for w in run[27 + 3 * i : 30 + 3 * i]], ddof=1) for run in runs for i in range(20)]
    # The delta method: d Cq = slope / ln 10 x d copies / copies.
    expected = 0.12**2 + (3.36 / np.log(10)) ** 2 / copies
    assert np.mean(within) == pytest.approx(expected, rel=0.1)


def test_a_given_slope_is_the_slope_of_the_plate() -> None:
    wells = qpcr_plates.run_plate(np.random.default_rng(1), [], slope=-4.0)
    x, y = np.array([(log10(w.nominal), w.cq) for w in wells if w.nominal is not None]).T
    assert np.polyfit(x, y, 1)[0] == pytest.approx(-4.0, abs=0.1)


def test_planted_failures_stand_in_their_wells_only() -> None:
    samples = [Loaded("a", 1e4), Loaded("b", 1e4)]
    sound = qpcr_plates.run_plate(np.random.default_rng(1), samples)
    spoilt = [Loaded("a", 1e4, outlier=2.5), Loaded("b", 1e4, delay=3.0)]
    wells = qpcr_plates.run_plate(np.random.default_rng(1), spoilt, contaminated=1)
    pairs = {w.well: (w, before) for w, before in zip(wells, sound, strict=True) if w != before}
    assert sorted(pairs) == ["C02", "C06", "C07", "C08", "C09"]
    blank, before = pairs.pop("C02")
    assert isnan(before.cq)
    assert 30 < blank.cq < 33  # 100 copies
    late = {well: (w.cq - s.cq, w.ipc_cq - s.ipc_cq) for well, (w, s) in pairs.items()}
    assert late["C06"] == (pytest.approx(2.5), 0)
    assert [late[f"C0{i}"] for i in (7, 8, 9)] == [(pytest.approx(3.0), pytest.approx(3.0))] * 3


# --- ddPCR --------------------------------------------------------------------------------


def test_copies_of_the_reference_gene() -> None:
    # 6.6 ng are 1000 genomes with two copies each.
    assert reference_copies(6.6) == pytest.approx(2000)


def test_a_tube_fills_two_wells_below_each_other_after_blanks_and_control() -> None:
    wells = ddpcr_plates.run_plate(
        np.random.default_rng(1), [Tube(f"T{i}", "Unknown", 10, 20) for i in range(3)]
    )
    assert [w.well for w in wells] == ["A01", "B01", "C01", "D01", "E01", "F01", "G01", "H01", "A02", "B02"]
    assert [w.name for w in wells[::2]] == ["NTC", "PC CAR/RPP30", "T0", "T1", "T2"]


def test_the_share_of_positive_droplets_is_that_of_poisson() -> None:
    # 20,000 copies in 20 uL: 0.85 in a droplet of 0.85 nL; 2000 copies: 0.085.
    tubes = [Tube("T", "Unknown", 2000.0, 20_000.0)] * 40
    wells = ddpcr_plates.run_plate(np.random.default_rng(1), tubes)[4:]
    droplets = sum(w.droplets for w in wells)
    assert sum(w.rpp30 for w in wells) / droplets == pytest.approx(1 - np.exp(-0.85), rel=0.01)
    assert sum(w.car for w in wells) / droplets == pytest.approx(1 - np.exp(-0.085), rel=0.02)
    # Independent targets.
    both = (1 - np.exp(-0.85)) * (1 - np.exp(-0.085))
    assert sum(w.both for w in wells) / droplets == pytest.approx(both, rel=0.03)


def test_droplets_are_as_many_as_the_instrument_makes_and_few_where_planted() -> None:
    wells = ddpcr_plates.run_plate(np.random.default_rng(1), [Tube("T", "Unknown", 10, 20)] * 40, few=5)
    assert 6190 < wells[5].droplets <= 6200
    assert all(14_000 <= w.droplets <= 19_000 for w in wells if w is not wells[5])


def test_blanks_hold_hardly_a_false_positive() -> None:
    rng = np.random.default_rng(1)
    blanks = [w for _ in range(300) for w in ddpcr_plates.run_plate(rng, [])[:2]]
    assert np.mean([w.car for w in blanks]) == pytest.approx(0.15, abs=0.05)
    assert max(w.car for w in blanks) <= 3
    assert all(w.rpp30 == 0 for w in blanks)


def test_the_validation_finds_what_was_put_in_and_misses_as_poisson_says() -> None:
    dilutions, blanks = ddpcr_plates.validation_series(np.random.default_rng(1))
    assert len(dilutions) == 11 * 3 * 8
    assert len(blanks) == 60
    rng = np.random.default_rng(2)
    many = [row for _ in range(20) for row in ddpcr_plates.validation_series(rng)[0]]
    assert np.mean([found for level, found, _ in many if level == 200]) == pytest.approx(200, rel=0.02)
    # 16,500 droplets of 0.85 nL are 14 of the 20 uL: 1 copy is missed with probability exp(-0.70 - 0.15).
    missed = [found == 0 for level, found, _ in many if level == 1]
    assert np.mean(missed) == pytest.approx(np.exp(-0.85), abs=0.05)
