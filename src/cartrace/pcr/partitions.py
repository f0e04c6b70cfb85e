"""The volume of one partition of each digital PCR instrument, and its audit against the file.

A concentration is lambda / volume, so a volume that is 7 % wrong is a result that is
7 % wrong, on every plate, unseen. The volume is therefore never guessed: what the table
does not hold has a reason instead. And each file that prints concentrations says itself
which volume its software took.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cartrace.pcr.digital import copies_per_partition
from cartrace.pcr.vocabulary import PLATFORMS
from cartrace.problems import did_you_mean

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class PartitionVolume:
    """One row of the table. ``volume_nl`` is nan where no constant holds; ``reason`` then says why."""

    platform: str
    volume_nl: float
    partitions: int | None
    """Partitions that the maker names for one well."""
    source: str = ""
    """Where the volume comes from; ``[recalled]`` where nobody has checked it for cartrace."""
    software: str = ""
    """Software that the row is for, any when empty."""
    below_version: str = ""
    """Only versions of that software below this one."""
    reason: str = ""

    @property
    def from_file(self) -> bool:
        """Whether the volume differs from plate to plate, so that only the file knows it."""
        return self.partitions is not None and math.isnan(self.volume_nl)


_OLD = (
    "what QuantaSoft took at first: ABC 2015;407:1831 (PMC4336415), table 3, which found it 8 to 16 % too large; "
    "a QX100 file agrees to its three digits. Last version that did so: [recalled]"
)
_NOW = "default of Bio-Rad (R package twoddpcr); agrees with QuantaSoft 1.7.4 (github.com/daattali/ddpcr/pull/12)"
_BY_PLATE = (
    "the volume differs by plate and well (QIAGEN's volume precision factor): take an export with the column "
    "'Volume per well', or give partition_volume_nl in the assay file"
)

PARTITION_VOLUMES: tuple[PartitionVolume, ...] = (
    PartitionVolume("qx100", 0.91, 20_000, _OLD, software="QuantaSoft", below_version="1.6"),
    PartitionVolume("qx100", 0.85, 20_000, _NOW),
    PartitionVolume("qx200", 0.91, 20_000, _OLD, software="QuantaSoft", below_version="1.6"),
    PartitionVolume("qx200", 0.85, 20_000, f"{_NOW}; a QX Manager file agrees to 7 digits"),
    PartitionVolume("qx600", 0.85, 20_000, "[recalled]"),
    PartitionVolume("qxone", 0.795, 20_000, "[recalled]"),
    PartitionVolume(
        "qiacuity_8.5k", math.nan, 8_500, "8,510 chambers in a file with volumes", reason=_BY_PLATE
    ),
    PartitionVolume("qiacuity_26k", math.nan, 26_000, "partitions [recalled]", reason=_BY_PLATE),
    PartitionVolume("absolute_q", 0.432, 20_480, "eight files agree to their printed digits"),
)
"""The first row that fits counts. A version that nobody tells is taken as a present one: the
droplets were the same, only the software's idea of them changed, and the audit finds the old one."""


def partition_volume(platform: str, software: str = "", version: str = "") -> PartitionVolume:
    """Look up the partition volume of an instrument.

    Parameters
    ----------
    platform
        One of cartrace.pcr.vocabulary.PLATFORMS, or empty.
    software, version
        As the file names them; empty when it doesn't.

    Returns
    -------
    PartitionVolume
        With nan and a reason where the volume is not known.
    """
    for row in PARTITION_VOLUMES:
        if row.platform != platform:
            continue
        if row.software and row.software.casefold() not in software.casefold():
            continue
        if row.below_version and not (version and _version(version) < _version(row.below_version)):
            continue
        return row
    near = did_you_mean(platform, PLATFORMS)
    found = f"the unknown instrument '{platform}'" if platform else "no instrument named by the file"
    reason = f"{found}: give platform ({', '.join(PLATFORMS)}) or partition_volume_nl in the assay file" + (
        f"; did you mean '{near}'?" if near else ""
    )
    return PartitionVolume(platform, math.nan, None, reason=reason)


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text)[:4])


def implied_volume_nl(positives: ArrayLike, partitions: ArrayLike, vendor_concentration: ArrayLike) -> Array:
    """Return the partition volume (nL) that an instrument's concentration implies: lambda / concentration.

    Parameters
    ----------
    positives, partitions
        Counts of each well.
    vendor_concentration
        copies/uL of reaction that the instrument's software printed.

    Returns
    -------
    ndarray
        nan where nothing is implied: no or only positives, no concentration or 0.
    """
    lambda_, printed = np.broadcast_arrays(
        copies_per_partition(positives, partitions), np.asarray(vendor_concentration, dtype=float)
    )
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where((lambda_ > 0) & (printed > 0), lambda_ / printed * 1000, np.nan)


@dataclass(frozen=True, slots=True)
class Audit:
    """Used against implied volume, by well."""

    percent: Array
    """How far the implied volume lies from the used one, in % of it; nan where nothing is implied."""
    lowest_percent: Array
    highest_percent: Array
    """Where it may lie, since the concentration was printed rounded."""
    outside: NDArray[np.bool_]
    """Whether no rounding brings it within the tolerance."""


def audit(
    used: ArrayLike,
    implied: ArrayLike,
    vendor_concentration: ArrayLike,
    tolerance: tuple[float | None, float | None] = (-2.0, 2.0),
) -> Audit:
    """Compare the volume that was used with the one that the instrument's concentration implies.

    Parameters
    ----------
    used, implied
        nL of each well.
    vendor_concentration
        As it is printed: its digits tell how it was rounded. ``0.07`` may stand for
        anything from 0.065 to 0.075, which is 7 % of volume.
    tolerance
        Smallest and largest deviation (%) that is still right; None: no limit.
    """
    taken, found, printed = np.broadcast_arrays(
        *(np.asarray(a, dtype=float) for a in (used, implied, vendor_concentration))
    )
    half = half_unit(printed)
    with np.errstate(divide="ignore", invalid="ignore"):
        percent, lowest, highest = (
            100 * (found * printed / true / taken - 1)
            for true in (printed, printed + half, np.maximum(printed - half, 0.0))
        )
    low, high = tolerance
    outside = np.zeros(percent.shape, dtype=bool)
    if low is not None:
        outside |= highest < low
    if high is not None:
        outside |= lowest > high
    return Audit(percent, lowest, highest, outside)


def half_unit(printed: ArrayLike) -> Array:
    """Return half a unit of the last digit that a printed concentration was rounded to.

    Software prints three significant digits (QuantaSoft), two decimals (AbsoluteQ), one
    decimal (QIAcuity) or all digits. A number as it is read does not tell which: 0.5 may
    have been 0.50. The coarsest rounding that could have given it is taken.

    Returns
    -------
    ndarray
        nan for 0 and for what is no number.

    Examples
    --------
    >>> half_unit([1230.0, 1234.0, 12.3, 0.07, 12.345678]).round(8).tolist()
    [5.0, 0.05, 0.05, 0.005, 5e-07]
    """
    numbers = np.asarray(printed, dtype=float)
    out = np.full(numbers.shape, np.nan)
    for place, number in np.ndenumerate(numbers):
        if math.isfinite(number) and number != 0:
            out[place] = 0.5 * 10.0 ** _last_place(float(number))
    return out


def _last_place(number: float) -> int:
    """Return the power of ten of the last digit that the number was rounded to."""
    digits, exponent = f"{abs(number):.14e}".split("e")
    shown = len(digits.replace(".", "").rstrip("0"))
    first, last = int(exponent), int(exponent) - shown + 1
    return max((place for place in (-2, -1, first - 2) if place <= last), default=last)
