"""Parts that the assay files of all plates share. Read while the Snakefile is parsed: pydantic and nothing heavier."""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator

from cartrace.intake.mapping import Matrix, Part, Regex, Text


class SampleNames(Part):
    """How a name on the plate becomes a sample."""

    pattern: Regex | None = Field(
        None,
        description="Regular expression with the group sample, or the group subject and any of visit, day, infusion, "
        "matrix; without it the whole name is a sample_id of the samples sheet.",
    )
    names: dict[Text, Text] = Field(
        default_factory=dict, description="Name on the plate -> the name that was meant."
    )
    matrices: dict[Text, Matrix] = Field(
        default_factory=dict, description="Text of the group matrix -> matrix."
    )
    matrix: Matrix | None = Field(
        None, description="Matrix of all samples, unless the sheet or the name says it."
    )
    ignore: tuple[Text, ...] = Field(
        (), description="Names on the plate that are nobody's sample (development wells)."
    )

    @field_validator("pattern")
    @classmethod
    def _names_a_sample(cls, value: str | None) -> str | None:
        if value is None:
            return value
        groups = set(re.compile(value).groupindex)
        if unknown := groups - {"sample", "subject", "visit", "day", "infusion", "matrix"}:
            raise ValueError(f"unknown group {', '.join(sorted(unknown))}")
        if ("sample" in groups) == ("subject" in groups):
            raise ValueError("the pattern needs the group sample or the group subject, and not both")
        return value


class Reading(Part):
    """What the instrument's file does not say about itself."""

    decimal: Literal[".", ","] = Field(".", description="Decimal mark of the file.")
    encoding: str = Field("", description="Encoding, where it is neither UTF-8 nor UTF-16 nor Windows-1252.")
    sheet: str = Field("", description="Sheet of a workbook or plate of a file, where the reader can't tell.")
