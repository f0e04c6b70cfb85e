"""The assay file: what the targets, samples and controls on the plates of one PCR assay are.

It is the ``mapping`` of a file whose reader is ``pcr_plate``. It is checked as a
whole: every unknown key and every bad value is reported at once. Read while the
Snakefile is parsed, so it imports pydantic and nothing heavier.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, field_validator, model_validator

from cartrace.analytes import ANALYTES
from cartrace.config import PcrAcceptance
from cartrace.intake.mapping import Part, Text, read_yaml
from cartrace.pcr.vocabulary import PLATFORMS
from cartrace.plates import assay_parts
from cartrace.plates.assay_parts import SampleNames
from cartrace.problems import did_you_mean
from cartrace.validation import validated

DnaSource = Literal["measured", "reference", "nominal"]
CountSource = Literal["extraction", "white_cells"]


class CurveChoice(Part):
    """Which standard curve quantifies a target of a qPCR."""

    source: Literal["plate", "stored"] = Field(
        "plate",
        description="Standards of the same plate, or a curve stored earlier (scripts/pcr/store_master_curve.py).",
    )
    file: str = Field("", description="The stored curve, relative to the trial folder.")
    weighting: Literal["none", "level_variance"] = Field(
        "none",
        description="none: plain least squares, as the instruments' software does; level_variance: 1 / variance of the "
        "Cq of each level.",
    )
    standard_unit: Literal["copies/reaction", "copies/uL"] = Field(
        "copies/reaction",
        description="Unit of the quantities typed into the instrument; copies/uL is multiplied by reaction.template_ul.",
    )

    @model_validator(mode="after")
    def _file_when_stored(self) -> CurveChoice:
        if (self.source == "stored") != bool(self.file):
            raise ValueError("file belongs to source: stored, and is needed there")
        return self


class Limits(Part):
    """Limits of the assay. Either numbers, or the name of an estimate of the configuration (pcr.detection_limits)."""

    estimated: str = Field("", description="Name in pcr.detection_limits, whose lob, lod and lloq are taken.")
    unit: Literal["copies/reaction", "copies/ug"] = Field(
        "copies/reaction", description="Unit of lod, lloq and uloq."
    )
    lob: float | None = Field(None, ge=0, description="Limit of blank, copies per reaction.")
    lod: float | None = Field(None, gt=0, description="Limit of detection.")
    lloq: float | None = Field(None, gt=0, description="Lower limit of quantification.")
    uloq: float | None = Field(None, gt=0, description="Upper limit of quantification.")

    @model_validator(mode="after")
    def _in_order(self) -> Limits:
        numbers = [n for n in (self.lod, self.lloq, self.uloq) if n is not None]
        if numbers != sorted(numbers):
            raise ValueError("limits out of order: lod <= lloq <= uloq")
        if self.estimated and numbers:
            raise ValueError("give numbers, or the name of an estimate, not both")
        return self


class Target(Part):
    """One target of the assay."""

    names: tuple[Text, ...] = Field(
        (), description="How the instrument's files write it; the key itself when empty."
    )
    reporter: str = Field("", description="Dye, where two targets have one name or the file names none.")
    role: Literal["transgene", "reference", "inhibition_control"] = Field(
        "transgene",
        description="transgene is reported; reference counts genomes; inhibition_control is the spike.",
    )
    analyte: str = Field("transgene", description="Analyte in measurements, for the role transgene.")
    copies_per_genome: float = Field(
        2.0,
        gt=0,
        description="Copies in one diploid genome, for the role reference (RPP30, ALB, RNase P: 2).",
    )
    curve: CurveChoice = Field(default_factory=CurveChoice)
    limits: Limits = Field(default_factory=Limits)

    @field_validator("analyte")
    @classmethod
    def _known(cls, value: str) -> str:
        expansion = [a.name for a in ANALYTES.values() if a.family == "expansion"]
        if value not in expansion:
            near = did_you_mean(value, expansion)
            raise ValueError(
                f"one of {', '.join(expansion)}" + (f" (did you mean '{near}'?)" if near else "")
            )
        return value


class Reaction(Part):
    """What goes into one reaction."""

    volume_ul: float | None = Field(
        None,
        gt=0,
        description="Volume of the reaction, for digital PCR: copies per reaction = concentration x volume.",
    )
    template_ul: float | None = Field(
        None, gt=0, description="Volume of eluate (or of its dilution) in the reaction."
    )
    dilution: float = Field(
        1.0, ge=1, description="Dilution of the eluate before the reaction: 5 means 1 in 5."
    )
    dna_ng: float | None = Field(None, gt=0, description="Nominal mass of genomic DNA in one reaction.")
    dna_from: tuple[DnaSource, ...] = Field(
        ("measured", "reference", "nominal"),
        description="Where the mass of DNA comes from, best first: measured (extractions sheet or plate map), the "
        "reference gene, or nominal. None of them: copies/ug is not estimable.",
    )
    blood_from: tuple[CountSource, ...] = Field(
        ("extraction", "white_cells"),
        description="How copies/uL blood are computed, best first: from elution and blood volume, or from copies/cell "
        "and the white-cell count (extractions sheet).",
    )


class Control(Part):
    """A control that is known by its name on the plate."""

    task: Literal[
        "ntc",
        "negative_control",
        "positive_control",
        "accuracy_control",
        "inhibition_control",
        "standard",
        "empty",
    ] = Field(description="What it is for.")
    copies: dict[str, Annotated[float, Field(gt=0)]] = Field(
        default_factory=dict,
        description="Expected copies per reaction, by target: accuracy controls and standards.",
    )

    @model_validator(mode="after")
    def _copies_where_needed(self) -> Control:
        if self.task in {"accuracy_control", "standard"} and not self.copies:
            raise ValueError(f"a control of task {self.task} needs copies: {{target: number}}")
        return self


class Reading(assay_parts.Reading):
    """What the instrument's file does not say about itself."""

    thresholds: dict[str, float] = Field(
        default_factory=dict, description="Threshold by channel, for bare amplitudes."
    )


class Assay(Part):
    """One PCR assay."""

    assay: str = Field(
        "qpcr", pattern=r"^[a-z][a-z0-9_]*$", description="Name in measurements: qpcr, ddpcr, ..."
    )
    samples: SampleNames = Field(default_factory=SampleNames)
    targets: dict[str, Target] = Field(
        min_length=1, description="The targets, by their name in cartrace's tables."
    )
    reaction: Reaction = Field(default_factory=Reaction)
    controls: dict[Text, Control] = Field(
        default_factory=dict,
        description="Name on the plate -> control; beside the tasks that the file itself gives.",
    )
    platform: str = Field(
        "", description="Digital PCR instrument (docs/pcr_assay.md), where the file does not tell it."
    )
    partition_volume_nl: float | None = Field(
        None,
        gt=0,
        description="Partition volume, when the laboratory has measured its own; else that of the platform.",
    )
    read: Reading = Field(default_factory=Reading)
    acceptance: dict[str, dict[str, Any]] = Field(
        default_factory=dict,
        description="Acceptance rules of this assay that differ from pcr.acceptance: {rule: {lower, upper, consequence}}.",
    )

    @field_validator("platform")
    @classmethod
    def _known_platform(cls, value: str) -> str:
        if value and value not in PLATFORMS:
            near = did_you_mean(value, PLATFORMS)
            raise ValueError(
                f"one of {', '.join(PLATFORMS)}" + (f" (did you mean '{near}'?)" if near else "")
            )
        return value

    @field_validator("acceptance")
    @classmethod
    def _known_rules(cls, value: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
        for name in value:
            if name not in PcrAcceptance.model_fields:
                near = did_you_mean(name, PcrAcceptance.model_fields)
                raise ValueError(f"unknown rule '{name}'" + (f" (did you mean '{near}'?)" if near else ""))
        PcrAcceptance.over(PcrAcceptance(), value)
        return value

    @model_validator(mode="after")
    def _whole(self) -> Assay:
        faults: list[str] = []
        seen: dict[tuple[str, str], str] = {}
        for key, target in self.targets.items():
            for name in target.names or (key,):
                place = (name.casefold(), target.reporter.casefold())
                if place in seen:
                    faults.append(
                        f"targets '{seen[place]}' and '{key}' both claim the name '{name}'; give reporters"
                    )
                seen[place] = key
        if not any(t.role == "transgene" for t in self.targets.values()):
            faults.append("no target has the role transgene")
        by_analyte: dict[str, str] = {}
        for key, target in self.targets.items():
            if target.role != "transgene":
                continue
            if (other := by_analyte.setdefault(target.analyte, key)) != key:
                faults.append(
                    f"targets '{other}' and '{key}' are both {target.analyte} by {self.assay}, so their courses would "
                    "mix; give each an assay file with an assay name of its own, and list the plate once with each"
                )
        references = [k for k, t in self.targets.items() if t.role == "reference"]
        if len(references) > 1:
            faults.append(f"more than one reference gene: {', '.join(references)}")
        for name, control in self.controls.items():
            faults += [
                f"control '{name}' names the unknown target '{t}'"
                for t in control.copies
                if t not in self.targets
            ]
        if (
            any(t.curve.standard_unit == "copies/uL" for t in self.targets.values())
            and self.reaction.template_ul is None
        ):
            faults.append("standards in copies/uL need reaction.template_ul")
        if faults:
            raise ValueError("; ".join(faults))
        return self

    @property
    def reference(self) -> str | None:
        """Key of the reference gene, if there is one."""
        return next((k for k, t in self.targets.items() if t.role == "reference"), None)

    @property
    def uses_samples(self) -> bool:
        """Whether names on the plate stand for samples of the samples sheet."""
        return self.samples.pattern is None or "(?P<sample>" in self.samples.pattern


def load_assay(raw: Mapping[str, Any] | Any, file: str) -> Assay:
    """Check ``raw`` and return the assay.

    Raises
    ------
    InputError
        With every unknown key (and the nearest known one) and every bad value.
    """
    return validated(raw, Assay, file, "assay, targets, samples, reaction")


def read_assay(path: Path, file: str) -> Assay:
    """Read and check an assay file.

    Raises
    ------
    InputError
        When it is missing, no YAML, or no valid assay.
    """
    return load_assay(read_yaml(path, file, "assay"), file)
