"""The assay file of an immunoassay: targets, standards, controls, calibration, titres.

It is the ``mapping`` of a file whose reader is ``immunoassay_plate``. It is checked as a whole:
every unknown key and every bad value is reported at once. Read while the Snakefile is parsed, so
it imports pydantic and nothing heavier.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cartrace.analytes import ANALYTES
from cartrace.config import ImmunoassayAcceptance
from cartrace.intake.mapping import Part, Text, read_yaml
from cartrace.plates.assay_parts import Reading, SampleNames
from cartrace.problems import did_you_mean
from cartrace.validation import validated

Positive = Annotated[float, Field(gt=0, le=1e15)]


class Calibration(Part):
    """How signals become concentrations."""

    model: Literal["4pl", "5pl", "linear", "vendor"] = Field(
        "4pl",
        description="4pl and 5pl: logistic in the logarithm of the concentration; linear; vendor: the concentrations that "
        "the instrument's software computed, with its limits.",
    )
    weighting: Literal["none", "1/y", "1/y2", "power", "estimated_power"] = Field(
        "1/y2",
        description="Weights of the standards: 1, 1 / y, 1 / y^2, or y^-power with the power given or estimated from "
        "the replicates of the standards. SoftMax and Gen5 mostly use none, Bio-Plex Manager power 1.8.",
    )
    power: float | None = Field(None, ge=0, le=4, description="power: the exponent.")
    anchors: tuple[Positive, ...] = Field(
        (), description="Levels of standards that steady the fit and are not judged (ICH M10: anchor points)."
    )
    subtract_blank: bool = Field(False, description="Take the mean of the blanks off every signal.")
    holds_dilution: bool = Field(
        False,
        description="vendor: are the software's concentrations those of the undiluted sample (Bio-Plex Manager)? They are "
        "divided by the dilution first. Checked against the signals of the standards.",
    )
    falling: bool = Field(
        False,
        description="Does the signal fall with the concentration (competitive assays)? A curve that goes the other way is "
        "rejected: its standards stand in reverse order.",
    )
    log_concentration: bool = Field(
        True,
        description="linear: signal against the logarithm of the concentration, or the concentration itself.",
    )

    @model_validator(mode="after")
    def _belongs(self) -> Calibration:
        if (self.weighting == "power") != (self.power is not None):
            raise ValueError("power belongs to weighting: power, and is needed there")
        if self.holds_dilution and self.model != "vendor":
            raise ValueError("holds_dilution belongs to model: vendor")
        return self


class Limits(Part):
    """Limits of quantification, as concentrations in the well (before the dilution of the sample)."""

    source: Literal["accepted_range", "precision_profile", "fixed"] = Field(
        "accepted_range",
        description="accepted_range: lowest and highest accepted standard; precision_profile: where the CV of the "
        "back-calculated concentration exceeds immunoassay.max_profile_cv_percent; fixed: lloq and uloq.",
    )
    lod: float | None = Field(None, gt=0, description="Limit of detection; from the blanks when empty.")
    lloq: float | None = Field(None, gt=0, description="fixed: lower limit of quantification.")
    uloq: float | None = Field(None, gt=0, description="fixed: upper limit of quantification.")

    @model_validator(mode="after")
    def _whole(self) -> Limits:
        if (self.source == "fixed") != (self.lloq is not None):
            raise ValueError("lloq belongs to source: fixed, and is needed there")
        numbers = [n for n in (self.lod, self.lloq, self.uloq) if n is not None]
        if numbers != sorted(numbers):
            raise ValueError("limits out of order: lod <= lloq <= uloq")
        return self


class Titre(Part):
    """End-point titres: the last dilution that is positive."""

    start: float = Field(gt=1, description="Starting dilution: 10 means 1 in 10.")
    step: float = Field(gt=1, description="Dilution step: 2 or 3.")
    cutoff: float | None = Field(
        None,
        gt=0,
        description="Signal from which a dilution is positive; empty where the file or layout says + or -.",
    )
    cutoff_control: Text = Field(
        "", description="Control whose mean signal, times cutoff_factor, is the cut-off of the plate."
    )
    cutoff_factor: float = Field(2.0, gt=0, description="Multiple of that control.")

    @model_validator(mode="after")
    def _one_cutoff(self) -> Titre:
        if self.cutoff is not None and self.cutoff_control:
            raise ValueError("give cutoff or cutoff_control, not both")
        return self


class Target(Part):
    """One analyte of the assay."""

    names: tuple[Text, ...] = Field(
        (), description="How the instrument's files write it (bead, spot); the key itself when empty."
    )
    analyte: str = Field(description="Analyte in measurements.")
    unit: str = Field(description="Unit of the result.")
    readout: Literal["concentration", "titre", "index"] = Field(
        "concentration",
        description="concentration from the curve; titre; index: signal over that of index_control (ratio assays).",
    )
    calibration: Calibration = Field(default_factory=Calibration)
    limits: Limits = Field(default_factory=Limits)
    titre: Titre | None = Field(None, description="readout: titre.")
    index_control: Text = Field("", description="readout: index; the control that the signal is divided by.")

    @field_validator("analyte")
    @classmethod
    def _known(cls, value: str) -> str:
        if value not in ANALYTES:
            near = did_you_mean(value, ANALYTES)
            raise ValueError(f"unknown analyte '{value}'" + (f" (did you mean '{near}'?)" if near else ""))
        return value

    @model_validator(mode="after")
    def _whole(self) -> Target:
        if self.unit not in ANALYTES[self.analyte].units:
            raise ValueError(
                f"{self.analyte} is followed in {', '.join(ANALYTES[self.analyte].units)}, not {self.unit}"
            )
        if (self.readout == "titre") != (self.titre is not None):
            raise ValueError("titre belongs to readout: titre, and is needed there")
        if (self.readout == "index") != bool(self.index_control):
            raise ValueError("index_control belongs to readout: index, and is needed there")
        if (self.readout == "titre") != (self.unit == "titre"):
            raise ValueError("readout titre and unit titre go together")
        return self


class Control(Part):
    """A control or standard that is known by its name on the plate."""

    task: Literal["standard", "blank", "control", "negative_control", "positive_control", "empty"] = Field(
        description="What it is for."
    )
    concentration: dict[str, Positive] = Field(
        default_factory=dict,
        description="Target -> concentration in the well: standards, controls with one value.",
    )
    range: dict[str, tuple[float, float]] = Field(
        default_factory=dict, description="Target -> [lowest, highest] allowed result of a control."
    )

    @model_validator(mode="after")
    def _number_where_needed(self) -> Control:
        if self.task == "standard" and not self.concentration:
            raise ValueError("a standard needs concentration: {target: number}")
        if any(low > high for low, high in self.range.values()):
            raise ValueError("range: lowest above highest")
        return self


class Assay(Part):
    """One immunoassay."""

    assay: str = Field(
        "elisa", pattern=r"^[a-z][a-z0-9_]*$", description="Name in measurements: elisa, luminex, cba, ..."
    )
    signal: Literal["absorbance", "fluorescence", "luminescence", "mfi", "ecl"] = Field(
        "absorbance", description="Kind of signal."
    )
    samples: SampleNames = Field(default_factory=SampleNames)
    targets: dict[str, Target] = Field(
        min_length=1, description="The targets, by their name in cartrace's tables."
    )
    controls: dict[Text, Control] = Field(
        default_factory=dict,
        description="Name on the plate -> standard, blank or control; beside what the file gives.",
    )
    dilution: float = Field(
        1.0, ge=1, description="Dilution of samples where neither file nor layout says one: 50 means 1 in 50."
    )
    result_times_dilution: bool = Field(
        True,
        description="Is the concentration in the well multiplied by the dilution? No where standards are diluted alike.",
    )
    read: Reading = Field(default_factory=Reading)
    wavelength: Text = Field(
        "", description="Read of the file that counts, where there are several (450, 450-650, Lum)."
    )
    acceptance: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Rules of this assay that differ from immunoassay.acceptance: {rule: {lower, upper, consequence}}.",
    )

    @field_validator("acceptance")
    @classmethod
    def _known_rules(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in value:
            if name not in ImmunoassayAcceptance.model_fields:
                near = did_you_mean(name, ImmunoassayAcceptance.model_fields)
                raise ValueError(f"unknown rule '{name}'" + (f" (did you mean '{near}'?)" if near else ""))
        ImmunoassayAcceptance.over(ImmunoassayAcceptance(), value)
        return value

    @model_validator(mode="after")
    def _whole(self) -> Assay:
        faults: list[str] = []
        seen: dict[str, str] = {}
        courses: dict[tuple[str, str], str] = {}
        for key, target in self.targets.items():
            faults += [
                f"targets '{other}' and '{key}' both claim the name '{name}'"
                for name in target.names or (key,)
                if (other := seen.setdefault(_folded(name), key)) != key
            ]
            if (other := courses.setdefault((target.analyte, target.unit), key)) != key:
                faults.append(f"targets '{other}' and '{key}' are both {target.analyte} in {target.unit}")
            faults += [
                f"target '{key}' names the unknown control '{control}'"
                for control in (target.index_control, target.titre.cutoff_control if target.titre else "")
                if control and control not in self.controls
            ]
        named: dict[str, str] = {}
        for name, control in self.controls.items():
            if (first := named.setdefault(_folded(name), name)) != name:
                faults.append(f"controls '{first}' and '{name}' are one name: case and spaces do not count")
            faults += [
                f"control '{name}' names the unknown target '{t}'"
                for t in {*control.concentration, *control.range}
                if t not in self.targets
            ]
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def uses_samples(self) -> bool:
        """Whether names on the plate stand for samples of the samples sheet."""
        return self.samples.pattern is None or "(?P<sample>" in self.samples.pattern


def _folded(name: str) -> str:
    """Return a name as cartrace.plates.sample_names compares it; that one needs pandas."""
    return "".join(name.split()).casefold()


def load_assay(raw: Mapping[str, Any] | Any, file: str) -> Assay:
    """Check ``raw`` and return the assay.

    Raises
    ------
    InputError
        With every unknown key (and the nearest known one) and every bad value.
    """
    return validated(raw, Assay, file, "assay, targets, samples, controls")


def read_assay(path: Path, file: str) -> Assay:
    """Read and check an assay file.

    Raises
    ------
    InputError
        When it is missing, no YAML, or no valid assay.
    """
    return load_assay(read_yaml(path, file, "assay"), file)
