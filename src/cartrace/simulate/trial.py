"""A trial of 12 (or 1000) in the shape of the NMOSD phase 1, with known truth.

Dose cohorts of 3 at 0.5e6/kg, 3 at 1.0e6/kg and 6 in the expansion; cyclophosphamide
and fludarabine on days -4 to -2; sampling from day -5 to day 180, for some to day 365
(Qin 2023, doi 10.1038/s41392-022-01278-3). Product and subjects are made up.

Each subject has its own random stream, so a larger trial of one seed holds the
smaller one unchanged.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from cartrace.simulate import bedside_laboratory, courses, humoral_laboratory, laboratory
from cartrace.simulate.bedside import UNITS, Bedside, draw_bedside
from cartrace.simulate.bedside_laboratory import LOWER_LIMITS, bedside_results
from cartrace.simulate.bedside_sheet import (
    BY_EXCEPTION,
    COUNTS_MISSING,
    PlantedFault,
    observations,
    plan_fault,
)
from cartrace.simulate.bedside_sheet import faults_table as bedside_faults_table
from cartrace.simulate.bedside_truth import reported_counts, true_counts, true_scores, true_toxicity
from cartrace.simulate.cells_trial import CONSTRUCT, LibraryFiles, single_cell_core
from cartrace.simulate.central_laboratory import (
    CENTRAL,
    DETECTION_LIMITS,
    LIMITS,
    RawFiles,
    central_laboratory,
    failures_table,
)
from cartrace.simulate.courses import ROLES, Course
from cartrace.simulate.cytokines import draw_cytokines
from cartrace.simulate.dna import Eluate, extract
from cartrace.simulate.errors import OUTSIDE_WINDOW, PROTECTED, no_errors, plant
from cartrace.simulate.events import IMPROVED, STABLE, WORSE, Event, draw_events
from cartrace.simulate.flow_core import TubeFiles, faults_table, flow_core
from cartrace.simulate.flow_tubes import Blood
from cartrace.simulate.humoral import LINEAGES, Humoral, draw_humoral
from cartrace.simulate.humoral_laboratory import humoral_results
from cartrace.simulate.humoral_truth import true_antibodies, true_depletion
from cartrace.simulate.immunoassay_core import CORE, MOVED, ImmunoassayFiles, Serum, immunoassay_core
from cartrace.simulate.immunoassay_core import VISITS as SERUM_VISITS
from cartrace.simulate.immunoassay_core import faults_table as immunoassay_faults_table
from cartrace.simulate.laboratory import (
    NOT_RUN,
    PER_1000_CELLS,
    Draw,
    LabTable,
    Result,
    flow_cells,
    qpcr_cells,
)
from cartrace.simulate.sites_trial import SiteFiles, site_laboratory

PRODUCT = "demo-cel"

VISITS: tuple[tuple[str, int, int], ...] = (
    ("Pre-LD", -5, 2),
    ("D0 predose", 0, 0),
    ("D1", 1, 1),
    ("D4", 4, 1),
    ("D7", 7, 1),
    ("D10", 10, 1),
    ("D14", 14, 2),
    ("D21", 21, 3),
    ("D28", 28, 4),
    ("D42", 42, 5),
    ("D60", 60, 7),
    ("D90", 90, 10),
    ("D120", 120, 10),
    ("D150", 150, 14),
    ("D180", 180, 14),
    ("D270", 270, 21),
    ("D365", 365, 30),
)
"""Nominal visits: name, day, window on either side in days."""

LATE: dict[str, tuple[int, int]] = {
    "D14": (0, 1),
    "D21": (-1, 2),
    "D28": (0, 3),
    "D42": (-2, 4),
    "D60": (-3, 6),
    "D90": (0, 8),
    "D120": (-4, 8),
    "D150": (-4, 10),
    "D180": (0, 5),
    "D270": (-7, 14),
    "D365": (0, 20),
}
"""How many days early (negative) or late a visit happens; the others happen on their day."""

MAY_BE_MISSED = ("D21", "D42", "D60", "D120", "D150")
MISSED = 0.08
"""Chance that one of these visits is missed; never two in a row."""

CSF_DAYS = (-5, 14, 28, 60, 90, 180)
MAPPINGS = laboratory.MAPPINGS | humoral_laboratory.MAPPINGS | bedside_laboratory.MAPPINGS
WRITERS = (*laboratory.WRITERS, *humoral_laboratory.WRITERS, *bedside_laboratory.WRITERS)

PCR_CV, FLOW_CV, COUNT_CV = 0.25, 0.15, 0.08
"""Coefficients of variation of the assays. qPCR: the 25 % of the GMO rule (PMC8282960)."""

FAILED_RUN = {3: "D60", 11: "D90"}
"""Visits whose first PCR run failed and was repeated, by place among twelve subjects."""
FLOW_DOWN = {11: "D120"}
"""Visits without flow cytometry, by place among twelve subjects."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A simulated trial: what a trial folder holds, and the truth behind it.

    ``config`` and ``mappings`` are the YAML files; ``sheets`` the sheets as text;
    ``tables`` the laboratory files; ``truth`` the frames ``courses`` (one row per
    course), ``depletion`` and ``antibodies`` (one row per subject, infusion and
    analyte), ``samples`` (one row per result in a table), ``planted_errors`` (in
    tables), ``pcr_samples`` (one row per sample on a plate),
    ``planted_pcr_failures``, ``flow_tubes`` (one row per tube and analyte),
    ``planted_flow_faults``, ``toxicity`` (one row per subject, infusion and term),
    ``counts`` (one row per blood count), ``scores`` and ``planted_bedside_faults``. ``plates`` is what the central PCR laboratory sent,
    ``tubes`` what the flow core sent, ``immunoassays`` what the immunoassay laboratory
    sent: its truth is ``immunoassay_samples`` (one row per sample, target and plate) and
    ``planted_immunoassay_faults``. ``libraries`` is what the single-cell laboratory sent: its truth is
    ``cells`` (one row per barcode with a cell), ``libraries``, ``cell_expression`` (genes that the CAR
    changes), the clones behind them (``clones``, ``clone_samples``, ``b_clones``, ``b_cells``) and
    ``planted_library_faults``. ``sites`` is what the laboratory of integration sites sent: its truth is ``sites``
    (one row per site in a sample).
    """

    seed: int
    n_subjects: int
    plant_errors: bool
    config: dict[str, Any]
    mappings: dict[str, dict[str, Any]]
    sheets: dict[str, pd.DataFrame]
    tables: tuple[LabTable, ...]
    plates: RawFiles
    tubes: TubeFiles
    immunoassays: ImmunoassayFiles
    libraries: LibraryFiles
    sites: SiteFiles
    truth: dict[str, pd.DataFrame]


class _Sent(NamedTuple):
    """What the laboratories sent beside tables."""

    plates: RawFiles
    tubes: TubeFiles
    immunoassays: ImmunoassayFiles
    libraries: LibraryFiles
    sites: SiteFiles


@dataclass(frozen=True, slots=True)
class _Subject:
    index: int
    subject_id: str
    cohort: str
    dose: float
    sex: str
    age: int
    weight_kg: float
    first_infusion: date
    follow_up_day: int
    infusion_days: tuple[int, ...]
    blood: tuple[Course, ...]
    csf: Course | None
    humoral: Humoral
    events: tuple[Event, ...]
    bedside: Bedside
    observations: tuple[dict[str, str], ...]
    bedside_fault: PlantedFault | None
    draws: tuple[Draw, ...]
    results: tuple[Result, ...]


def simulate_trial(
    seed: int = 2024,
    n_subjects: int = 12,
    *,
    plant_errors: bool = True,
    plates: bool = True,
    tubes: bool = True,
    bedside: bool = True,
    immunoassays: bool = True,
    libraries: bool = True,
) -> Trial:
    """Simulate a trial.

    The same arguments give the same trial. Errors are planted in the first twelve
    subjects only, and change nothing but the cells that ``truth["planted_errors"]``
    names (and the day of one late visit), the plates of the central laboratory, the
    tubes of the flow core, and the libraries. Without ``plates`` there is no central laboratory: all qPCR
    comes as tables. Without ``tubes`` there is no flow core, and so no FCS file. Without
    ``immunoassays`` all soluble BCMA and antibodies come as tables, and there are no cytokines.
    Without ``libraries`` there is no single-cell sequencing, and there are no integration sites.

    Without ``bedside`` there are no observations, blood counts and scores; the events
    stay, but for the counts that clinicians report.

    Raises
    ------
    ValueError
        When ``n_subjects`` is not between 1 and 9999, or ``seed`` is negative.
    """
    if not 1 <= n_subjects <= 9999:
        raise ValueError(f"n_subjects {n_subjects}; allowed: 1 to 9999")
    if seed < 0:
        raise ValueError(f"seed {seed}; allowed: 0 or more")
    subjects = [_subject(seed, i, plant_errors=plant_errors, bedside=bedside) for i in range(n_subjects)]
    raw = _central(seed, subjects, plant=plant_errors and n_subjects >= 12) if plates else RawFiles()
    results = [
        r
        for s in subjects
        for r in s.results
        if not ((plates and _is_central(s, r)) or (immunoassays and _is_moved(s, r)))
    ]
    size = max(6, -(-n_subjects // 10))
    ids = [s.subject_id for s in subjects]
    batches = [ids[i : i + size] for i in range(0, len(ids), size)]
    first = {s.subject_id: s.first_infusion for s in subjects}
    samples = _Samples(subjects)
    core = flow_core(seed, samples.blood, first, plant=plant_errors) if tubes else TubeFiles()
    cells = single_cell_core(seed, samples, first, plant=plant_errors) if libraries else LibraryFiles()
    sites = site_laboratory(seed, samples, first, cells.samples) if libraries else SiteFiles()
    sera = _sera(seed, subjects) if immunoassays else []
    assays = immunoassay_core(seed, sera, first, plant=plant_errors)
    tables = [t for write in WRITERS for t in write(results, batches, first)]
    places = {place: (t, row, column) for t in tables for place, (row, column) in t.places.items()}
    planted = (
        plant(np.random.default_rng([seed, 0]), tables, places, results) if plant_errors else no_errors()
    )
    sent = _Sent(raw, core, assays, cells, sites)
    return Trial(
        seed=seed,
        n_subjects=n_subjects,
        plant_errors=plant_errors,
        config=_bedside_config(_config(seed, n_subjects, sent))
        if bedside
        else _config(seed, n_subjects, sent),
        mappings={
            name: mapping for name, mapping in MAPPINGS.items() if any(t.mapping == name for t in tables)
        }
        | raw.assays
        | core.mappings
        | assays.mappings,
        sheets=_sheets(subjects, tables, sent)
        | (
            {"observations": pd.DataFrame([row for s in subjects for row in s.observations])}
            if bedside
            else {}
        ),
        tables=tuple(tables),
        plates=raw,
        tubes=core,
        immunoassays=assays,
        libraries=cells,
        sites=sites,
        truth={
            "courses": _true_courses(subjects),
            "depletion": pd.DataFrame(
                [
                    row
                    for s in subjects
                    for row in true_depletion(s.subject_id, s.humoral, s.infusion_days, s.follow_up_day)
                ]
            ),
            "antibodies": pd.DataFrame(
                [
                    row
                    for s in subjects
                    for row in true_antibodies(s.subject_id, s.humoral, s.infusion_days, s.follow_up_day)
                ]
            ),
            "samples": _true_samples(results, places),
            "planted_errors": planted,
        }
        | (
            {"pcr_samples": pd.DataFrame(raw.truth), "planted_pcr_failures": failures_table(raw.failures)}
            if raw.files
            else {}
        )
        | (
            {"flow_tubes": pd.DataFrame(core.truth), "planted_flow_faults": faults_table(core.faults)}
            if core.files
            else {}
        )
        | (_bedside_truth(subjects) if bedside else {})
        | (
            {
                "immunoassay_samples": pd.DataFrame(assays.truth),
                "planted_immunoassay_faults": immunoassay_faults_table(assays.faults),
            }
            if assays.files
            else {}
        )
        | cells.tables
        | sites.tables,
    )


def _is_central(subject: _Subject, result: Result) -> bool:
    """Whether a result is the central PCR laboratory's, which sends plates instead."""
    return subject.index % 12 in CENTRAL and result.assay == "qpcr" and result.draw.matrix == "blood"


def _is_moved(subject: _Subject, result: Result) -> bool:
    """Whether a result is the immunoassay laboratory's, which sends plates instead."""
    return subject.index in CORE and result.analyte in MOVED


def _sera(seed: int, subjects: Sequence[_Subject]) -> list[Serum]:
    """Return the serum of the immunoassay laboratory's subjects, in order of subjects and days."""
    sera = []
    for s in subjects:
        if s.index not in CORE:
            continue
        release = next((e for e in s.events if e.kind == "adverse_event" and e.label == "CRS"), None)
        onset, end, grade = (
            (release.day, release.end_day or release.day, release.grade or 0) if release else (5, 5, 0)
        )
        # A stream of its own: cytokines move no other result.
        cytokines = draw_cytokines(np.random.default_rng([seed, s.index + 1, 10]), onset, end, grade)
        true = {a: c for a, c in s.humoral.courses.items() if a in MOVED} | dict(cytokines)
        sera += [
            Serum(s.index, d, {a: float(course(d.study_day)) for a, course in true.items()})
            for d in s.draws
            if d.visit in SERUM_VISITS
        ]
    return sera


def _central(seed: int, subjects: Sequence[_Subject], *, plant: bool) -> RawFiles:
    eluates: list[Eluate] = []
    for s in subjects:
        # A stream of its own: what happens to the DNA moves no result of a table.
        rng = np.random.default_rng([seed, s.index + 1, 4])
        for r in s.results:
            if _is_central(s, r) and r.unit == "copies/ug":
                d = r.draw
                t_cells = float(courses.t_cell_count(d.day, s.blood[d.infusion - 1].t_cells))
                eluates.append(extract(rng, d, copies_per_ug=r.true_value, t_cells=t_cells))
    return central_laboratory(seed, eluates, {s.subject_id: s.first_infusion for s in subjects}, plant=plant)


@dataclass(frozen=True, slots=True)
class _Samples:
    """What is true of the samples of the first twelve subjects, for laboratories that measure cells."""

    subjects: Sequence[_Subject]

    def subject(self, place: int) -> str | None:
        return self.subjects[place].subject_id if place < len(self.subjects) else None

    def blood(self, place: int, visit: str) -> tuple[str, int, Blood] | None:
        s = self.subjects[place] if place < len(self.subjects) else None
        draw = next((d for d in s.draws if d.visit == visit and d.infusion == 1), None) if s else None
        if s is None or draw is None:
            return None
        course, cells = s.blood[0], s.humoral.courses
        blood = Blood(
            t_cells=float(courses.value("t_cells", draw.day, course)),
            car_share=float(courses.value("car_t_fraction", draw.day, course)) / 100,
            **{
                name: float(cells[name](draw.study_day))
                for name in ("b_cells", "naive_b_cells", "memory_b_cells", "plasmablasts", "plasma_cells")
            },
        )
        return s.subject_id, draw.study_day, blood

    def csf(self, place: int, day: int) -> tuple[str, float] | None:
        s = self.subjects[place] if place < len(self.subjects) else None
        if s is None or s.csf is None or day not in CSF_DAYS:
            return None
        return s.subject_id, float(courses.value("car_t_fraction", day, s.csf)) / 100


def _subject(seed: int, index: int, *, plant_errors: bool, bedside: bool) -> _Subject:
    rng = np.random.default_rng([seed, index + 1])
    place = index % 12
    role = ROLES[place]
    cohort, dose = _cohort(place)
    blood = [courses.draw_course(rng, role, dose)]
    infusion_days = [0]
    if role == "second_infusion":
        infusion_days.append(int(rng.integers(187, 194)))
        blood.append(courses.second_course(rng, blood[0]))
    csf = courses.csf_course(rng, blood[0]) if role == "csf" else None
    follow_up = {
        "persister": 365 + int(rng.integers(20, 40)),
        "lost_early": 31 + int(rng.integers(4, 9)),
        "second_infusion": infusion_days[-1] + 190,
    }.get(role, 180 + int(rng.integers(6, 30)))
    subject_id = f"NMO-{index + 1:03d}"
    late_by = 19 if plant_errors and index == OUTSIDE_WINDOW[0] else 3
    draws = _blood_draws(
        rng,
        subject_id=subject_id,
        place=place,
        infusion_days=infusion_days,
        follow_up=follow_up,
        late_by=late_by,
    )
    results = [r for d in draws for r in _blood_results(rng, d, blood, infusion_days, place)]
    if csf is not None:
        results += [_csf_result(rng, subject_id, day, csf) for day in CSF_DAYS]
    age = int(rng.integers(30, 68))
    weight_kg = round(min(max(float(rng.normal(62, 9)), 43.0), 95.0), 1)
    first_infusion = date(2021, 1, 11) + timedelta(days=int(rng.integers(0, 900)))
    # A stream of its own: what the B lineage does moves no CAR-T result.
    stream = np.random.default_rng([seed, index + 1, 3])
    ivig_days = _ivig_days(draws) if LINEAGES[place] == "ivig" else ()
    humoral = draw_humoral(stream, place, infusion_days, ivig_days)
    down = [FLOW_DOWN[place]] if place in FLOW_DOWN else []
    results += humoral_results(stream, humoral, draws, infusion_days, left_out=down)
    cmax = blood[0].parameters.cmax
    events = draw_events(
        stream, place, cmax=cmax, weight_kg=weight_kg, follow_up_day=follow_up, ivig_days=ivig_days
    )
    # A stream of its own: what happens at the bedside moves no result of a laboratory.
    stream = np.random.default_rng([seed, index + 1, 6])
    ward = draw_bedside(
        stream,
        place,
        events,
        infusion_days,
        cmax=cmax,
        follow_up_day=follow_up,
        t_cells=blood[0].t_cells,
        b_cells=humoral.courses["b_cells"],
    )
    fault = plan_fault(subject_id, place, ward.release) if plant_errors and index < 12 else None
    written = observations(stream, subject_id, ward, infusion_days, follow_up_day=follow_up, fault=fault)
    lost = COUNTS_MISSING if fault is not None and fault.kind == "counts_missing" else None
    measured = bedside_results(stream, ward, draws, infusion_days, place=place, missing=lost)
    results += measured if bedside else []
    events += [*ward.events, *(reported_counts(measured) if bedside else ())]
    events.sort(key=lambda e: (e.day, e.kind, e.label))
    return _Subject(
        index=index,
        subject_id=subject_id,
        cohort=cohort,
        dose=dose,
        sex="male" if place in {4, 9} else "female",
        age=age,
        weight_kg=weight_kg,
        first_infusion=first_infusion,
        follow_up_day=follow_up,
        infusion_days=tuple(infusion_days),
        blood=tuple(blood),
        csf=csf,
        humoral=humoral,
        events=tuple(events),
        bedside=ward,
        observations=tuple(written),
        bedside_fault=fault,
        draws=tuple(draws),
        results=tuple(results),
    )


def _ivig_days(draws: Sequence[Draw]) -> tuple[int, ...]:
    """Two doses that lift the IgG of D120 and D150, and no longer that of D180."""
    days = {d.visit: d.study_day for d in draws if d.infusion == 1}
    return days["D120"] - 4, min(days["D150"] - 4, days["D180"] - 31)


def _cohort(place: int) -> tuple[str, float]:
    if place < 3:
        return "0.5e6 per kg", 0.5e6
    return ("1.0e6 per kg", 1.0e6) if place < 6 else ("expansion 1.0e6 per kg", 1.0e6)


def _blood_draws(
    rng: np.random.Generator,
    *,
    subject_id: str,
    place: int,
    infusion_days: Sequence[int],
    follow_up: int,
    late_by: int,
) -> list[Draw]:
    draws = []
    ends = [*infusion_days[1:], follow_up + 1]
    for number, (start, end) in enumerate(zip(infusion_days, ends, strict=True), 1):
        missed_last = False
        for visit, nominal, _ in VISITS:
            low, high = LATE.get(visit, (0, 0))
            shift = int(rng.integers(low, high + 1))
            missed = bool(rng.random() < MISSED)
            if (place, visit) == OUTSIDE_WINDOW:
                shift = late_by
            day = nominal + shift
            # The visit before a second infusion belongs to the first: it is its last one.
            before = number > 1 and day < 0
            may_miss = visit in MAY_BE_MISSED and not missed_last and visit not in PROTECTED.get(place, ())
            missed_last = missed and may_miss
            if before or missed_last or start + day >= end:
                continue
            draws.append(Draw(subject_id, number, "blood", visit, nominal, day, start + day))
    return draws


def _blood_results(
    rng: np.random.Generator,
    draw: Draw,
    blood: Sequence[Course],
    infusion_days: Sequence[int],
    place: int,
) -> list[Result]:
    # A predose sample is drawn hours before the cells are given.
    time = draw.study_day - (0.1 if "predose" in draw.visit else 0.0)

    def true(analyte: str) -> float:
        values = [
            float(courses.value(analyte, time - start, course))
            for start, course in zip(infusion_days, blood, strict=True)
        ]
        if analyte == "t_cells":
            # Each lymphodepletion starts the recovery anew.
            return values[draw.infusion - 1]
        return sum(values)

    copies, fraction, count = true("transgene"), true("car_t_fraction"), true("t_cells")
    measured = copies * _noise(rng, PCR_CV)
    measured_fraction = min(fraction * _noise(rng, FLOW_CV), 99.0)
    measured_count = min(count * _noise(rng, COUNT_CV), 990.0)
    per_ug, per_1000 = qpcr_cells(rng, measured)
    share, t_cells, car = flow_cells(measured_fraction, measured_count)
    failed = NOT_RUN if FAILED_RUN.get(place) == draw.visit and draw.infusion == 1 else None
    results = [
        Result(draw, "transgene", "qpcr", "copies/ug", copies, measured, per_ug, failed),
        Result(
            draw,
            "transgene",
            "qpcr",
            "copies/1000 cells",
            copies * PER_1000_CELLS,
            measured * PER_1000_CELLS,
            per_1000,
            failed,
        ),
    ]
    if FLOW_DOWN.get(place) != draw.visit:
        results += [
            Result(draw, "car_t_fraction", "flow", "%", fraction, measured_fraction, share),
            Result(draw, "t_cells", "flow", "cells/uL", count, measured_count, t_cells),
            Result(
                draw,
                "car_t_cells",
                "flow",
                "cells/uL",
                count * fraction / 100,
                measured_count * measured_fraction / 100,
                car,
            ),
        ]
    return results


def _csf_result(rng: np.random.Generator, subject_id: str, day: int, csf: Course) -> Result:
    true = float(courses.transgene(day, csf))
    measured = true * _noise(rng, PCR_CV)
    cell, _ = qpcr_cells(rng, measured)
    draw = Draw(subject_id, 1, "csf", "", day, day, day)
    # This laboratory's file has no thousands commas.
    plain = cell.replace(",", "") if isinstance(cell, str) else cell
    return Result(draw, "transgene", "qpcr", "copies/ug", true, measured, plain)


def _noise(rng: np.random.Generator, cv: float) -> float:
    """Log-normal with median 1 and the given coefficient of variation."""
    return float(np.exp(np.sqrt(np.log1p(cv**2)) * rng.standard_normal()))


def _config(seed: int, n_subjects: int, sent: _Sent) -> dict[str, Any]:
    raw, core, assays, cells, sites = sent
    sheets = {"events": "sheets/events.tsv"}
    sheets |= {"extractions": "sheets/extractions.tsv"} if raw.extractions else {}
    listed = raw.samples or core.samples or assays.samples or cells.samples or sites.samples
    sheets |= {"samples": "sheets/samples.tsv"} if listed else {}
    sheets |= {"tubes": "sheets/tubes.tsv"} if core.tubes else {}
    sheets |= {"libraries": "sheets/libraries.tsv"} if cells.libraries else {}
    sheets |= {"integration_sites": "sheets/integration_sites.tsv"} if sites.sets else {}
    return {
        "trial": {
            "title": "Demo trial: anti-BCMA CAR-T in NMOSD (simulated)",
            "description": f"{n_subjects} made-up subjects with known truth, seed {seed}. "
            "No patient is behind any number.",
        },
        "data_dir": "data",
        "sheets": sheets,
        "visits": [{"name": name, "day": day, "window": window} for name, day, window in VISITS],
        "cohort": {
            "association": {
                "response": {
                    "day": 180,
                    "groups": [
                        {"name": "improved", "labels": [IMPROVED]},
                        {"name": "not improved", "labels": [STABLE, WORSE]},
                    ],
                    "rest": None,
                }
            }
        },
    } | (
        ({"pcr": {"detection_limits": {LIMITS: DETECTION_LIMITS}}} if raw.samples else {})
        | ({"cells": cells.config} if cells.libraries else {})
        | sites.config
    )


def _bedside_config(config: dict[str, Any]) -> dict[str, Any]:
    limits = [
        {"analyte": analyte, "unit": UNITS[analyte], "value": value, "source": "the made-up laboratory"}
        for analyte, value in LOWER_LIMITS.items()
    ]
    return config | {
        "sheets": config["sheets"] | {"observations": "sheets/observations.tsv"},
        "safety": {"charted_by_exception": list(BY_EXCEPTION), "lower_limits": limits},
    }


def _bedside_truth(subjects: Sequence[_Subject]) -> dict[str, pd.DataFrame]:
    whose = [(s.subject_id, s.bedside, s.infusion_days, s.follow_up_day) for s in subjects]
    return {
        "toxicity": pd.DataFrame([row for w in whose for row in true_toxicity(*w)]).astype(
            {"onset_day": "Int64", "end_day": "Int64", "duration_days": "Int64"}
        ),
        "counts": pd.DataFrame([row for w in whose for row in true_counts(*w)]).astype(
            {"low_days": "Int64", "recovery_day": "Int64"}
        ),
        "scores": pd.DataFrame([row for s in subjects for row in true_scores(s.bedside, s.draws)]),
        "planted_bedside_faults": bedside_faults_table(
            [s.bedside_fault for s in subjects if s.bedside_fault is not None]
        ),
    }


def _sheets(
    subjects: Sequence[_Subject],
    tables: Sequence[LabTable],
    sent: _Sent,
) -> dict[str, pd.DataFrame]:
    raw, core, assays, cells, sites = sent
    of_raw_files = {
        "extractions": raw.extractions,
        "samples": raw.samples + core.samples + assays.samples + cells.samples + sites.samples,
        "tubes": core.tubes,
        "libraries": cells.libraries,
        "integration_sites": sites.sets,
    }
    return {
        "subjects": pd.DataFrame(
            [
                {
                    "subject_id": s.subject_id,
                    "cohort": s.cohort,
                    "sex": s.sex,
                    "age": str(s.age),
                    "weight_kg": f"{s.weight_kg:.1f}",
                    "follow_up_day": str(s.follow_up_day),
                }
                for s in subjects
            ]
        ),
        "products": pd.DataFrame(
            [{"product": PRODUCT, "construct": CONSTRUCT, "target": "BCMA", "vector": "lentiviral"}]
        ),
        "infusions": pd.DataFrame(
            [
                {
                    "subject_id": s.subject_id,
                    "infusion": str(number),
                    "product": PRODUCT,
                    "date": (s.first_infusion + timedelta(days=day)).isoformat(),
                    "dose": f"{s.dose:.0f}",
                    "dose_unit": "CAR-T cells/kg",
                    "lymphodepletion_date": (s.first_infusion + timedelta(days=day - 4)).isoformat(),
                }
                for s in subjects
                for number, day in enumerate(s.infusion_days, 1)
            ]
        ),
        "events": pd.DataFrame(
            [_event_row(s, e) for s in subjects for e in s.events], columns=list(EVENT_COLUMNS)
        ),
        "files": pd.DataFrame(
            [
                {
                    "file_id": t.file_id,
                    "path": t.path,
                    "reader": "laboratory_table",
                    "mapping": f"mappings/{t.mapping}.yaml",
                    "subjects": ",".join(t.subjects),
                }
                for t in tables
            ]
            + raw.files
            + core.files
            + assays.files
        ).fillna(""),
    } | {name: pd.DataFrame(rows).fillna("") for name, rows in of_raw_files.items() if rows}


EVENT_COLUMNS = ("subject_id", "date", "end_date", "kind", "label", "grade", "dose", "dose_unit")


def _event_row(subject: _Subject, event: Event) -> dict[str, str]:
    def on(day: int | None) -> str:
        return "" if day is None else (subject.first_infusion + timedelta(days=day)).isoformat()

    return {
        "subject_id": subject.subject_id,
        "date": on(event.day),
        "end_date": on(event.end_day),
        "kind": event.kind,
        "label": event.label,
        "grade": "" if event.grade is None else str(event.grade),
        "dose": "" if event.dose is None else f"{event.dose:g}",
        "dose_unit": event.dose_unit,
    }


def _true_courses(subjects: Sequence[_Subject]) -> pd.DataFrame:
    rows: list[dict[str, Any]] = []
    kinds = (
        ("transgene", "qpcr", "copies/ug", courses.PCR_LLOQ, 1.0),
        (
            "transgene",
            "qpcr",
            "copies/1000 cells",
            round(courses.PCR_LLOQ * PER_1000_CELLS, 3),
            PER_1000_CELLS,
        ),
        ("car_t_fraction", "flow", "%", courses.FLOW_LLOQ, 1.0),
        ("car_t_cells", "flow", "cells/uL", courses.COUNT_LLOQ, 1.0),
    )
    for s in subjects:
        listed = [(n, "blood", c) for n, c in enumerate(s.blood, 1)]
        listed += [] if s.csf is None else [(1, "csf", s.csf)]
        for infusion, matrix, course in listed:
            for analyte, assay, unit, lloq, scale in kinds if matrix == "blood" else kinds[:1]:
                p = course.parameters
                if scale != 1:
                    p = replace(p, cmax=p.cmax * scale)
                scaled = replace(course, parameters=p) if scale != 1 else course
                metrics = courses.true_metrics(analyte, scaled, lloq)
                rows.append(
                    {
                        "subject_id": s.subject_id,
                        "infusion": infusion,
                        "matrix": matrix,
                        "analyte": analyte,
                        "assay": assay,
                        "unit": unit,
                        "role": course.role,
                        "lloq": lloq,
                        **metrics,
                        "doubling_time": course.parameters.doubling_time,
                        "alpha_half_life": float(np.log(2)) / p.alpha,
                        "beta_half_life": float(np.log(2)) / p.beta,
                        "stein_foldx": p.foldx,
                        "stein_tmax": p.tmax,
                        "stein_cmax_copies_per_ug": course.parameters.cmax,
                        "stein_alpha": p.alpha,
                        "stein_beta": p.beta,
                        "stein_fb": p.fb,
                        "follow_up_day": s.follow_up_day,
                        "area_method": "closed form" if analyte == "transgene" else "Simpson, 1/16 day",
                    }
                )
    return pd.DataFrame(rows)


def _true_samples(results: Sequence[Result], places: Mapping[Any, tuple[LabTable, int, int]]) -> pd.DataFrame:
    rows = []
    for r in results:
        table, row, column = places[r.place]
        d = r.draw
        rows.append(
            {
                "subject_id": d.subject_id,
                "infusion": d.infusion,
                "matrix": d.matrix,
                "visit": d.visit,
                "nominal_day": d.nominal_day,
                "day": d.day,
                "study_day": d.study_day,
                "analyte": r.analyte,
                "assay": r.assay,
                "unit": r.unit,
                "true_value": r.true_value,
                "measured_value": r.measured,
                "right_cell": "" if r.cell is None else str(r.cell),
                "file_id": table.file_id,
                "row": table.row_number(row),
                "column": table.column_name(column),
            }
        )
    return pd.DataFrame(rows)
