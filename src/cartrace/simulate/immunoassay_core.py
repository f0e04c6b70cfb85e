"""The immunoassay laboratory of the demo trial: it sends what its readers export, and no results.

It has the serum of four subjects, and measures soluble BCMA, AQP4-IgG (ELISA and cell-based
assay), anti-SRP and cytokines on nine plates. Names on the plates are those of the samples
sheet. Where all four subjects exist, faults are planted; what a drifting plate spoilt is
measured again on a further one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from cartrace.simulate.dna import spread
from cartrace.simulate.grid_file import grid_csv, grid_workbook, layout_table, layout_workbook
from cartrace.simulate.humoral_laboratory import SERUM_VISITS, TITRE_SD
from cartrace.simulate.immunoassay_kits import (
    AQP4,
    ASSAYS,
    BEAD_NOISE,
    BLANK,
    CBA,
    CBA_CONTROLS,
    CBA_TARGET,
    CBA_WELLS,
    CYTOKINES,
    ELISA_NOISE,
    LUMINEX,
    LUMINEX_BLANK,
    LUMINEX_CONTROLS,
    LUMINEX_DILUTION,
    LUMINEX_STANDARDS,
    SBCMA,
    SRP,
    Kit,
)
from cartrace.simulate.immunoassay_plates import (
    DILUTION_CV,
    Well,
    read_signals,
    software_concentrations,
    standards_and_controls,
)
from cartrace.simulate.luminex_file import xponent_csv
from cartrace.simulate.softmax_file import Group, softmax_text

if TYPE_CHECKING:
    from cartrace.simulate.laboratory import Draw

CORE = (2, 3, 5, 8)
"""Who has serum here, by place among the first twelve: both with anti-SRP, the one with infused
immunoglobulin, and nobody whose antibodies in the tables play a part (DECLINES) or have an error."""
MOVED = ("soluble_bcma", "aqp4_igg", "anti_srp")
"""Analytes of the core's subjects that stand on plates and in no table."""
CYTOKINE_VISITS = ("Pre-LD", "D1", "D4", "D7", "D10", "D14", "D21", "D28")
VISITS = tuple(dict.fromkeys((*CYTOKINE_VISITS, *SERUM_VISITS)))
SUBJECTS_PER_PLATE = 2

FURTHER = {
    "sbcma_elisa": (20.0, ("Pre-LD", "D150", "D180", "D270", "D365")),
    "aqp4_elisa": (10.0, ("Pre-LD", "D14", "D28")),
}
"""Assay file -> a second dilution, and the visits that have it."""
READER_SD, READER_LIMIT = 0.1, 0.4
"""Doublings by which the two readers of a cell-based assay differ from its titre."""
CBA_START, CBA_NEW_START = 10.0, 20.0
NEW_START = (8, ("D120", "D150", "D180"))
BAD_STANDARD = ("St4", 1.7)
LOST_AT_END = 0.55
BAD_DUPLICATE = (2, "D28", 0.45)
FEW_BEADS = (2, "D10", 28.0)
OPERATOR = "R. Beispiel"
FIRST_RUN = datetime(2024, 11, 4, 14, 20, 0)
"""Operator and days of the runs stand in the files, and nowhere in what cartrace writes."""

FAULTS = {
    "hook": (
        "hook",
        "flagged",
        "measured undiluted as well, past the hook: the signal is that of a tenth; a dilution gives the result",
    ),
    "bad_standard": (
        "standard_recovery",
        "the level leaves the fit, the results stay",
        "1.7 times too much of a standard in the middle of the curve",
    ),
    "plate_drift": (
        "control_recovery",
        "rejected; all samples are measured again on the next plate",
        "the signal falls along the plate by half: the controls miss their concentration",
    ),
    "changed_start": (
        "start_changed",
        "flagged",
        "the series of one subject begins at 1:20 instead of 1:10 from D120 on",
    ),
    "bad_duplicate": ("replicate_cv", "flagged", "less than half of the sample in the second well"),
    "few_beads": ("bead_count", "flagged", "the needle was clogged: fewer than 50 beads in both wells"),
    "above_the_curve": (
        "range",
        "accepted",
        "undiluted beyond the highest standard; the dilution 1:10 gives the result",
    ),
    "infused_immunoglobulin": (
        "ivig",
        "masked",
        "infused IgG in the tubes of D120 and D150, in the table of immunoglobulins",
    ),
}
"""Kind -> where cartrace tells it (check of qc; range of the wells; reason of a metric), what follows, what happened."""


@dataclass(frozen=True, slots=True)
class Serum:
    """One tube of serum: whose (place among twelve), when, and the true values by analyte."""

    place: int
    draw: Draw
    values: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """One planted fault, and where it has to be found. Wells and samples are joined by ';'."""

    kind: str
    file_id: str
    target: str
    samples: str
    wells: str
    check: str
    consequence: str
    what: str


@dataclass(slots=True)
class ImmunoassayFiles:
    """What the laboratory sends.

    ``files`` and ``samples`` are rows of those sheets, ``contents`` the files by their path
    in the trial folder; ``truth`` has one row for each sample, target and plate.
    """

    files: list[dict[str, str]] = field(default_factory=list)
    samples: list[dict[str, str]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    truth: list[dict[str, Any]] = field(default_factory=list)
    faults: list[PlantedFault] = field(default_factory=list)

    @property
    def mappings(self) -> dict[str, dict[str, Any]]:
        """The assay files of the plates."""
        used = {f["mapping"] for f in self.files}
        return {name: assay for name, assay in ASSAYS.items() if _mapping(name) in used}

    def add(
        self, file_id: str, mapping: str, suffix: str, content: bytes, layout: tuple[str, bytes] | None
    ) -> None:
        """Add a plate; ``layout`` is the suffix and the content of its layout."""
        path = f"immunoassays/{file_id}.{suffix}"
        self.contents[f"data/{path}"] = content
        beside = ""
        if layout:
            beside = f"plate_maps/{file_id}.{layout[0]}"
            self.contents[beside] = layout[1]
        self.files.append(
            {
                "file_id": file_id,
                "path": path,
                "reader": "immunoassay_plate",
                "mapping": _mapping(mapping),
                "plate_map": beside,
            }
        )

    def add_fault(
        self, kind: str, file_id: str, target: str, samples: Sequence[str] = (), wells: Sequence[str] = ()
    ) -> None:
        """Note a planted fault."""
        self.faults.append(
            PlantedFault(kind, file_id, target, ";".join(samples), ";".join(wells), *FAULTS[kind])
        )


class _Tube(NamedTuple):
    sample_id: str
    serum: Serum

    def value(self, analyte: str) -> float:
        return self.serum.values[analyte]


def _mapping(name: str) -> str:
    return f"mappings/{name}.yaml"


def immunoassay_core(
    seed: int, sera: Sequence[Serum], first_infusion: Mapping[str, date], *, plant: bool
) -> ImmunoassayFiles:
    """Measure the sera of the core's subjects, as far as they exist.

    Parameters
    ----------
    seed
        Seed of the trial; each plate has a stream of its own.
    sera
        In order of subjects and days.
    first_infusion
        Date of the first infusion of each subject, for the samples sheet.
    plant
        Plant faults, where all four subjects exist.
    """
    raw = ImmunoassayFiles()
    tubes = [_Tube(f"E{2001 + n}", serum) for n, serum in enumerate(sera)]
    raw.samples = [_sample_row(t, first_infusion) for t in tubes]
    places = sorted({s.place for s in sera})
    spoil = plant and places == sorted(CORE)
    groups = [
        [t for t in tubes if t.serum.place in places[i : i + SUBJECTS_PER_PLATE]]
        for i in range(0, len(places), SUBJECTS_PER_PLATE)
    ]
    streams = (np.random.default_rng([seed, 0, 10, n]) for n in range(100))
    late = [[t for t in group if t.serum.draw.visit in SERUM_VISITS] for group in groups]
    _soluble_bcma(raw, streams, late, spoil=spoil)
    _aqp4_elisa(raw, streams, late, spoil=spoil)
    _anti_srp(raw, next(streams), [t for t in tubes if "anti_srp" in t.serum.values], spoil=spoil)
    acute = [t for t in tubes if t.serum.draw.visit in CYTOKINE_VISITS]
    if acute:
        _cytokines(raw, next(streams), acute, spoil=spoil)
    for number, group in enumerate(late, 1):
        _cell_based(raw, next(streams), f"aqp4_cba_{number:02d}", group, spoil=spoil)
    if spoil:
        raw.add_fault("infused_immunoglobulin", "immunoglobulins", "igg")
    return raw


# -- ELISA -------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plate:
    """One ELISA plate as it was filled and read."""

    kit: Kit
    file_id: str
    wells: list[Well]
    signal: dict[str, float]

    def wells_of(self, name: str, dilution: float | None = None) -> list[Well]:
        return [w for w in self.wells if w.name == name and dilution in {None, w.dilution}]


def _fill(
    raw: ImmunoassayFiles,
    rng: np.random.Generator,
    kit: Kit,
    file_id: str,
    loads: Sequence[tuple[_Tube, Sequence[float]]],
    *,
    too_much: Mapping[str, float] | None = None,
    lost_at_end: float = 0.0,
    short: Mapping[str, float] | None = None,
    planted: Mapping[str, str] | None = None,
) -> _Plate:
    """Fill and read one plate, and add the truth of its samples.

    ``loads`` are samples with their dilutions, each in duplicate; ``short`` says which share of
    a sample reached its second well; ``planted`` what was planted in a sample.
    """
    wells, pairs = standards_and_controls(
        {name: {kit.target: x} for name, x in kit.standards.items()},
        {name: {kit.target: x} for name, x in kit.controls.items()},
        BLANK,
        too_much=too_much,
    )
    left = iter(pairs)
    for tube, dilutions in loads:
        value = kit.per_true * tube.value(kit.analyte)
        for dilution in dilutions:
            amount = kit.in_well(value, dilution) * spread(DILUTION_CV, float(rng.standard_normal()))
            shares = (1.0, (short or {}).get(tube.sample_id, 1.0))
            wells += [
                Well(w, tube.sample_id, "unknown", {kit.target: share * amount}, dilution)
                for w, share in zip(next(left), shares, strict=True)
            ]
        what = (planted or {}).get(tube.sample_id, "")
        raw.truth.append(
            _truth(
                tube,
                file_id,
                kit.target,
                analyte=kit.analyte,
                assay="elisa",
                unit=kit.unit,
                planted=what,
            )
            | _concentration_truth(value, dilutions, kit.limits(min(dilutions), max(dilutions)), what)
        )
    signals = read_signals(
        rng, wells, kit.target, kit.curve.of_a_plate(rng), ELISA_NOISE, lost_at_end=lost_at_end
    )
    return _Plate(kit, file_id, wells, {w.well: float(y) for w, y in zip(wells, signals, strict=True)})


def _dilutions(kit: Kit, tube: _Tube) -> list[float]:
    further, visits = FURTHER[kit.mapping]
    return [kit.dilution, *([further] if tube.serum.draw.visit in visits else [])]


def _concentration_truth(
    value: float, dilutions: Sequence[float], limits: tuple[float, float], planted: str
) -> dict[str, Any]:
    side = "below" if value < limits[0] else "above" if value > limits[1] else "quantified"
    verdict = {"plate_drift": "rejected"} | dict.fromkeys(("hook", "bad_duplicate", "few_beads"), "flagged")
    return {
        "dilutions": ";".join(f"{d:g}" for d in dilutions),
        "true_value": value,
        "lower": math.nan,
        "upper": math.nan,
        "detection": side,
        "verdict": verdict.get(planted, "accepted"),
    }


def _soluble_bcma(
    raw: ImmunoassayFiles,
    streams: Iterator[np.random.Generator],
    groups: Sequence[Sequence[_Tube]],
    *,
    spoil: bool,
) -> None:
    """Soluble BCMA: one plate for two subjects; one drifts and is repeated, the other has a bad standard and a hook."""
    before = [t for group in groups for t in group if t.serum.draw.visit == "Pre-LD"]
    strongest = max(before, key=lambda t: t.value("soluble_bcma"), default=None)

    again: list[Sequence[_Tube]] = []
    for group in groups:
        file_id = _next_id(raw, SBCMA.mapping)
        mine = spoil and any(t is strongest for t in group)
        drifts = spoil and not mine
        planted = {t.sample_id: "plate_drift" for t in group} if drifts else {}
        if mine and strongest is not None:
            planted = {strongest.sample_id: "hook"}
        plate = _fill(
            raw,
            next(streams),
            SBCMA,
            file_id,
            [
                (t, [*([1.0] if planted.get(t.sample_id) == "hook" else []), *_dilutions(SBCMA, t)])
                for t in group
            ],
            too_much=dict([BAD_STANDARD]) if mine else None,
            lost_at_end=LOST_AT_END if drifts else 0.0,
            planted=planted,
        )
        _write_softmax(raw, plate, next(streams))
        if drifts:
            again.append(group)
            raw.add_fault("plate_drift", file_id, SBCMA.target, [t.sample_id for t in group])
        if mine and strongest is not None:
            undiluted = [w.well for w in plate.wells_of(strongest.sample_id, 1.0)]
            raw.add_fault("hook", file_id, SBCMA.target, [strongest.sample_id], undiluted)
            name = BAD_STANDARD[0]
            raw.add_fault(
                "bad_standard", file_id, SBCMA.target, [name], [w.well for w in plate.wells_of(name)]
            )
    for group in again:
        plate = _fill(
            raw,
            next(streams),
            SBCMA,
            _next_id(raw, SBCMA.mapping),
            [(t, _dilutions(SBCMA, t)) for t in group],
        )
        _write_softmax(raw, plate, next(streams))


def _aqp4_elisa(
    raw: ImmunoassayFiles,
    streams: Iterator[np.random.Generator],
    groups: Sequence[Sequence[_Tube]],
    *,
    spoil: bool,
) -> None:
    """AQP4-IgG in U/mL: undiluted, and 1:10 where much is expected."""
    strongest = max((t for group in groups for t in group), key=lambda t: t.value("aqp4_igg"), default=None)
    for group in groups:
        file_id = _next_id(raw, AQP4.mapping)
        loads = [(t, _dilutions(AQP4, t)) for t in group]
        mine = strongest if spoil and any(t is strongest for t in group) else None
        planted = {mine.sample_id: "above_the_curve"} if mine else {}
        plate = _fill(raw, next(streams), AQP4, file_id, loads, planted=planted)
        _write_softmax(raw, plate, next(streams))
        if mine:
            undiluted = [w.well for w in plate.wells_of(mine.sample_id, 1.0)]
            raw.add_fault("above_the_curve", file_id, AQP4.target, [mine.sample_id], undiluted)


def _anti_srp(
    raw: ImmunoassayFiles, rng: np.random.Generator, tubes: Sequence[_Tube], *, spoil: bool
) -> None:
    """anti-SRP: numbers in a workbook, and a workbook that says what stands in each well."""
    mine = [t for t in tubes if t.serum.draw.visit in SERUM_VISITS]
    if not mine:
        return
    place, visit, share = BAD_DUPLICATE
    bad = _one(mine, place, visit) if spoil else None
    file_id = _next_id(raw, SRP.mapping)
    plate = _fill(
        raw,
        rng,
        SRP,
        file_id,
        [(t, [SRP.dilution]) for t in mine],
        short={bad.sample_id: share} if bad else None,
        planted={bad.sample_id: "bad_duplicate"} if bad else None,
    )
    run = _run_at(raw)
    titles = [f"anti-SRP IgG, {run:%Y-%m-%d}", f"Read by {OPERATOR} at 450 nm"]
    content = grid_workbook({w: round(y, 3) for w, y in plate.signal.items()}, 12, titles)
    layout = layout_workbook(
        {
            "sample": {w.well: w.name for w in plate.wells},
            "dilution": {w.well: w.dilution for w in plate.wells if w.task == "unknown"},
        },
        12,
    )
    raw.add(file_id, SRP.mapping, "xlsx", content, ("xlsx", layout))
    if bad:
        wells = [w.well for w in plate.wells_of(bad.sample_id)]
        raw.add_fault("bad_duplicate", file_id, SRP.target, [bad.sample_id], wells)


def _write_softmax(raw: ImmunoassayFiles, plate: _Plate, rng: np.random.Generator) -> None:
    kit, wells = plate.kit, plate.wells
    background = {w.well: round(0.041 + 0.002 * float(rng.standard_normal()), 4) for w in wells}
    signal = {w: round(y + background[w], 4) for w, y in plate.signal.items()}
    standards = [w for w in wells if w.task == "standard"]
    found = software_concentrations(
        np.array([kit.standards[w.name] for w in standards]),
        np.array([plate.signal[w.well] for w in standards]),
        np.array([plate.signal[w.well] for w in wells]),
    )

    def listed(task: str, dilution: float | None = None) -> dict[str, list[Well]]:
        out: dict[str, list[Well]] = {}
        for w in wells:
            if w.task == task and dilution in {None, w.dilution}:
                out.setdefault(w.name, []).append(w)
        return out

    groups = [
        Group("Standards", listed("standard"), "Standard Value", kit.standards, kit.unit),
        Group("Controls", listed("control")),
        Group("Blanks", listed("blank")),
    ]
    dilutions = sorted({w.dilution for w in wells if w.task == "unknown"})
    for n, dilution in enumerate(dilutions, 1):
        # SoftMax has one description a sample, so each dilution is a group.
        mine = listed("unknown", dilution)
        name = "Unknowns" if len(dilutions) == 1 else f"Unknowns {n}"
        groups.append(Group(name, mine, "Dilution Factor", dict.fromkeys(mine, dilution)))
    text = softmax_text(
        groups,
        signal,
        background,
        {w.well: float(x) for w, x in zip(wells, found, strict=True)},
        title=f"{kit.title} {plate.file_id[-2:]}",
        saved=_run_at(raw),
        operator=OPERATOR,
    )
    raw.add(plate.file_id, kit.mapping, "txt", text.encode(), None)


# -- beads and cells ---------------------------------------------------------------------------


def _cytokines(
    raw: ImmunoassayFiles, rng: np.random.Generator, tubes: Sequence[_Tube], *, spoil: bool
) -> None:
    """Four cytokines on one plate of beads; the names in the file say it all."""
    file_id = _next_id(raw, LUMINEX)
    place, visit, few = FEW_BEADS
    clogged = _one(tubes, place, visit) if spoil else None
    wells, pairs = standards_and_controls(
        {name: dict.fromkeys(CYTOKINES, x) for name, x in LUMINEX_STANDARDS.items()},
        {name: dict.fromkeys(CYTOKINES, x) for name, x in LUMINEX_CONTROLS.items()},
        LUMINEX_BLANK,
    )
    for tube, pair in zip(tubes, pairs, strict=False):
        error = spread(DILUTION_CV, float(rng.standard_normal()))
        amounts = {
            bead: error * tube.value(analyte) / LUMINEX_DILUTION
            for bead, (analyte, _, _) in CYTOKINES.items()
        }
        beads = few if tube is clogged else 110.0
        wells += [Well(w, tube.sample_id, "unknown", amounts, LUMINEX_DILUTION, beads) for w in pair]
        what = "few_beads" if tube is clogged else ""
        for bead, (analyte, _, _) in CYTOKINES.items():
            levels = LUMINEX_STANDARDS.values()
            limits = (LUMINEX_DILUTION * min(levels), LUMINEX_DILUTION * max(levels))
            raw.truth.append(
                _truth(tube, file_id, bead, analyte=analyte, assay="luminex", unit="pg/mL", planted=what)
                | _concentration_truth(tube.value(analyte), [LUMINEX_DILUTION], limits, what)
            )
    # The instrument reads down the columns.
    wells.sort(key=lambda w: (w.column, w.well))
    count, median = {}, {}
    for bead, (_, curve, _) in CYTOKINES.items():
        about = np.array([w.beads for w in wells])
        drawn = rng.normal(about, 0.12 * about)
        # Enough beads are never fewer than 60, too few never more than 45.
        count[bead] = [
            round(float(b)) for b in np.where(about >= 100, np.maximum(drawn, 60), np.minimum(drawn, 45))
        ]
        median[bead] = list(
            np.round(2 * read_signals(rng, wells, bead, curve.of_a_plate(rng), BEAD_NOISE)) / 2
        )
    text = xponent_csv(wells, median, count, title="Cytokine_4plex", read_at=_run_at(raw), operator=OPERATOR)
    raw.add(file_id, LUMINEX, "csv", text.encode(), None)
    if clogged:
        mine = [w.well for w in wells if w.name == clogged.sample_id]
        raw.add_fault("few_beads", file_id, ";".join(CYTOKINES), [clogged.sample_id], mine)


def _cell_based(
    raw: ImmunoassayFiles, rng: np.random.Generator, file_id: str, tubes: Sequence[_Tube], *, spoil: bool
) -> None:
    """Cell-based assay: a sheet of signs, two readers beside each other, two sera below each other."""
    place, visits = NEW_START
    cells: dict[str, object] = {}
    rows: list[tuple[str, str, float]] = []
    changed = []
    readings: list[tuple[str, float, float]] = []
    for tube in tubes:
        d = tube.serum.draw
        start = CBA_START
        if spoil and tube.serum.place == place and d.visit in visits:
            start = CBA_NEW_START
            changed.append(tube.sample_id)
        titre = tube.value("aqp4_igg") * 2 ** (TITRE_SD * float(rng.standard_normal()))
        readings.append((tube.sample_id, titre, start))
    readings += [(name, titre, CBA_START) for name, titre in CBA_CONTROLS.items()]
    truth = {t.sample_id: t for t in tubes}
    for n, (name, titre, start) in enumerate(readings):
        band, column = divmod(n, 12)
        away = np.clip(READER_SD * rng.standard_normal(2), -READER_LIMIT, READER_LIMIT)
        read = [titre * 2.0 ** float(a) for a in away]
        for k in range(CBA_WELLS):
            dilution = start * 2**k
            for reader, found in enumerate(read):
                well = f"{'ABCDEFGHIJKLMNOP'[8 * band + k]}{2 * column + reader + 1:02d}"
                cells[well] = _sign(found / dilution)
                rows.append((well, name, dilution))
        if name in truth:
            what = "changed_start" if name in changed else ""
            raw.truth.append(
                _truth(
                    truth[name],
                    file_id,
                    CBA_TARGET,
                    analyte="aqp4_igg",
                    assay="cba",
                    unit="titre",
                    planted=what,
                )
                | _titre_truth(truth[name].value("aqp4_igg"), read, start, changed=bool(what))
            )
    run = _run_at(raw)
    titles = [f"AQP4-IgG cell-based assay, {run:%d.%m.%Y}", f"Readers: {OPERATOR} and M. Muster"]
    layout = layout_table(rows).encode()
    raw.add(file_id, CBA, "csv", grid_csv(cells, 24, titles).encode(), ("tsv", layout))
    if changed:
        raw.add_fault("changed_start", file_id, CBA_TARGET, changed)


def _sign(above: float) -> str:
    """Return what a reader writes of a well whose serum is ``above`` times as strong as needed."""
    return "-" if above < 1 else "(+)" if above < 1.4 else "+" if above < 4 else "++"


def _titre_truth(true: float, read: Sequence[float], start: float, *, changed: bool) -> dict[str, Any]:
    """Say what two readers' end points make: the interval from the last positive to the first negative dilution."""
    steps = [min(math.floor(math.log2(r / start)), CBA_WELLS - 1) if r >= start else -1 for r in read]
    low, high = min(steps), max(steps)
    above = high == CBA_WELLS - 1
    return {
        "dilutions": ";".join(f"{start * 2**k:g}" for k in range(CBA_WELLS)),
        "true_value": true,
        "lower": 0.0 if low < 0 else start * 2**low,
        "upper": math.inf if above else start * 2 ** (high + 1),
        "detection": "below" if low < 0 else "above" if above else "quantified",
        "verdict": "flagged" if changed or low != high else "accepted",
    }


# -- sheets and truth --------------------------------------------------------------------------


def _one(tubes: Sequence[_Tube], place: int, visit: str) -> _Tube | None:
    return next((t for t in tubes if t.serum.place == place and t.serum.draw.visit == visit), None)


def _next_id(raw: ImmunoassayFiles, mapping: str) -> str:
    return f"{mapping}_{sum(f['mapping'] == _mapping(mapping) for f in raw.files) + 1:02d}"


def _run_at(raw: ImmunoassayFiles) -> datetime:
    return FIRST_RUN + timedelta(days=2 * len(raw.files))


def _sample_row(tube: _Tube, first_infusion: Mapping[str, date]) -> dict[str, str]:
    d = tube.serum.draw
    drawn = first_infusion[d.subject_id] + timedelta(days=d.study_day)
    return {
        "sample_id": tube.sample_id,
        "subject_id": d.subject_id,
        "matrix": "serum",
        "visit": d.visit,
        "date": drawn.isoformat(),
    }


def _truth(
    tube: _Tube, file_id: str, target: str, *, analyte: str, assay: str, unit: str, planted: str
) -> dict[str, Any]:
    d = tube.serum.draw
    return {
        "file_id": file_id,
        "sample_id": tube.sample_id,
        "subject_id": d.subject_id,
        "infusion": d.infusion,
        "visit": d.visit,
        "day": d.day,
        "study_day": d.study_day,
        "target": target,
        "analyte": analyte,
        "assay": assay,
        "unit": unit,
        "planted": planted,
    }


def faults_table(faults: Sequence[PlantedFault]) -> pd.DataFrame:
    """Return the planted faults, one row each."""
    return pd.DataFrame([asdict(f) for f in faults], columns=[f.name for f in fields(PlantedFault)])
