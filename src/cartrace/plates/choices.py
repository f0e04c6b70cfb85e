"""What a well holds, decided between the file and what the laboratory laid out beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from cartrace.plates.sample_names import Identity, Meaning, fold
from cartrace.problems import plain


@dataclass(frozen=True, slots=True)
class Said:
    """What the plate map or layout says of one target in one well."""

    samples: tuple[str, ...] = ()
    cells: dict[str, Any] = field(default_factory=dict)
    """The other cells that are not empty, by column."""


@dataclass(frozen=True, slots=True)
class Choice:
    """One row of the plate, decided."""

    row: dict[str, Any]
    in_file: Meaning
    laid_out: tuple[Meaning, ...]
    """What the names of the plate map or layout stand for."""
    said: Said
    what: Meaning
    """What counts."""
    task: str
    nominal: float
    dilution: float
    exclusion: str | None
    flag: str | None

    @property
    def name(self) -> str:
        """The name that counts, as it was written."""
        return " / ".join(self.said.samples) or str(self.row["sample_name"] or "")


def teller(
    by_well: Mapping[str, Sequence[tuple[str | None, dict[str, Any]]]],
) -> Callable[[str, str | None], Said]:
    """Return what tells what is laid out for a well and target.

    ``by_well`` lists (target, cells) for each well; a row without a target is about all
    targets of its well, and one with a target goes before it.
    """

    def said_of(well: str, target: str | None) -> Said:
        mine = by_well.get(well, ())
        samples = tuple(dict.fromkeys(cells["sample"] for _, cells in mine if "sample" in cells))
        whole = [cells for key, cells in mine if key is None]
        own = [cells for key, cells in mine if key is not None and key == target]
        return Said(samples, {c: v for cells in (*whole, *own) for c, v in cells.items() if c != "sample"})

    return said_of


def sample_names(choices: Iterable[Choice]) -> dict[Identity, str]:
    """Return one name for each sample: the first on the plate, without dates and told from all others."""
    names: dict[Identity, str] = {}
    for choice in choices:
        what = choice.what
        if what.kind != "sample" or what.identity in names:
            continue
        name, taken = plain(what.name), {fold(n) for n in names.values()}
        parts = " ".join(str(part) for part in what.identity if part is not None)
        names[what.identity] = f"{name} ({parts})" if fold(name) in taken else name
    return names
