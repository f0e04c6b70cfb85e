"""The central PCR laboratory: it sends what its instruments export, and no results.

Half of the subjects have their blood there. Every sample is measured by qPCR, in
triplicate, about 20 samples a plate (QuantStudio text; names on the plate tell subject,
visit and day); some are measured by duplex ddPCR as well (QX Manager csv; tubes are
numbered, a plate map and the samples sheet say whose they are). In a trial of twelve
or more eight failures are planted, and what they spoil is measured again on a later
plate, as laboratories do.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import date, datetime, timedelta
from typing import Any

import numpy as np
import pandas as pd

from cartrace.simulate import ddpcr_plates, qpcr_plates
from cartrace.simulate.courses import PCR_LLOQ, PCR_LOD
from cartrace.simulate.ddpcr_plates import DROPLET_NL, OLD_DROPLET_NL, Tube, reference_copies
from cartrace.simulate.dna import BLOOD_UL, Eluate
from cartrace.simulate.qpcr_plates import CONTROLS, REPLICATES, STANDARDS, Loaded, well_of
from cartrace.simulate.quantstudio_file import IPC, TARGET, quantstudio_text
from cartrace.simulate.qx_manager_file import amplitude_csv, qx_manager_csv

CENTRAL = (1, 3, 4, 6, 9, 10)
"""Who has blood at the central laboratory, by place among twelve: those without an error
in the tables of the other one."""
DDPCR = (3, 6, 10)
DDPCR_VISITS = ("D7", "D14", "D28", "D60", "D90", "D180")

DDPCR_UL = ddpcr_plates.TEMPLATE_UL

QPCR_SAMPLES, DDPCR_SAMPLES = 20, 12
"""Samples on a plate. A plate of repeats may hold three more."""
PRE_DILUTION = 5.0
"""An inhibited sample is repeated 1 in 5."""
BAD_SLOPE = -4.0
ENOUGH = 500.0
"""Copies per reaction of the samples that failures are planted in."""
OPERATOR = "R. Beispiel"
FIRST_RUN = datetime(2024, 9, 2, 15, 2, 50)

LIMITS = "car_ddpcr"
DETECTION_LIMITS = {
    "target": "CAR",
    "dilutions": f"limits/{LIMITS}_dilutions.tsv",
    "blanks": f"limits/{LIMITS}_blanks.tsv",
}
"""Where the laboratory's dilution series and blanks stand: cartrace estimates the limits of the ddPCR."""

QPCR_ASSAY: dict[str, Any] = {
    "assay": "qpcr",
    "samples": {
        "pattern": r"(?P<subject>NMO-\d+) (?:inf(?P<infusion>\d) )?(?P<visit>.+) d(?P<day>-?\d+)",
        "matrix": "blood",
    },
    "targets": {
        "CAR": {"names": [TARGET], "limits": {"unit": "copies/ug", "lod": PCR_LOD, "lloq": PCR_LLOQ}},
        "IPC": {"names": [IPC], "reporter": "VIC", "role": "inhibition_control"},
    },
    "reaction": {
        "volume_ul": qpcr_plates.REACTION_UL,
        "template_ul": qpcr_plates.TEMPLATE_UL,
        "dna_ng": qpcr_plates.NOMINAL_NG,
        "blood_from": ["white_cells", "extraction"],
    },
    "controls": {
        name: {"task": "accuracy_control", "copies": {"CAR": copies}} for name, copies in CONTROLS.items()
    },
}
DDPCR_ASSAY: dict[str, Any] = {
    "assay": "ddpcr",
    "targets": {
        "CAR": {"names": [TARGET], "limits": {"estimated": LIMITS}},
        "RPP30": {"role": "reference"},
    },
    "platform": "qx200",
    "reaction": {
        "volume_ul": ddpcr_plates.REACTION_UL,
        "template_ul": ddpcr_plates.TEMPLATE_UL,
        "dna_from": ["reference", "measured"],
        "blood_from": ["white_cells", "extraction"],
    },
    "controls": {
        "NTC": {"task": "ntc"},
        ddpcr_plates.CONTROL: {"task": "accuracy_control", "copies": ddpcr_plates.CONTROL_COPIES},
    },
}
ASSAYS = {"car_qpcr_plate": QPCR_ASSAY, "car_ddpcr": DDPCR_ASSAY}


FAILURES = {
    "bad_efficiency": ("slope", "reject", f"slope {BAD_SLOPE}: the master mix was old"),
    "contaminated_ntc": ("ntc_cq_margin", "reject", "a blank with 100 copies"),
    "replicate_outlier": ("replicate_cq_sd", "reject", "a bubble: the last well 2.5 cycles late"),
    "unknown_sample": ("sample_unmapped", "reject", "a name that is nobody's"),
    "inhibited_sample": ("inhibition_shift", "reject", "transgene and spike 3 cycles late; repeated 1 in 5"),
    "few_droplets": ("partitions", "reject", "most droplets were lost"),
    "swapped_wells": ("sample_mismatch", "reject", "plate map and file name each other's sample"),
    "wrong_volume": ("volume_audit", "flag", "exported with droplets of 0.91 nL instead of 0.85"),
}
"""Which check has to find each kind of failure, what follows, and what happened."""

WITHOUT_RESULT = tuple(FAILURES)[:5]
"""Failures that leave the sample without a result on that plate."""


@dataclass(frozen=True, slots=True)
class PlantedFailure:
    """One planted failure: the check that has to find it, and in which wells (none: the whole plate).

    ``repeated_on`` is the plate on which the spoilt samples are measured again; empty
    where enough is left without.
    """

    kind: str
    check: str
    file_id: str
    wells: str
    sample: str
    consequence: str
    repeated_on: str
    what: str


@dataclass(slots=True)
class RawFiles:
    """What the central laboratory sends.

    ``files``, ``extractions`` and ``samples`` are rows of those sheets, ``contents`` the
    files by their path in the trial folder, ``assays`` the assay files; ``truth`` has
    one row for each sample on a plate.
    """

    files: list[dict[str, str]] = field(default_factory=list)
    contents: dict[str, bytes] = field(default_factory=dict)
    assays: dict[str, dict[str, Any]] = field(default_factory=dict)
    extractions: list[dict[str, str]] = field(default_factory=list)
    samples: list[dict[str, str]] = field(default_factory=list)
    truth: list[dict[str, Any]] = field(default_factory=list)
    failures: list[PlantedFailure] = field(default_factory=list)

    def next_id(self, kind: str) -> str:
        """Return the file_id of the next plate of ``kind``, qpcr or ddpcr."""
        return _run_id(kind, sum(f["file_id"].startswith(kind) for f in self.files))

    def add_plate(self, file_id: str, assay: str, suffix: str, text: str, **beside: str) -> None:
        """Add the export of one plate; ``beside`` are its plate map and amplitudes."""
        path = f"plates/{file_id}.{suffix}"
        self.contents[f"data/{path}"] = text.encode()
        self.assays[assay] = ASSAYS[assay]
        row = {"file_id": file_id, "path": path, "reader": "pcr_plate", "mapping": f"mappings/{assay}.yaml"}
        self.files.append(row | {"subjects": "", "plate_map": "", "amplitudes": ""} | beside)

    def add_plate_map(self, file_id: str, header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
        """Add a plate map and return its path."""
        path = f"plate_maps/{file_id}.tsv"
        self.contents[path] = "".join("\t".join(row) + "\n" for row in [header, *rows]).encode()
        return path

    def add_validation(self, rng: np.random.Generator) -> None:
        """Add the dilution series and the blanks behind the limits of the ddPCR."""
        dilutions, blanks = ddpcr_plates.validation_series(rng)
        rows = [f"{level:g}\t{found:.3f}\t{run}" for level, found, run in dilutions]
        self.contents[DETECTION_LIMITS["dilutions"]] = "\n".join(["level\tcopies\tplate", *rows, ""]).encode()
        rows = [f"{found:.3f}\t{run}" for found, run in blanks]
        self.contents[DETECTION_LIMITS["blanks"]] = "\n".join(["copies\tplate", *rows, ""]).encode()

    def add_failure(
        self, kind: str, file_id: str, wells: Sequence[str] = (), sample: str = "", *, repeated_on: str = ""
    ) -> None:
        """Note a planted failure."""
        check, consequence, what = FAILURES[kind]
        at = ";".join(wells)
        self.failures.append(PlantedFailure(kind, check, file_id, at, sample, consequence, repeated_on, what))


@dataclass(slots=True)
class _Measured:
    """A sample on a plate: what is true of it, its name there, and what was planted in it."""

    eluate: Eluate
    name: str
    dilution: float = 1.0
    planted: str = ""

    def copies(self, template_ul: float) -> float:
        """Return the copies in one reaction, on average."""
        return self.eluate.copies_per_ug * self.nanograms(template_ul) / 1000

    def nanograms(self, template_ul: float) -> float:
        """Return the true mass of DNA in one reaction."""
        return self.eluate.ng_per_ul * template_ul / self.dilution


@dataclass(slots=True)
class _Run:
    """One qPCR plate before it is run: the samples, and each as it was loaded."""

    samples: list[_Measured]
    loaded: list[Loaded] = field(init=False)
    slope: float | None = None
    contaminated: int | None = None

    def __post_init__(self) -> None:
        self.loaded = [Loaded(s.name, s.copies(qpcr_plates.TEMPLATE_UL)) for s in self.samples]


def central_laboratory(
    seed: int, eluates: Sequence[Eluate], first_infusion: Mapping[str, date], *, plant: bool
) -> RawFiles:
    """Measure the samples of the central laboratory's subjects.

    Parameters
    ----------
    seed
        Seed of the trial; each plate has a stream of its own.
    eluates
        The samples, in order of subjects and days.
    first_infusion
        Date of the first infusion of each subject, for the samples sheet.
    plant
        Plant failures in the plates of the first twelve subjects.
    """
    raw = RawFiles()
    for block, own in _by_twelve(eluates).items():
        planted = plant and block == 0
        samples = [_Measured(e, plate_name(e)) for e in own]
        raw.extractions += [_extraction(s.name, s.eluate) for s in samples]
        runs = [_Run(samples[i : i + QPCR_SAMPLES]) for i in range(0, len(samples), QPCR_SAMPLES)]
        if planted and len(runs) >= 4:
            runs += _spoil(raw, np.random.default_rng([seed, block, 5]), runs)
        for number, run in enumerate(runs):
            _write_qpcr(raw, np.random.default_rng([seed, block, 5, number]), run)
        chosen = [e for e in own if _place(e) in DDPCR and e.draw.visit in DDPCR_VISITS]
        for number, start in enumerate(range(0, len(chosen), DDPCR_SAMPLES)):
            tubes = [
                _Measured(e, f"T{1001 + len(raw.samples) + i}")
                for i, e in enumerate(chosen[start : start + DDPCR_SAMPLES])
            ]
            raw.extractions += [_extraction(t.name, t.eluate) for t in tubes]
            raw.samples += [_sample_row(t, first_infusion) for t in tubes]
            failure = ("lost_and_swapped", "wrong_volume")[number] if planted and number < 2 else ""
            _write_ddpcr(raw, np.random.default_rng([seed, block, 6, number]), tubes, failure)
    if raw.samples:
        raw.add_validation(np.random.default_rng([seed, 0, 7]))
    return raw


def _index(eluate: Eluate) -> int:
    return int(eluate.draw.subject_id.removeprefix("NMO-")) - 1


def _place(eluate: Eluate) -> int:
    return _index(eluate) % 12


def _by_twelve(eluates: Sequence[Eluate]) -> dict[int, list[Eluate]]:
    blocks: dict[int, list[Eluate]] = {}
    for eluate in eluates:
        blocks.setdefault(_index(eluate) // 12, []).append(eluate)
    return blocks


def plate_name(eluate: Eluate) -> str:
    """Return the name of a sample on a qPCR plate: subject, infusion if not the first, visit, day."""
    d = eluate.draw
    infusion = f"inf{d.infusion} " if d.infusion > 1 else ""
    return f"{d.subject_id} {infusion}{d.visit} d{d.day}"


def _run_id(kind: str, index: int) -> str:
    return f"{kind}_run_{index + 1:02d}"


def _spoil(raw: RawFiles, rng: np.random.Generator, runs: Sequence[_Run]) -> list[_Run]:
    """Spoil the second and the fourth plate and three samples of the others; return the plates of repeats."""
    bad, stained = 1, 3
    ids = [_run_id("qpcr", n) for n in range(len(runs) + 2)]
    runs[bad].slope, runs[stained].contaminated = BAD_SLOPE, 1
    blank = well_of(REPLICATES * (len(STANDARDS) + len(CONTROLS)) + 1)
    raw.add_failure("bad_efficiency", ids[bad], repeated_on=ids[-2])
    raw.add_failure("contaminated_ntc", ids[stained], [blank], "NTC", repeated_on=ids[-1])
    for n, kind in ((bad, "bad_efficiency"), (stained, "contaminated_ntc")):
        for sample in runs[n].samples:
            sample.planted = kind
    again = [[replace(s, planted="") for s in runs[n].samples] for n in (bad, stained)]
    strong = [
        (n, i)
        for n, run in enumerate(runs)
        for i, loaded in enumerate(run.loaded)
        if n not in {bad, stained} and loaded.copies > ENOUGH
    ]
    middle = strong[int(rng.integers(1, len(strong) - 1))]
    for kind, (n, i) in (
        ("replicate_outlier", strong[0]),
        ("unknown_sample", middle),
        ("inhibited_sample", strong[-1]),
    ):
        sample, loaded = runs[n].samples[i], runs[n].loaded[i]
        sample.planted = kind
        dilution = PRE_DILUTION if kind == "inhibited_sample" else 1.0
        again[0].append(_Measured(sample.eluate, sample.name, dilution))
        if kind == "replicate_outlier":
            loaded = replace(loaded, outlier=2.5)
        elif kind == "unknown_sample":
            loaded = replace(loaded, name="rack 3 tube 12")
        else:
            loaded = replace(loaded, delay=3.0)
        runs[n].loaded[i] = loaded
        first = REPLICATES * (len(STANDARDS) + len(CONTROLS) + 1 + i)
        wells = [well_of(first + k) for k in range(REPLICATES)]
        raw.add_failure(kind, ids[n], wells, loaded.name, repeated_on=ids[-2])
    return [_Run(samples) for samples in again]


def _write_qpcr(raw: RawFiles, rng: np.random.Generator, run: _Run) -> None:
    file_id = raw.next_id("qpcr")
    number = int(file_id[-2:])
    wells = qpcr_plates.run_plate(rng, run.loaded, slope=run.slope, contaminated=run.contaminated)
    ended = FIRST_RUN + timedelta(days=7 * number)
    text = quantstudio_text(wells, run_name=f"CAR {number:02d}", ended=ended, operator=OPERATOR)
    diluted = []
    for sample, loaded in zip(run.samples, run.loaded, strict=True):
        at = [w.well for w in wells if w.name == loaded.name]
        raw.truth.append(_truth(sample, "qpcr", file_id, at, name=loaded.name))
        if sample.dilution != 1:
            diluted += [(w, sample.name, f"{sample.dilution:g}") for w in at]
    # The names on the plate say it all, but for a dilution.
    beside = raw.add_plate_map(file_id, ("well", "sample", "dilution"), diluted) if diluted else ""
    raw.add_plate(file_id, "car_qpcr_plate", "txt", text, plate_map=beside)


def _write_ddpcr(raw: RawFiles, rng: np.random.Generator, tubes: Sequence[_Measured], failure: str) -> None:
    file_id = raw.next_id("ddpcr")
    spoilt = failure == "lost_and_swapped" and len(tubes) >= 3
    wells = ddpcr_plates.run_plate(
        rng,
        [Tube(t.name, "Unknown", t.copies(DDPCR_UL), reference_copies(t.nanograms(DDPCR_UL))) for t in tubes],
        # Blanks and controls fill the first four wells, each tube two of those that follow.
        few=5 if spoilt else None,
    )
    in_map = {w.well: w.name for w in wells}
    if spoilt:
        lost, one, other = wells[5], wells[7], wells[8]
        in_map[one.well], in_map[other.well] = other.name, one.name
        raw.add_failure("few_droplets", file_id, [lost.well], lost.name)
        raw.add_failure("swapped_wells", file_id, [one.well, other.well], f"{one.name};{other.name}")
        tubes[0].planted = "few_droplets"
        tubes[1].planted = tubes[2].planted = "swapped_wells"
    droplet_nl = DROPLET_NL
    if failure == "wrong_volume":
        droplet_nl = OLD_DROPLET_NL
        raw.add_failure("wrong_volume", file_id)
        for tube in tubes:
            tube.planted = "wrong_volume"
    for tube in tubes:
        at = [w.well for w in wells if w.name == tube.name]
        raw.truth.append(_truth(tube, "ddpcr", file_id, at, name=tube.name))
    beside = {"plate_map": raw.add_plate_map(file_id, ("well", "sample"), sorted(in_map.items()))}
    if file_id == _run_id("ddpcr", 0):
        beside["amplitudes"] = f"plates/{file_id}"
        # A control and a sample: the files are large.
        for well in (wells[2], wells[4]):
            path = f"data/plates/{file_id}/{file_id}_{well.well}_Amplitude.csv"
            raw.contents[path] = amplitude_csv(rng, well).encode()
    text = qx_manager_csv(wells, droplet_nl=droplet_nl)
    raw.add_plate(file_id, "car_ddpcr", "csv", text, **beside)


def _sample_row(tube: _Measured, first_infusion: Mapping[str, date]) -> dict[str, str]:
    d = tube.eluate.draw
    drawn = first_infusion[d.subject_id] + timedelta(days=d.study_day)
    return {
        "sample_id": tube.name,
        "subject_id": d.subject_id,
        "matrix": d.matrix,
        "visit": d.visit,
        "date": drawn.isoformat(),
    }


def _extraction(name: str, eluate: Eluate) -> dict[str, str]:
    return {
        "sample": name,
        "dna_ng_per_ul": f"{eluate.measured_ng_per_ul:.1f}",
        "elution_volume_ul": f"{eluate.elution_ul:.0f}",
        "blood_volume_ul": f"{BLOOD_UL:.0f}",
        "white_cells_per_ul": f"{eluate.measured_white_cells:.0f}",
    }


def _truth(sample: _Measured, assay: str, file_id: str, wells: Sequence[str], *, name: str) -> dict[str, Any]:
    d, eluate = sample.eluate.draw, sample.eluate
    template_ul = qpcr_plates.TEMPLATE_UL if assay == "qpcr" else DDPCR_UL
    return {
        "subject_id": d.subject_id,
        "infusion": d.infusion,
        "matrix": d.matrix,
        "visit": d.visit,
        "nominal_day": d.nominal_day,
        "day": d.day,
        "study_day": d.study_day,
        "assay": assay,
        "file_id": file_id,
        "sample": name,
        "wells": ";".join(wells),
        "dna_ng": sample.nanograms(template_ul),
        "copies_per_reaction": sample.copies(template_ul),
        "copies_per_ug": eluate.copies_per_ug,
        "copies_per_cell": eluate.copies_per_cell,
        "copies_per_ul": eluate.copies_per_ul,
        "planted": sample.planted,
        "verdict": "rejected" if sample.planted in WITHOUT_RESULT else "accepted",
    }


def failures_table(failures: Sequence[PlantedFailure]) -> pd.DataFrame:
    """Return the planted failures, one row each."""
    return pd.DataFrame([asdict(f) for f in failures], columns=[f.name for f in fields(PlantedFailure)])
