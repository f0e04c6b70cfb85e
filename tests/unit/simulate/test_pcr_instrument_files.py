"""The files of the simulated instruments: written as the instruments do, and read back exactly."""

from __future__ import annotations

import csv
import io
from datetime import datetime
from math import isnan, log, nan

import numpy as np
import pytest

from cartrace.pcr.plate import Plate
from cartrace.pcr.readers import read_plate
from cartrace.problems import holds_date
from cartrace.simulate import ddpcr_plates, qpcr_plates
from cartrace.simulate.ddpcr_plates import DdpcrWell, Tube
from cartrace.simulate.qpcr_plates import Loaded, QpcrWell
from cartrace.simulate.quantstudio_file import quantstudio_text, vendor_curve
from cartrace.simulate.qx_manager_file import amplitude_csv, qx_manager_csv


def quantstudio(wells: list[QpcrWell]) -> str:
    return quantstudio_text(
        wells, run_name="CAR 01", ended=datetime(2024, 9, 2, 15, 2, 50), operator="R. Beispiel"
    )


@pytest.fixture(scope="module")
def qpcr_wells() -> list[QpcrWell]:
    samples = [Loaded("NMO-002 D14 d14", 1e4), Loaded("NMO-002 D28 d29", 2.0), Loaded("NMO-002 D60 d60", 0)]
    return qpcr_plates.run_plate(np.random.default_rng(3), samples)


@pytest.fixture(scope="module")
def qpcr_plate(qpcr_wells: list[QpcrWell]) -> Plate:
    return read_plate(quantstudio(qpcr_wells).encode(), "plates/run.txt")


def results(text: str) -> list[dict[str, str]]:
    table = text.split("[Results]", 1)[1].strip().splitlines()
    return list(csv.DictReader(table, delimiter="\t"))


# --- QuantStudio --------------------------------------------------------------------------


def test_the_vendor_s_curve_goes_through_exact_points() -> None:
    wells = [QpcrWell(i, "S", "STANDARD", 10.0**i, 40 - 3.5 * i, nan) for i in range(1, 6)]
    curve = vendor_curve([*wells, QpcrWell(6, "a", "UNKNOWN", None, 33.0, nan)])
    assert (curve.slope, curve.intercept, curve.r2) == (
        pytest.approx(-3.5),
        pytest.approx(40),
        pytest.approx(1),
    )
    assert curve.quantity(33.0) == pytest.approx(100)
    assert curve.efficiency_percent == pytest.approx(100 * (10 ** (1 / 3.5) - 1))


def test_numbers_have_thousands_commas_and_three_decimals(qpcr_wells: list[QpcrWell]) -> None:
    rows = results(quantstudio(qpcr_wells))
    first = rows[0]
    assert (first["Well"], first["Well Position"], first["Sample Name"]) == ("1", "A1", "STD 1")
    assert first["Quantity"] == "1,000,000.000"
    assert first["CT"] == f"{qpcr_wells[0].cq:.3f}"
    assert {r["Omit"] for r in rows} == {"false"}


def test_wells_of_one_name_share_mean_and_spread(qpcr_wells: list[QpcrWell]) -> None:
    rows = [r for r in results(quantstudio(qpcr_wells)) if r["Sample Name"] == "NMO-002 D14 d14"]
    car = [r for r in rows if r["Target Name"] == "CAR-BBz"]
    quantities = [float(r["Quantity"].replace(",", "")) for r in car]
    assert {r["Quantity Mean"] for r in car} == {car[0]["Quantity Mean"]}
    assert float(car[0]["Quantity Mean"].replace(",", "")) == pytest.approx(np.mean(quantities), abs=0.002)
    assert float(car[0]["Quantity SD"].replace(",", "")) == pytest.approx(
        np.std(quantities, ddof=1), abs=0.002
    )
    assert float(car[0]["Ct SD"]) == pytest.approx(np.std([float(r["CT"]) for r in car], ddof=1), abs=0.001)


def test_a_well_without_a_signal_is_undetermined_and_has_no_quantity(qpcr_wells: list[QpcrWell]) -> None:
    blanks = [r for r in results(quantstudio(qpcr_wells)) if r["Task"] == "NTC"]
    assert len(blanks) == 3
    assert {(r["CT"], r["Ct Mean"], r["Quantity"]) for r in blanks} == {("Undetermined", "", "")}


def test_the_header_holds_a_date_and_an_operator_which_no_reader_keeps(
    qpcr_wells: list[QpcrWell], qpcr_plate: Plate
) -> None:
    head = quantstudio(qpcr_wells).split("[Sample Setup]", 1)[0]
    assert holds_date(head)
    assert "R. Beispiel" in head
    kept = qpcr_plate.wells.to_csv() + qpcr_plate.instrument + qpcr_plate.software
    assert not holds_date(kept)
    assert "Beispiel" not in kept


def test_our_reader_reads_a_qpcr_plate_back(qpcr_wells: list[QpcrWell], qpcr_plate: Plate) -> None:
    assert (qpcr_plate.family, qpcr_plate.method) == ("quantstudio_txt", "qpcr")
    assert qpcr_plate.remarks == ()
    found = qpcr_plate.wells.set_index(["well", "target"])
    assert len(found) == 2 * len(qpcr_wells)
    curve = vendor_curve(qpcr_wells)
    for w in qpcr_wells:
        car, spike = found.loc[(w.well, "CAR-BBz")], found.loc[(w.well, "IPC")]
        assert car["sample_name"] == spike["sample_name"] == w.name
        assert (car["task"], spike["task"]) == (w.task.lower(), "inhibition_control")
        assert car["cq_kind"] == ("undetermined" if isnan(w.cq) else "quantified")
        assert car["cq"] == pytest.approx(w.cq, abs=0.0005, nan_ok=True)
        assert spike["cq"] == pytest.approx(w.ipc_cq, abs=0.0005)
        assert car["nominal"] == pytest.approx(nan if w.nominal is None else w.nominal, nan_ok=True)
        assert car["vendor_slope"] == pytest.approx(curve.slope, abs=0.0005)


# --- QX Manager ---------------------------------------------------------------------------

WELL = DdpcrWell("A01", "T1001", "Unknown", 300, 700, 2700, 6300)
"""10,000 droplets: 1000 positive for the transgene, 3000 for RPP30, independently."""


def printed(well: DdpcrWell, droplet_nl: float = 0.85) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(qx_manager_csv([well], droplet_nl=droplet_nl))))


def test_concentrations_are_those_of_poisson_in_the_volume_of_a_droplet() -> None:
    car, rpp30 = printed(WELL)
    assert float(car["Conc(copies/µL)"]) == pytest.approx(-log(0.9) / 0.85e-3, rel=1e-6)
    assert float(rpp30["Conc(copies/µL)"]) == pytest.approx(-log(0.7) / 0.85e-3, rel=1e-6)
    assert float(car["Copies/20µLWell"]) == pytest.approx(20 * float(car["Conc(copies/µL)"]), rel=1e-6)
    wrong = float(printed(WELL, 0.91)[0]["Conc(copies/µL)"])
    assert wrong / float(car["Conc(copies/µL)"]) == pytest.approx(0.85 / 0.91)


def test_limits_are_those_of_the_positive_share() -> None:
    # 0.1 +- 1.96 sqrt(0.1 x 0.9 / 10,000) = 0.1 +- 0.00588.
    car, _ = printed(WELL)
    assert float(car["PoissonConfMax"]) == pytest.approx(-log(1 - 0.10588) / 0.85e-3, rel=1e-6)
    assert float(car["PoissonConfMin"]) == pytest.approx(-log(1 - 0.09412) / 0.85e-3, rel=1e-6)
    assert float(car["PoissonConfidenceMax68"]) == pytest.approx(-log(1 - 0.103) / 0.85e-3, rel=1e-6)


def test_the_ratio_stands_with_the_transgene_and_independence_links_nothing() -> None:
    car, rpp30 = printed(WELL)
    ratio = log(0.9) / log(0.7)
    assert float(car["Ratio"]) == pytest.approx(ratio)
    assert float(car["CNV"]) == pytest.approx(2 * ratio)
    assert float(car["Fractional Abundance"]) == pytest.approx(100 * ratio / (1 + ratio))
    assert float(car["PoissonRatioMin"]) < ratio < float(car["PoissonRatioMax"])
    assert float(car["Copies/uL linked molecules"]) == pytest.approx(0, abs=1e-9)
    assert rpp30["Ratio"] == ""


def test_no_positive_droplet_is_a_plain_zero() -> None:
    car, _ = printed(DdpcrWell("A01", "NTC", "NTC", 0, 0, 0, 15_000))
    assert [car[c] for c in ("Conc(copies/µL)", "PoissonConfMin", "PoissonConfMax")] == ["0", "0", "0"]


def test_the_export_has_73_columns_and_two_rows_a_well() -> None:
    text = qx_manager_csv([WELL], droplet_nl=0.85)
    assert [len(row) for row in csv.reader(io.StringIO(text))] == [73, 73, 73]


def test_our_reader_reads_a_ddpcr_plate_back() -> None:
    wells = ddpcr_plates.run_plate(np.random.default_rng(3), [Tube("T1001", "Unknown", 200, 30_000)])
    plate = read_plate(qx_manager_csv(wells, droplet_nl=0.85).encode(), "plates/run.csv")
    assert (plate.family, plate.method, plate.remarks) == ("qx_manager", "dpcr", ())
    found = plate.wells.set_index(["well", "target"])
    assert len(found) == 2 * len(wells)
    tasks = {"NTC": "ntc", "PosCtrl": "positive_control", "Unknown": "unknown"}
    for w in wells:
        car, rpp30 = found.loc[(w.well, "CAR-BBz")], found.loc[(w.well, "RPP30")]
        assert (car["sample_name"], car["task"]) == (w.name, tasks[w.sample_type])
        assert (car["partitions"], car["positives"]) == (w.droplets, w.car)
        assert (rpp30["partitions"], rpp30["positives"]) == (w.droplets, w.rpp30)


def test_amplitudes_agree_with_the_counts_and_the_thresholds() -> None:
    lines = amplitude_csv(np.random.default_rng(1), WELL).splitlines()
    assert lines[4] == "Ch1Amplitude,Ch2Amplitude,1,2,"
    cells = np.array([line.split(",")[:4] for line in lines[5:]], dtype=float)
    assert len(cells) == WELL.droplets
    assert ((cells[:, 0] > 4500) == (cells[:, 2] == 1)).all()
    assert ((cells[:, 1] > 3500) == (cells[:, 3] == 1)).all()
    assert (cells[:, 2].sum(), cells[:, 3].sum()) == (WELL.car, WELL.rpp30)
