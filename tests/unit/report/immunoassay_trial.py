"""Immunoassay plates of a small trial, quantified by cartrace itself: what their pages are drawn from in the tests.

E01 is an ELISA with blanks, controls, two dilutions and the instrument's own concentrations; E02 to
E07 repeat its controls, off on E07; L01 has four targets of which one has no curve; T01 titres by
words of two readers, T02 by signals; R01 ratios.
"""

from __future__ import annotations

import dataclasses
from functools import cache

from tests.unit.immunoassay.hand_elisa import Row, assay, od, plate, sample, standards, titre_assay
from tests.unit.report.browser import HOSTILE
from tests.unit.report.full_trial import full_trial

from cartrace import tables
from cartrace.config import Immunoassay
from cartrace.immunoassay.assay import Assay
from cartrace.immunoassay.quantify import quantify_plate
from cartrace.immunoassay.results import Assembled, PlateTables, assemble_immunoassays
from cartrace.report.immunoassays import ImmunoassayTables
from cartrace.report.page import ReportData

PATTERN = r"(?P<subject>P\d+) d(?P<day>-?\d+)"
CONTROLS = {"QC": {"task": "control", "concentration": {"sBCMA": 100}}, "B": {"task": "blank"}}
ELISA = {"samples": {"pattern": PATTERN, "matrix": "serum"}, "controls": CONTROLS}
CYTOKINES = {"IL-6": "il6", "IL-10": "il10", "IFNg": "ifn_gamma", "Ferritin": "ferritin"}
UNITS = {"il6": "pg/mL", "il10": "pg/mL", "ifn_gamma": "pg/mL", "ferritin": "ng/mL"}


def elisa(name: str = "E01", control: float = 100.0, hostile: str = "") -> PlateTables:
    """Nine samples: accepted, off in its replicates, below, above, at two dilutions, excluded, of nobody."""
    rows = [
        *standards(),
        *sample("C12 D12 E12", "B", 0.05, 0.052, 0.049, task="blank"),
        *sample("A10 B10", "QC", od(control), od(control * 1.02)),
        *sample("C01 C02", "P01 d0", od(50), od(52), dilution=10, vendor_concentration=51.0),
    ]
    if name == "E01":
        rows += [
            *sample("C03 C04", "P01 d14", od(50), od(90), dilution=10),
            *sample("C05 C06", "P02 d0", 0.04, 0.045, dilution=10),
            *sample("C07 C08", "P02 d14", 3.2, 3.3, dilution=10),
            *sample("D01 D02", "P03 d0", od(400), od(410), dilution=10),
            *sample("D03 D04", "P03 d0", od(80), od(82), dilution=50),
            *sample("D05", "P03 d14", od(70), dilution=10, omitted=True),
            *sample("D06", hostile or "Somebody", od(30), dilution=10),
        ]
    return quantified(name, rows, assay(**ELISA))


def multiplex(n_samples: int = 8) -> PlateTables:
    """Bead counts, and a last target whose standards do not follow their concentrations."""
    named = list(CYTOKINES)
    targets = {t: {"analyte": a, "unit": UNITS[a]} for t, a in CYTOKINES.items()}
    places = [f"{r}{c:02d}" for r in "CDEFGH" for c in range(1, 13)]
    rows: list[Row] = []
    for k, target in enumerate(named):
        flat = k == len(named) - 1
        for row in standards(target=target, bead_count=120):
            rows.append(
                row
                | ({"signal": 0.5 + 0.001 * len(rows) % 0.01} if flat else {"signal": 5000 * row["signal"]})
            )
        for i in range(n_samples):
            wells = " ".join(places[2 * i : 2 * i + 2])
            signals = [5000 * od(20.0 + 7 * i + k + off) for off in (0.0, 0.4)]
            rows += sample(
                wells, f"P{1 + i % 3:02d} d{14 * i}", *signals, target=target, bead_count=40 if i == 2 else 90
            )
    made = assay(
        assay="luminex", signal="mfi", samples={"pattern": PATTERN, "matrix": "serum"}, targets=targets
    )
    return quantified("L01", rows, made)


def series(letter: str, name: str, *readers: str) -> list[Row]:
    """Words of each reader along a row of the plate, from 1 in 10, two-fold."""
    return [
        {
            "well": f"{letter}{i + 1:02d}",
            "sample_name": name,
            "task": "unknown",
            "dilution": 10.0 * 2**i,
            "vendor_status": word,
        }
        for words in readers
        for i, word in enumerate(words.split())
    ]


def titres_by_words() -> PlateTables:
    rows = [
        *series("A", "P01 d0", "+ + + - -", "+ + - - -"),
        *series("B", "P01 d30", "- - - - -", "- - - - -"),
        *series("C", "P02 d0", "+ + + + +", "+ + + + +"),
        *series("D", "P02 d30", "+ - + - -"),
        *series("E", "P03 d0", "+ + + - -", "+ - - - -").copy(),
        *series("F", "P03 d30", "+ +/- - - -"),
    ]
    return quantified("T01", rows, of_patients(titre_assay()))


def titres_by_signal() -> PlateTables:
    rows = [
        {
            "well": f"A{i + 1:02d}",
            "sample_name": "P01 d0",
            "task": "unknown",
            "dilution": 10.0 * 2**i,
            "signal": x,
        }
        for i, x in enumerate((1.9, 1.2, 0.7, 0.3, 0.1))
    ]
    return quantified("T02", rows, of_patients(titre_assay(cutoff=0.5)))


def ratios() -> PlateTables:
    target = {"analyte": "anti_srp", "unit": "ratio", "readout": "index", "index_control": "Calibrator"}
    made = assay(
        targets={"SRP": target},
        controls={"Calibrator": {"task": "positive_control"}},
        samples={"pattern": PATTERN, "matrix": "serum"},
    )
    rows = [*sample("A01 A02", "Calibrator", 1.0, 1.1), *sample("A03 A04", "P01 d0", 2.1, 2.0)]
    return quantified("R01", rows, made)


def of_patients(made: Assay) -> Assay:
    return made.model_copy(update={"samples": assay(**ELISA).samples})


def quantified(name: str, rows: list[Row], of: Assay) -> PlateTables:
    made = quantify_plate(plate(rows), of, Immunoassay(), file_id=name, sha256="a" * 64)
    return PlateTables(name, of, made.wells, made.standards, made.curves, made.samples, made.qc)


def assembled(*plates: PlateTables) -> Assembled:
    return assemble_immunoassays(plates, None, Immunoassay())


def of_page(made: Assembled) -> ImmunoassayTables:
    return ImmunoassayTables(
        **{n: getattr(made, n) for n in ("wells", "standards", "curves", "samples", "controls")}
    )


@cache
def everything() -> Assembled:
    off = {"E07": 150.0}
    charted = [elisa(f"E{i:02d}", off.get(f"E{i:02d}", 100.0 + i)) for i in range(2, 8)]
    return assembled(
        elisa(hostile=HOSTILE), *charted, multiplex(), titres_by_words(), titres_by_signal(), ratios()
    )


def immunoassay_trial(patients: int = 3, of: Assembled | None = None) -> ReportData:
    """The full trial with immunoassay plates, and their findings."""
    base, made = full_trial(patients), of or everything()
    qc = tables.concat([base.qc, made.qc], tables.QC)
    return dataclasses.replace(base, qc=qc, immunoassay=of_page(made))
