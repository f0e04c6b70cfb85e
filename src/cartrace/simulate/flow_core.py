"""The flow core of the demo trial: it sends FCS files, and no results.

It measures some stabilised blood samples of four subjects in three batches, each with a
sample from before the infusion and a tube without the CAR reagent. Counts come from beads
(batches 1 and 3) or from the acquired volume (batch 2), and mostly from a blood count as
well. Four faults are planted in the tubes; a fifth, a tube without its CAR reagent, stands
beside the data, because cartrace refuses it before any gating.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, timedelta
from typing import Any, Protocol

import numpy as np
import pandas as pd

from cartrace.simulate.dna import spread
from cartrace.simulate.fcs_file import fcs_bytes
from cartrace.simulate.flow_panel import (
    CHANNELS,
    DETECTORS,
    MARKERS,
    PANEL,
    POPULATIONS,
    SCATTER,
    STAINS,
    TOP,
    spillover_matrix,
)
from cartrace.simulate.flow_tubes import (
    TICK_S,
    Acquired,
    Blood,
    Staining,
    acquire,
    clog,
    compensate,
    stored,
)

MAPPING = "flow_panel"
OPERATOR = "R. Beispiel"
PATIENT = "MUSTER, ANNA"
"""Both are in the files, and never in anything that cartrace writes."""
FIRST_BATCH = date(2024, 10, 7)

SAMPLE_EVENTS, CONTROL_EVENTS = 30_000, 20_000
BEADS_PER_UL, BEAD_UL, SAMPLE_UL = 1_020.0, 20.0, 100.0
DILUTION = 5.0
BLOOD_COUNT_CV = 0.04
VOLUME_CV = 0.02


@dataclass(frozen=True, slots=True)
class Batch:
    """Tubes that were stained together: (place of the subject among twelve, visit) of each sample."""

    name: str
    samples: tuple[tuple[int, str], ...]
    counted_by: str
    """beads or volume."""
    control: str
    """fmo or isotype."""


BATCHES = (
    Batch(
        "S01",
        ((0, "Pre-LD"), (0, "D10"), (0, "D28"), (2, "Pre-LD"), (2, "D14"), (2, "D90")),
        "beads",
        "fmo",
    ),
    Batch(
        "S02",
        ((3, "Pre-LD"), (3, "D14"), (3, "D180"), (8, "Pre-LD"), (8, "D10"), (8, "D90")),
        "volume",
        "fmo",
    ),
    # Alone, because a swap spoils the CAR counts of its whole batch.
    Batch("S03", ((5, "Pre-LD"), (5, "D10")), "beads", "isotype"),
)

FAULTS = {
    "clogged_acquisition": (
        "removed_percent",
        "flag",
        "the line was clogged while a third of the events passed: a fifth of the rate, 60 % of the signal",
    ),
    "compensated_twice": (
        "over_compensation",
        "reject",
        "exported compensated, with the matrix still in the file",
    ),
    "unreadable_marker": (
        "unreadable_staining",
        "no result",
        "CD38 is covered by a drug; the tubes sheet says so",
    ),
    "swapped_tubes": (
        "pre_infusion_car_percent",
        "reject",
        "the tubes from before the infusion and of D10 stand under each other's name",
    ),
    "missing_marker": (
        "marker",
        "error",
        "stained and named without the CAR reagent; in faults/, not among the data",
    ),
}
"""Which check has to find each kind of fault, what follows, and what happened."""

SPOILT = {
    (0, "D28"): "clogged_acquisition",
    (2, "D14"): "compensated_twice",
    (8, "Pre-LD"): "unreadable_marker",
    (5, "Pre-LD"): "swapped_tubes",
    (5, "D10"): "swapped_tubes",
}
"""Which samples (place, visit) are hit."""
REFUSED = (2, "Pre-LD")
"""Sample that was stained a second time, without the CAR reagent."""
UNREADABLE = "CD38: covered by a therapeutic antibody"


class Truth(Protocol):
    """Tells what is true of a subject's blood."""

    def __call__(self, place: int, visit: str) -> tuple[str, int, Blood] | None:
        """Return subject, study day and blood; None where there is no such sample."""
        ...


@dataclass(frozen=True, slots=True)
class PlantedFault:
    """One planted fault: the check that has to find it, and in which tubes."""

    kind: str
    file_id: str
    check: str
    consequence: str
    what: str


@dataclass(slots=True)
class TubeFiles:
    """What the flow core sends.

    ``files``, ``samples`` and ``tubes`` are rows of those sheets, ``contents`` the files
    by their path in the trial folder; ``truth`` has one row for each tube and analyte.
    """

    files: list[dict[str, str]] = field(default_factory=list)
    samples: list[dict[str, str]] = field(default_factory=list)
    tubes: list[dict[str, str]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    truth: list[dict[str, Any]] = field(default_factory=list)
    faults: list[PlantedFault] = field(default_factory=list)

    @property
    def mappings(self) -> dict[str, dict[str, Any]]:
        """The panel file, where there are tubes."""
        return {MAPPING: PANEL} if self.files else {}


@dataclass(frozen=True, slots=True)
class _Sample:
    """One sample of a batch; ``number`` is its place there, from 1."""

    number: int
    sample_id: str
    visit: str
    subject_id: str
    study_day: int
    blood: Blood
    planted: str


def flow_core(seed: int, truth: Truth, first_infusion: Mapping[str, date], *, plant: bool) -> TubeFiles:
    """Measure the samples of the core's subjects, as far as they exist.

    Parameters
    ----------
    seed
        Seed of the trial; each tube has a stream of its own.
    truth
        The blood of the first twelve subjects.
    first_infusion
        Date of the first infusion of each subject, for the samples sheet.
    plant
        Plant faults.
    """
    raw = TubeFiles()
    for number, batch in enumerate(BATCHES, 1):
        samples = [
            _Sample(i, f"F{100 * number + i}", key[1], *found, SPOILT.get(key, "") if plant else "")
            for i, key in enumerate(batch.samples, 1)
            if (found := truth(*key))
        ]
        if samples:
            _measure(raw, (seed, 0, 8, number), batch, samples)
        raw.samples += [_sample_row(s, first_infusion) for s in samples]
        if plant and REFUSED in batch.samples:
            wanted = batch.samples.index(REFUSED) + 1
            for sample in (s for s in samples if s.number == wanted):
                _add_refused(raw, np.random.default_rng([seed, 0, 9]), batch, sample)
    return raw


def _measure(raw: TubeFiles, stream: Sequence[int], batch: Batch, samples: Sequence[_Sample]) -> None:
    beads = BEADS_PER_UL * BEAD_UL / SAMPLE_UL if batch.counted_by == "beads" else 0.0
    # The control comes first, so that a larger trial appends tubes and renames none.
    rng = np.random.default_rng([*stream, 0])
    without = Staining(left_out="CAR") if batch.control == "fmo" else Staining(isotype="CAR")
    first = samples[0]
    control = acquire(rng, first.blood, without, CONTROL_EVENTS)
    _add(raw, rng, batch, replace(first, number=0, planted=""), control)
    rngs = [np.random.default_rng([*stream, s.number]) for s in samples]
    tubes = []
    for sample, rng in zip(samples, rngs, strict=True):
        masked = "CD38" if sample.planted == "unreadable_marker" else ""
        tube = acquire(rng, sample.blood, Staining(masked=masked, beads_per_blood_ul=beads), SAMPLE_EVENTS)
        spoil = {"clogged_acquisition": clog, "compensated_twice": compensate}.get(sample.planted)
        tubes.append(spoil(tube) if spoil else tube)
    if first.planted == "swapped_tubes":
        tubes.reverse()
    for sample, rng, tube in zip(samples, rngs, tubes, strict=True):
        _add(raw, rng, batch, sample, tube)


def _add(raw: TubeFiles, rng: np.random.Generator, batch: Batch, sample: _Sample, tube: Acquired) -> None:
    """Add one tube to the sheets, the files and the truth; number 0 is the control."""
    file_id = f"flow_{batch.name.lower()}_{sample.number + 1:02d}"
    is_control = sample.number == 0
    row = {"file_id": file_id, "kind": batch.control if is_control else "sample"}
    row |= {"sample_id": sample.sample_id, "marker": "CAR" if is_control else "", "batch": batch.name}
    counted, passed = rng.standard_normal(2)
    volume = ""
    if batch.counted_by == "volume":
        volume = f"{tube.blood_ul * DILUTION * 1000 * spread(VOLUME_CV, float(passed)):.0f}"
        row["dilution"] = f"{DILUTION:g}"
    elif not is_control:
        row["beads_per_ul"] = f"{BEADS_PER_UL:g}"
        row["bead_volume_ul"] = f"{BEAD_UL:g}"
        row["sample_volume_ul"] = f"{SAMPLE_UL:g}"
    if not is_control:
        # As a haematology analyser prints it, of the sample that the name stands for.
        row["lymphocytes_per_ul"] = f"{sample.blood.lymphocytes * spread(BLOOD_COUNT_CV, float(counted)):.0f}"
        row["unreadable"] = UNREADABLE if sample.planted == "unreadable_marker" else ""
    path = f"flow_fcs/{file_id}.fcs"
    raw.contents[f"data/{path}"] = _file(tube, file_id, batch, STAINS, volume)
    raw.files.append(
        {"file_id": file_id, "path": path, "reader": "fcs_tube", "mapping": f"mappings/{MAPPING}.yaml"}
    )
    raw.tubes.append(row)
    raw.truth += _truth(row, sample, tube)
    if sample.planted:
        raw.faults.append(PlantedFault(sample.planted, file_id, *FAULTS[sample.planted]))


def _add_refused(raw: TubeFiles, rng: np.random.Generator, batch: Batch, sample: _Sample) -> None:
    """Add a tube whose CAR channel has no stain, beside the data."""
    name = "missing_marker"
    tube = acquire(rng, sample.blood, Staining(left_out="CAR"), CONTROL_EVENTS)
    stains = ["" if m == "CAR" else s for m, s in zip(MARKERS, STAINS, strict=True)]
    raw.contents[f"faults/{name}.fcs"] = _file(tube, name, batch, stains)
    raw.faults.append(PlantedFault(name, name, *FAULTS[name]))


def _sample_row(sample: _Sample, first_infusion: Mapping[str, date]) -> dict[str, str]:
    drawn = first_infusion[sample.subject_id] + timedelta(days=sample.study_day)
    return {
        "sample_id": sample.sample_id,
        "subject_id": sample.subject_id,
        "matrix": "blood",
        "visit": sample.visit,
        "date": drawn.isoformat(),
    }


def _file(tube: Acquired, file_id: str, batch: Batch, stains: Sequence[str], volume: str = "") -> bytes:
    stained_on = FIRST_BATCH + timedelta(days=28 * int(batch.name[1:]))
    keywords = {
        "$TIMESTEP": f"{TICK_S:g}",
        "$CYT": "Simulated cytometer",
        "$CYTSN": "SN-4711-0815",
        "$FIL": f"{PATIENT} {stained_on:%d%b%Y} {file_id}.fcs",
        "$DATE": f"{stained_on:%d-%b-%Y}".upper(),
        "$BTIM": "10:02:11",
        "$ETIM": "10:04:19",
        "$OP": OPERATOR,
        "$SRC": PATIENT,
        "$SMNO": f"{PATIENT} {batch.name}",
        "EXPERIMENT NAME": f"CAR panel {stained_on:%Y-%m-%d}",
        "TUBE NAME": f"{PATIENT} {file_id}",
        "$COM": "Simulated by cartrace. No patient is behind any number.",
    }
    if volume:
        keywords["$VOL"] = volume
    return fcs_bytes(
        CHANNELS,
        (*[""] * len(SCATTER), *stains, ""),
        stored(tube),
        top=TOP,
        spillover=(tuple(DETECTORS.values()), spillover_matrix()),
        keywords=keywords,
    )


ANALYTES = tuple(dict.fromkeys(a for p in POPULATIONS.values() for a in p.counts_as))


def _truth(row: Mapping[str, str], sample: _Sample, tube: Acquired) -> list[dict[str, Any]]:
    """Return what is true of the blood in the tube, and of the events in the file."""
    about = {k: row[k] for k in ("file_id", "kind", "sample_id", "batch")} | {
        "subject_id": sample.subject_id,
        "visit": sample.visit,
        "study_day": sample.study_day,
        "planted": sample.planted,
    }
    return [
        about
        | {
            "analyte": analyte,
            "cells_per_ul": tube.true_count(analyte),
            "events": tube.events(analyte),
            "all_events": tube.population.size,
            "blood_ul": tube.blood_ul,
        }
        for analyte in ANALYTES
    ]


def faults_table(faults: Sequence[PlantedFault]) -> pd.DataFrame:
    """Return the planted faults, one row each."""
    return pd.DataFrame([asdict(f) for f in faults], columns=[f.name for f in fields(PlantedFault)])
