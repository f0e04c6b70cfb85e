"""The inbox in the configuration: where laboratories leave files, and what their names tell.

Read while the Snakefile is parsed: nothing heavy.
"""

from __future__ import annotations

import re
from typing import Literal

from pydantic import Field, field_validator, model_validator

from cartrace.section import Section

PLACEHOLDER = re.compile(r"\{(\w+)\}")
"""A named group of the pattern, as plate_map and subjects may use it."""
OF_TUBES = ("kind", "marker", "batch")
"""Named groups that mean something for a flow tube only."""
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


class InboxPattern(Section):
    """What the name of a file tells: a reader, a mapping, and by named groups what is in it."""

    name: str = Field(
        min_length=1,
        description="Regular expression for the whole path below the folder. Named groups with a meaning: file_id, "
        "sample_id, subject_id, visit, matrix; of flow tubes kind, marker, batch. Others serve plate_map and subjects.",
    )
    reader: Literal["laboratory_table", "pcr_plate", "fcs_tube", "immunoassay_plate"] = Field(
        description="Reader, as in the files sheet."
    )
    mapping: str = Field(min_length=1, description="Mapping, assay or panel file, as in the files sheet.")
    plate_map: str = Field("", description="Plate map, as in the files sheet; {group} is a named group.")
    subjects: str = Field("", description="Subjects, as in the files sheet; {group} is a named group.")

    @model_validator(mode="after")
    def _groups(self) -> InboxPattern:
        try:
            groups = re.compile(self.name).groupindex
        except re.error as error:
            raise ValueError(f"name: a regular expression ({error})") from None
        unknown = [g for text in (self.plate_map, self.subjects) for g in PLACEHOLDER.findall(text)]
        unknown = [group for group in unknown if group not in groups]
        if unknown:
            raise ValueError(f"{{{unknown[0]}}} is no named group of name: write (?P<{unknown[0]}>...) there")
        if self.plate_map and self.reader not in ("pcr_plate", "immunoassay_plate"):
            raise ValueError("plate_map belongs to the readers pcr_plate and immunoassay_plate")
        tubes = [group for group in OF_TUBES if group in groups]
        if tubes and self.reader != "fcs_tube":
            raise ValueError(f"the group {tubes[0]} belongs to the reader fcs_tube; give it another name")
        return self


class InboxFolder(Section):
    """The inbox of one assay."""

    folder: str = Field(
        min_length=1,
        description="Where files are left; relative to the trial folder, may be absolute or lead out of it.",
    )
    patterns: tuple[InboxPattern, ...] = Field(
        (), description="What file names tell, of files that no sheet lists."
    )


class Inbox(Section):
    """Folders in which laboratories leave files; the scheduled run takes in what is complete."""

    settle_minutes: float = Field(
        10,
        ge=0,
        le=100_000,
        description="A file is complete when neither content nor name changed for so many minutes. House value.",
    )
    done_marker: str | None = Field(
        None,
        description="Instead: a file is complete once this one lies beside it and is no older. '{name}.done' for each file, "
        "or one name, as 'DONE', for a folder and all below it.",
    )
    take: Literal["copy", "move"] = Field(
        "copy",
        description="copy leaves the laboratory's file where it is; move removes it once it is stored.",
    )
    folders: dict[str, InboxFolder] = Field(
        default_factory=dict, description="The inbox of each assay, by a name that names its store as well."
    )

    @field_validator("done_marker")
    @classmethod
    def _marker(cls, marker: str | None) -> str | None:
        if marker is not None and (
            marker in ("", ".", "..", "{name}") or "/" in marker or not marker.isprintable()
        ):
            raise ValueError("the name of a file, as '{name}.done' or 'DONE'")
        return marker

    @field_validator("folders")
    @classmethod
    def _names(cls, folders: dict[str, InboxFolder]) -> dict[str, InboxFolder]:
        for name in folders:
            if not _NAME.fullmatch(name):
                raise ValueError(f"'{name[:64]}': a name of at most 64 letters, digits, or . _ -")
        if len({name.casefold() for name in folders}) < len(folders):
            raise ValueError("two names that differ by case only")
        return folders
