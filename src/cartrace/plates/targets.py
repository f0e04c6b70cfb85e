"""The targets of a plate beside those that its assay file lists."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from cartrace.plates.acceptance import Finding
from cartrace.problems import did_you_mean

if TYPE_CHECKING:
    import pandas as pd


def target_findings(
    in_file: pd.Series[str], keys: Collection[str | None], names: Mapping[str, Sequence[str]]
) -> list[Finding]:
    """Tell targets that the assay file does not list, and those that the plate does not have.

    Parameters
    ----------
    in_file
        Target of each well as the file writes it, with positions as index.
    keys
        The assay's key of each; None where it has none.
    names
        Key of each target of the assay -> how files write it.
    """
    listed = [name for several in names.values() for name in several]
    unlisted = in_file[[key is None for key in keys]]
    findings = [
        Finding(
            "target_not_in_assay",
            "note",
            f"{len(group)} wells of the target {name}, which the assay file does not list, are not used",
            target=str(name),
            wells=tuple(int(i) for i in group.index),
            value=str(name),
            limit=", ".join(listed),
            limit_source="assay file, targets",
            suggestion=did_you_mean(str(name), listed),
            column="target",
        )
        for name, group in unlisted.groupby(unlisted, sort=True)
    ]
    found = set(keys)
    return findings + [
        Finding(
            "target_missing",
            "warn",
            f"{key}: the assay file lists this target, and no well of the plate has it",
            target=key,
            limit=", ".join(several),
            limit_source="assay file, targets",
        )
        for key, several in names.items()
        if key not in found
    ]
