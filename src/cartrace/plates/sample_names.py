"""What a name on a plate stands for: a control, a sample, nobody's business, or nothing known.

The order: a name of ``controls``; a name of ``samples.names``; ``samples.ignore``; the
pattern; else the name is a sample_id.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, Protocol

import pandas as pd

from cartrace.intake.sheets import id_fault, quote, to_number
from cartrace.problems import holds_date
from cartrace.vocabulary import MATRICES

if TYPE_CHECKING:
    from collections.abc import Mapping

    from cartrace.plates.assay_parts import SampleNames


def fold(text: object) -> str:
    """Return a name without case and spaces: ``RNase P`` and ``RNaseP`` are one target."""
    return "" if pd.isna(text) else "".join(str(text).split()).casefold()  # type: ignore[call-overload]


class Identity(NamedTuple):
    """The sample that a name stands for; columns of pcr_samples."""

    subject_id: str | None = None
    sample_id: str | None = None
    matrix: str | None = None
    visit: str | None = None
    day: float | None = None
    infusion: int | None = None


NOBODY = Identity()


class NamedAssay(Protocol):
    """What an assay file says of names."""

    @property
    def samples(self) -> SampleNames:
        """How a name becomes a sample."""
        ...

    @property
    def controls(self) -> Mapping[str, Any]:
        """Name -> the control that is meant."""
        ...


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a name stands for."""

    kind: Literal["nothing", "control", "ignored", "sample", "unmapped"]
    name: str = ""
    """The name that was meant (after ``samples.names``), or that of the control in the assay file."""
    identity: Identity = NOBODY
    control: Any = None
    """The control of the assay file."""
    reason: str = "there is no name"
    """Why it stands for no sample."""

    @property
    def key(self) -> tuple[object, ...]:
        """Equal for two names that stand for the same thing."""
        return (self.kind, self.identity if self.kind == "sample" else fold(self.name))


def meaning_of(name: object, assay: NamedAssay) -> Meaning:
    """Say what a name stands for.

    Parameters
    ----------
    name
        As the instrument's file, the plate map or the extractions sheet writes it; NA: none.
    assay
        Its controls, renames, ignored names and pattern. Case and spaces of listed
        names do not matter; the pattern takes the name as it is.
    """
    text = "" if pd.isna(name) else " ".join(str(name).split())  # type: ignore[call-overload]
    if not text:
        return Meaning("nothing")
    for key, control in assay.controls.items():
        if fold(key) == fold(text):
            return Meaning("control", key, control=control)
    names = assay.samples
    meant = next((new for old, new in names.names.items() if fold(old) == fold(text)), text)
    if {fold(text), fold(meant)} & {fold(ignored) for ignored in names.ignore}:
        return Meaning("ignored", meant)
    if names.pattern is None:
        groups: dict[str, str | None] = {"sample": meant}
    else:
        match = re.fullmatch(names.pattern, meant)
        if match is None:
            return Meaning("unmapped", meant, reason="it does not fit samples.pattern")
        groups = match.groupdict()
    identity = _identity({group: (value or "").strip() for group, value in groups.items()}, assay)
    if isinstance(identity, str):
        return Meaning("unmapped", meant, reason=identity)
    # A sample of a subject goes by its name on the plate: so the extractions sheet names it.
    return Meaning("sample", identity.sample_id or meant, identity)


def _identity(text: dict[str, str], assay: NamedAssay) -> Identity | str:
    """Return the sample that the groups of the pattern give, or why they give none."""
    of_text = {fold(k): v for k, v in assay.samples.matrices.items()} | {m: m for m in MATRICES}
    matrix, day, infusion = (text.get(group, "") for group in ("matrix", "day", "infusion"))
    number = to_number(day)
    faults = {
        "sample": id_fault(text["sample"]) if "sample" in text else "",
        "subject": id_fault(text["subject"]) if "subject" in text else "",
        "visit": "a visit without a calendar date" if holds_date(text.get("visit", "")) else "",
        "day": "a number of days" if day and (number is None or abs(number) > 36_525) else "",
        "infusion": ""
        if not infusion or re.fullmatch(r"0*[1-9][0-9]{0,2}", infusion)
        else "a whole number from 1",
        "matrix": ""
        if not matrix or fold(matrix) in of_text
        else "a key of samples.matrices, or one of " + ", ".join(MATRICES),
    }
    for group, allowed in faults.items():
        if allowed:
            return f"its {group} is {quote(text[group])}; allowed: {allowed}"
    return Identity(
        subject_id=text.get("subject") or None,
        sample_id=text.get("sample") or None,
        matrix=of_text[fold(matrix)] if matrix else assay.samples.matrix,
        visit=text.get("visit") or None,
        day=number,
        infusion=int(infusion) if infusion else None,
    )
