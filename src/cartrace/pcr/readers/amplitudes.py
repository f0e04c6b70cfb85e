"""Amplitudes of droplets: one csv for each well, of QX100/QX200 programs and of QX Manager.

``Ch1 Amplitude,Ch2 Amplitude,Cluster`` (or without the cluster), QX Manager's three lines
of comment and ``Ch1Amplitude,Ch2Amplitude,1,2,``, or two columns named by dyes. Beside a
results file they make the picture; as a plate file of its own such a file is one well,
and needs thresholds or calls.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from cartrace.pcr.plate import AMPLITUDES, Plate, ReadOptions, Remark, well_name
from cartrace.pcr.readers.digital import Place, read_csv
from cartrace.pcr.readers.plate_wells import plate_wells
from cartrace.plates.source import Source, TableReader, as_text, fold, show
from cartrace.tables import conform

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]

NAME = "amplitudes"
LOOKED_FOR = "a csv of one well with Ch1 Amplitude and Ch2 Amplitude"

_AMPLITUDE = re.compile(r"([^\s,;][^,;\t]*?)\s*amplitude")
_DYES = {"fam", "hex", "vic", "cy5", "cy5.5", "rox", "tamra", "atto590", "evagreen"}
_WELL = re.compile(r"(?<![A-Za-z0-9])([A-Ha-h](?:0?[1-9]|1[0-2]))[ _-]Amplitude", re.IGNORECASE)
_PLAIN = re.compile(r"-?[0-9]{1,9}(?:\.[0-9]{1,9})?")
_POSITIVE_IN = {1: (False, False), 2: (True, False), 3: (True, True), 4: (False, True)}
"""Clusters of QuantaSoft: double negative, first channel, both, second channel."""


@dataclass(frozen=True, slots=True)
class Droplets:
    """Amplitudes of one well, shape ``(droplets,)`` for each channel, and what the file calls them.

    ``clusters``: QuantaSoft's cluster of each droplet, or None. ``calls``: for each
    target 1, 0, or nan where it is unclassified.
    """

    channels: Mapping[str, Floats]
    clusters: Floats | None
    calls: Mapping[str, Floats]

    def positive(self, thresholds: Mapping[str, float]) -> dict[str, Floats]:
        """Return the calls of each channel: 1, 0, or nan; channels that nobody called are left out.

        A threshold goes before the file's own call. A file that has all droplets in one
        cluster was perhaps never analysed, so it calls nothing.
        """
        import numpy as np

        found: dict[str, Floats] = {}
        limits = {fold(k): v for k, v in thresholds.items()}
        analysed = self.clusters is not None and len(np.unique(self.clusters[self.clusters > 0])) > 1
        names = list(self.channels)
        for i, (channel, amplitude) in enumerate(self.channels.items()):
            limit = limits.get(fold(channel), limits.get(fold(f"{channel} amplitude")))
            if limit is not None:
                found[channel] = (amplitude > limit).astype(float)
            elif analysed and self.clusters is not None and len(names) == 2:
                table = np.array([np.nan, *(float(_POSITIVE_IN[c][i]) for c in (1, 2, 3, 4))])
                found[channel] = table[self.clusters.astype(int)]
            elif len(self.calls) == len(names):
                # As many targets as channels: they stand in the same order.
                found[channel] = list(self.calls.values())[i]
        return found


def recognise(source: Source) -> bool:
    """Say whether it is a table of amplitudes."""
    return _place(source) is not None


def read(source: Source) -> Plate:
    """Read the file as a plate of one well, which the name of the file gives.

    Raises
    ------
    InputError
        With every problem; when neither thresholds nor the file call the droplets.
    """
    import numpy as np

    name = PurePosixPath(source.name.replace("\\", "/")).name
    wells = _WELL.findall(name)
    if len(wells) != 1:
        source.problem("a file name without well", "a name such as run_A01_Amplitude.csv")
    droplets = _droplets(source)
    called = droplets.positive(source.options.thresholds)
    remarks: list[Remark] = []
    if not called and droplets.calls:
        # Targets that are not tied to channels are counted as they are.
        called = dict(droplets.calls)
    elif lacking := [c for c in droplets.channels if c not in called]:
        source.problem(
            f"no threshold for {', '.join(show(c) for c in lacking)}, and no clusters that call its droplets",
            "read: {thresholds: {" + ", ".join(f"{c}: NUMBER" for c in lacking) + "}} in the assay file",
        )
    source.check()
    well = well_name(wells[0])
    limits = {fold(k): v for k, v in source.options.thresholds.items()}
    records = []
    for target, calls in called.items():
        unclassified = int(np.isnan(calls).sum())
        if unclassified:
            remarks.append(
                Remark(
                    "unclassified",
                    f"{unclassified} droplets are unclassified in {show(target)}, and left out",
                )
            )
        records.append(
            {
                "well": well,
                "target": target,
                "reporter": target if target in droplets.channels else None,
                "task": "unknown",
                "partitions": len(calls) - unclassified,
                "positives": int((calls == 1).sum()),
                "threshold": limits.get(fold(target)),
                "source_row": 1,
            }
        )
    return Plate(
        family=NAME,
        method="dpcr",
        wells=plate_wells(source, records),
        amplitudes=_frame(well, droplets, source.options),
        remarks=tuple(remarks),
    )


def read_amplitudes(content: bytes, name: str, well: str, options: ReadOptions | None = None) -> pd.DataFrame:
    """Read the amplitudes of one well (contract AMPLITUDES), for the picture beside a results file.

    Raises
    ------
    InputError
        When the file is no table of amplitudes, with every problem of it.
    """
    source = Source(content, name, options or ReadOptions())
    if not recognise(source):
        raise source.refusal("a file without amplitudes", LOOKED_FOR)
    return _frame(well_name(well), _droplets(source), source.options)


def _frame(well: str, droplets: Droplets, options: ReadOptions) -> pd.DataFrame:
    import pandas as pd

    called = droplets.positive(options.thresholds)
    parts = []
    for channel, amplitude in droplets.channels.items():
        calls = pd.Series(called.get(channel, [float("nan")] * len(amplitude)), dtype="Float64")
        positive = calls.mask(calls.isna()).astype("boolean")
        parts.append(
            pd.DataFrame({"well": well, "channel": channel, "amplitude": amplitude, "positive": positive})
        )
    return conform(pd.concat(parts, ignore_index=True), AMPLITUDES)


def _place(source: Source) -> Place | None:
    if source.is_zip:
        return None
    for number, line in enumerate(source.lines[:6], 1):
        for delimiter in ",;\t":
            names = [n for c in line.split(delimiter) if (n := fold(c.strip('" ')))]
            rest = [n for n in names if not _AMPLITUDE.fullmatch(n)]
            # Only below QX Manager's comment do other columns hold the calls of targets.
            if len(rest) < len(names) and (number > 1 or not {*rest} - {"cluster"}):
                return Place(number, delimiter)
            if len(names) == line.count(delimiter) + 1 > 1 and {*names} <= _DYES:
                return Place(number, delimiter)
    return None


def _droplets(source: Source) -> Droplets:
    import numpy as np

    place = _place(source)
    assert place is not None
    table = read_csv(source, place)
    channels: dict[str, Floats] = {}
    calls: dict[str, Floats] = {}
    clusters: Floats | None = None
    for i, name in enumerate(table.names):
        match = _AMPLITUDE.fullmatch(fold(name))
        if match:
            channels[name.strip()[: len(match[1])]] = _column(table, i, math.isfinite, "a number")
        elif fold(name) in _DYES:
            channels[name] = _column(table, i, math.isfinite, "a number")
        elif fold(name) == "cluster":
            clusters = _column(table, i, lambda v: v in (0, 1, 2, 3, 4), "a cluster from 1 to 4, or 0")
        elif name:
            calls[name] = _column(table, i, lambda v: v in (0, 1), "0, 1 or u", unclassified="u")
    if len({fold(c) for c in channels}) < sum(bool(_AMPLITUDE.fullmatch(fold(n))) for n in table.names):
        source.problem("two columns of one channel", "each channel once", table.header.number)
    if not table.rows:
        source.problem("no droplet", "at least one row of amplitudes")
    source.check()
    return Droplets({c: np.asarray(v) for c, v in channels.items()}, clusters, calls)


def _column(
    table: TableReader, place: int, is_allowed: Callable[[float], bool], allowed: str, unclassified: str = ""
) -> Floats:
    """Return one column; a cell that is empty or not allowed is a problem."""
    import numpy as np

    values = np.full(len(table.rows), np.nan)
    is_plain = table.source.options.decimal == "."
    for i, row in enumerate(table.rows):
        cell = row.cells[place] if place < len(row.cells) else ""
        if unclassified and as_text(cell).casefold() == unclassified:
            continue
        if is_plain and isinstance(cell, str) and _PLAIN.fullmatch(cell):
            # A plate has millions of droplets; this is what nearly all of them look like.
            value: float | None = float(cell)
        else:
            value = table.parse(row, table.names[place], cell)
        if value is None or not is_allowed(value):
            table.source.problem(show(cell), allowed, row.number, table.names[place])
        else:
            values[i] = value
    return values
