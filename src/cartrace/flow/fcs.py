"""FCS files: header, keywords, and events as they lie in the file, without loading them.

Events are what FlowKit calls raw events (FlowIO's ``as_array(preprocess=True)``), to the last
bit. The standards: FCS 2.0 (Cytometry 11:323, 1990), 3.0 (28:118, 1997), 3.1 (77A:97, 2010).
What is done with files that break them: docs/fcs_files.md.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from cartrace.intake.sheets import quote
from cartrace.problems import InputError, Problem, plain, raise_if_any

Floats = NDArray[np.float64]

VERSIONS = ("FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2")
MOST_TEXT = 8 * 2**20
"""Longest TEXT, bytes; the largest one seen holds the wells of an index sort in some 10 kB."""
MOST_CHANNELS = 2000
"""Imaging and spectral cytometers write some hundreds."""
MOST_DATA_SETS = 100
MOST_PROBLEMS = 20
"""Faults of keywords that an error lists; where $PAR is wrong each channel has some."""
BLOCK = 16384
"""Events that are read at once: small enough for the cache, and little memory is ever held."""


@dataclass(frozen=True, slots=True)
class Channel:
    """One parameter of the file."""

    index: int
    """From 0."""
    name: str
    """$PnN; a name that stands twice gets a number behind it (name, name_2) so that each is unique."""
    stain: str
    """$PnS, or empty."""
    range: float
    """$PnR: the top of the scale."""
    gain: float
    """$PnG; 1 without one, and for time."""
    decades: float
    """First number of $PnE; 0: linear."""
    offset: float
    """Second number of $PnE (1 where a logarithmic channel says 0)."""

    @property
    def kind(self) -> str:
        """time, scatter, fluorescence or other (names like Time_2), by the name, as FlowIO tells them."""
        head = self.name.lower()[:4]
        if head == "time":
            return "time" if self.name.lower() == "time" else "other"
        return "scatter" if head in {"fsc-", "ssc-"} else "fluorescence"


@dataclass(frozen=True, slots=True)
class Spillover:
    """A spillover matrix: row i is how the dye of detector i shines into each detector."""

    channels: tuple[str, ...]
    matrix: Floats
    """(n, n), diagonal 1."""


class Events(Protocol):
    """Reads events of some channels; nothing of DATA is in memory before."""

    def __call__(self, columns: Sequence[int], start: int, stop: int) -> Floats:
        """Return (stop - start, len(columns)) float64: linearised, gain and time step applied, as FlowKit does.

        Each column is contiguous (Fortran order).
        """
        ...


@dataclass(frozen=True, slots=True)
class FcsData:
    """One data set of one FCS file. Keywords stay in memory: they hold names and dates."""

    version: str
    data_set: int
    channels: tuple[Channel, ...]
    n_events: int
    read: Events = field(repr=False)
    spillover: Spillover | None
    volume_ul: float | None
    """$VOL (nL in FCS 3.1, section 3.2.20), as uL."""
    timestep: float | None
    """$TIMESTEP, s per unit of the time channel."""
    keywords: Mapping[str, str] = field(repr=False)
    """Upper case, without $; never to be printed."""
    remarks: tuple[str, ...] = ()
    """What was odd and was mended on reading (offsets that disagree, names that stand twice), for qc."""

    @property
    def names(self) -> tuple[str, ...]:
        """Channel names, in order."""
        return tuple(c.name for c in self.channels)

    @property
    def time(self) -> int | None:
        """Index of the time channel, if there is one."""
        return next((c.index for c in self.channels if c.kind == "time"), None)


def read_fcs(path: Path, name: str, data_set: int | None = None) -> FcsData:
    """Open one data set of an FCS file; ``name`` is how errors call the file.

    Only HEADER and TEXT are read. ``data_set`` counts from 1.

    Raises
    ------
    InputError
        For a file that is no FCS, is cut short, or holds several data sets while ``data_set`` is None.
    """
    try:
        with path.open("rb") as file:
            size = file.seek(0, 2)
            chosen = _choose(file, size, name, data_set)
    except OSError as error:
        raise _fault(name, f"no file that can be read ({error.strerror})", "an FCS file") from None
    return _open(chosen, path, size, name)


@dataclass(frozen=True, slots=True)
class _DataSet:
    """HEADER and TEXT of one data set; its offsets count from ``base``."""

    number: int
    base: int
    version: str
    data: tuple[int, int]
    """First and last byte of DATA as HEADER says, 0 where it says nothing."""
    words: Mapping[str, str]
    remarks: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Column:
    """How one parameter lies in a row of DATA."""

    kind: str
    """numpy's name of the type; u3 for 24 bits, which numpy does not have."""
    mask: int | None
    """Bits that count, where not all do."""


@dataclass(frozen=True, slots=True)
class _Reader:
    """Events of one data set, read block by block when they are asked for."""

    path: Path
    offset: int
    row: np.dtype[np.void]
    n_events: int
    columns: tuple[_Column, ...]
    channels: tuple[Channel, ...]
    timestep: float | None

    def __call__(self, columns: Sequence[int], start: int, stop: int) -> Floats:
        """Read events of some channels; see :class:`Events`."""
        if not 0 <= start <= stop <= self.n_events:
            raise IndexError(f"events {start} to {stop} of {self.n_events}")
        events = np.empty((stop - start, len(columns)), order="F")
        for first in range(start, stop, BLOCK):
            last = min(first + BLOCK, stop)
            at = self.offset + first * self.row.itemsize
            # Not np.memmap: it is twice as slow here, and a file that is cut meanwhile kills the process.
            rows = np.fromfile(self.path, dtype=self.row, count=last - first, offset=at)
            if len(rows) != last - first:
                raise OSError("the FCS file was cut short while it was read")
            # Float files may hold NaN of every kind.
            with np.errstate(over="ignore", invalid="ignore"):
                for place, column in enumerate(columns):
                    raw = _whole_numbers(rows[str(column)], self.columns[column])
                    events[first - start : last - start, place] = self._linear(raw, self.channels[column])
        return events

    def _linear(self, raw: NDArray[np.generic], channel: Channel) -> Floats:
        """Scale as FlowIO does, operation by operation: other orders differ in the last bit."""
        values = raw.astype(np.float64)
        if channel.kind == "time" and self.timestep is not None:
            values = values * self.timestep
        return linearised(values, channel)


def linearised(values: Floats, channel: Channel) -> Floats:
    """Undo the amplifier: log decades ($PnE), then gain ($PnG). FCS 3.1, sections 3.2.20.4 and 3.2.20.5."""
    # Decades in a float file, which should have none, make infinities: as in FlowKit, without its warning.
    with np.errstate(over="ignore"):
        if channel.decades > 0:
            values = (10 ** (channel.decades * values / channel.range)) * channel.offset
        if channel.gain != 1.0:
            values = values / channel.gain
    return values


def _whole_numbers(raw: NDArray[np.generic], column: _Column) -> NDArray[np.generic]:
    """Join 24 bits to a number, and cut off bits above the range; floats pass."""
    if column.kind.endswith("3"):
        weights = [1, 2**8, 2**16] if column.kind[0] == "<" else [2**16, 2**8, 1]
        raw = raw.astype(np.uint32) @ np.array(weights, dtype=np.uint32)
    return raw if column.mask is None else np.bitwise_and(raw, raw.dtype.type(column.mask))


def _fault(name: str, found: str, allowed: str, keyword: str | None = None) -> InputError:
    return InputError([Problem(name, found, allowed, column=keyword)])


def _choose(file: BinaryIO, size: int, name: str, data_set: int | None) -> _DataSet:
    """Follow $NEXTDATA to the data set that is asked for, or to the last one to see that it is alone."""
    base, number, first = 0, 1, None
    while True:
        found = _head(file, base, number, size, name)
        first = first or found
        if number == data_set:
            return found
        step = _whole(found.words.get("NEXTDATA", "0"))
        if step is None:
            raise _fault(
                name,
                _shown(found.words["NEXTDATA"]),
                "bytes to the next data set, 0 after the last",
                "$NEXTDATA",
            )
        # Some writers let the last $NEXTDATA lead to the end of the file.
        if step == 0 or base + step == size:
            break
        base, number = base + step, number + 1
        if base > size or number > MOST_DATA_SETS:
            raise _fault(
                name,
                f"data set {number} at byte {base} of {size}",
                f"{MOST_DATA_SETS} data sets, all inside the file; it may be cut short, or the number of the data set "
                "(tubes sheet) has to be given",
                "$NEXTDATA",
            )
    if data_set is not None:
        raise _fault(
            name, f"data set {data_set} asked for", f"1 to {number}: the data sets that the file holds"
        )
    if number > 1:
        raise _fault(
            name,
            f"{number} data sets",
            "one data set, or its number (tubes sheet, column data_set): 1, 2, ...",
        )
    return first


def _head(file: BinaryIO, base: int, number: int, size: int, name: str) -> _DataSet:
    """Read HEADER and TEXT of the data set that begins at byte ``base``."""
    file.seek(base)
    header = file.read(58).decode("latin-1")
    which = f"data set {number}: " if number > 1 else ""
    version = header[:6]
    if version not in VERSIONS:
        what = "an empty file" if not size else f"{which}a begin that is no FCS HEADER"
        raise _fault(name, what, f"one that begins with {', '.join(VERSIONS)}")
    if len(header) < 58:
        raise _fault(name, f"{which}a HEADER of {len(header)} bytes", "58 bytes; the file is cut short")
    begin, end = _whole(header[10:18]), _whole(header[18:26])
    if begin is None or end is None or not 58 <= begin < end or end - begin >= MOST_TEXT:
        raise _fault(
            name,
            f"{which}no place for TEXT in the HEADER",
            f"first and last byte of TEXT, from 58 on, at most {MOST_TEXT} bytes",
        )
    if base + end >= size:
        raise _fault(
            name,
            f"{which}TEXT up to byte {base + end} in a file of {size} bytes",
            "a file that holds all of it; it is cut short",
        )
    text = _segment(file, base + begin, end - begin + 1)
    words = _keywords(text)
    remarks: tuple[str, ...] = ()
    if not _has_channels(words):
        unescaped = _keywords(text, escapes=False)
        if _has_channels(unescaped):
            words, remarks = unescaped, ("TEXT holds empty values",)
    more = _whole(words.get("BEGINSTEXT", "0")) or 0, _whole(words.get("ENDSTEXT", "0")) or 0
    if 58 <= more[0] < more[1] < min(size - base, more[0] + MOST_TEXT) and more[0] != begin:
        supplement = _segment(file, base + more[0], more[1] - more[0] + 1)
        # Partec puts something else here; a supplement has the delimiter of TEXT (FCS 3.1, 3.4).
        if supplement[:1] == text[:1]:
            words = _keywords(supplement) | words
    data = _whole(header[26:34]) or 0, _whole(header[34:42]) or 0
    return _DataSet(number, base, version, data, words, remarks)


def _segment(file: BinaryIO, begin: int, length: int) -> str:
    """Text as UTF-8, or as Latin-1 where it is none."""
    file.seek(begin)
    content = file.read(length)
    try:
        return content.decode("utf-8")
    except UnicodeDecodeError:
        return content.decode("latin-1")


def _keywords(text: str, escapes: bool = True) -> dict[str, str]:
    """Pairs of keyword and value between delimiters; a doubled delimiter is one inside a value.

    >>> _keywords("/$PAR/2/$P1S/a//b/")
    {'PAR': '2', 'P1S': 'a/b'}
    """
    delimiter = text[0]
    if escapes:
        stand_in = "\uffff"
        parts = text[1:].replace(2 * delimiter, stand_in).split(delimiter)
        parts = [p.replace(stand_in, delimiter) for p in parts]
    else:
        parts = text[1:].split(delimiter)
    # What stands behind the last delimiter is padding: zip leaves it out.
    pairs = [(k.strip().upper(), v.strip()) for k, v in zip(parts[::2], parts[1::2], strict=False)]
    own = {k: v for k, v in pairs if not k.startswith("$")}
    return own | {k[1:]: v for k, v in pairs if k.startswith("$")}


def _has_channels(words: Mapping[str, str]) -> bool:
    """Whether TEXT names every channel; if not, it was cut at the wrong places."""
    n = _whole(words.get("PAR", ""))
    return n is not None and n <= MOST_CHANNELS and all(f"P{i}N" in words for i in range(1, n + 1))


def _whole(text: str) -> int | None:
    """Whole number of a keyword or of the HEADER; None: it is none."""
    text = text.strip()
    return int(text) if re.fullmatch(r"[0-9]{1,18}", text) else None


def _number(text: str) -> float | None:
    """Finite number of a keyword; None: it is none."""
    # float() also takes 1_000, which is no number of a cytometer.
    if not re.fullmatch(r"\s*[-+]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][-+]?[0-9]+)?\s*", text):
        return None
    value = float(text)
    return value if math.isfinite(value) else None


def _shown(text: str) -> str:
    """Show a value that should be a number or a letter; words may be a name that slipped into its place."""
    return "text" if re.search(r"[^\W\d_]{2}", text) else quote(text)


def _open(found: _DataSet, path: Path, size: int, name: str) -> FcsData:
    """Understand the keywords of a data set and find its DATA."""
    words = found.words
    problems: list[Problem] = []

    def fault(keyword: str, allowed: str) -> None:
        text = words.get(keyword)
        problems.append(
            Problem(name, "nothing" if text is None else _shown(text), allowed, column=f"${keyword}")
        )

    n_channels = _whole(words.get("PAR", ""))
    if n_channels is None or not 1 <= n_channels <= MOST_CHANNELS:
        fault("PAR", f"the number of channels, 1 to {MOST_CHANNELS}")
        n_channels = 0
    n_events = _whole(words.get("TOT", ""))
    # FCS 2.0 does without $TOT; the length of DATA tells it then.
    if n_events is None and ("TOT" in words or found.version != "FCS2.0"):
        fault("TOT", "the number of events")
    if words.get("MODE", "L").upper() != "L":
        fault("MODE", "L: a list of events; histograms can't be gated")
    if words.get("DATATYPE", "").upper() not in {"I", "F", "D"}:
        fault("DATATYPE", "I, F or D")
    order = _byte_order(words.get("BYTEORD", ""))
    if order is None:
        fault("BYTEORD", "1,2,3,4 or 4,3,2,1 (1,2 and 2,1 mean the same)")
    raise_if_any(problems)

    channels: list[Channel] = []
    columns: list[_Column] = []
    # Names end in tables, in the report, and in XML, which takes no control characters.
    written = [plain(words.get(f"P{i}N", "")) for i in range(1, n_channels + 1)]
    names = _unique(written)
    for i in range(1, n_channels + 1):
        if not words.get(f"P{i}N"):
            fault(f"P{i}N", "a channel name")
        datatype = words.get(f"P{i}DATATYPE", words["DATATYPE"]).upper()
        top = _number(words.get(f"P{i}R", ""))
        if top is None or top < 0 or (datatype == "I" and (top < 1 or top != int(top))):
            fault(f"P{i}R", "the top of the channel's scale, 0 or more (whole and above 0 in $DATATYPE I)")
            top = 1.0
        width = {"F": 32, "D": 64}.get(datatype) or _whole(words.get(f"P{i}B", ""))
        if datatype not in {"I", "F", "D"} or width not in {8, 16, 24, 32, 64}:
            fault(f"P{i}B", "8, 16, 24, 32 or 64 bits")
            width = 8
        columns.append(_column(datatype, width, top, order or "<"))
        decades = [_number(t) for t in (words.get(f"P{i}E") or "0,0").split(",")]
        if len(decades) != 2 or any(d is None or d < 0 for d in decades) or (decades[0] and not top):
            fault(f"P{i}E", "decades and lowest value, as 0,0 or 4,1")
            decades = [0.0, 0.0]
        gain = _number(words.get(f"P{i}G") or "1")
        if gain is None or gain < 0:
            fault(f"P{i}G", "a gain of 0 or more")
            gain = 1.0
        log, lowest = decades[0] or 0.0, decades[1] or 0.0
        channels.append(
            Channel(
                index=i - 1,
                name=names[i - 1],
                stain=words.get(f"P{i}S", ""),
                range=top,
                gain=1.0 if not gain or names[i - 1].lower() == "time" else gain,
                decades=log,
                offset=1.0 if log and not lowest else lowest,
            )
        )
    raise_if_any(problems[:MOST_PROBLEMS])

    row = np.dtype([(str(i), *_field(c)) for i, c in enumerate(columns)])
    offset, n_events, remarks = _place(found, row.itemsize, n_events, size, name)
    if twice := sorted({n for n in written if written.count(n) > 1}):
        remarks.append(f"channel names that stand twice got a number: {', '.join(map(quote, twice))}")
    if written != [words[f"P{i}N"] for i in range(1, n_channels + 1)]:
        remarks.append(
            "channel names with a calendar date, a control character, or very long ones were changed"
        )
    timestep = _positive(words, "TIMESTEP", remarks)
    volume = _positive(words, "VOL", remarks)
    return FcsData(
        version=found.version,
        data_set=found.number,
        channels=tuple(channels),
        n_events=n_events,
        read=_Reader(path, offset, row, n_events, tuple(columns), tuple(channels), timestep),
        spillover=_spillover(words, names, name),
        volume_ul=None if volume is None else volume / 1000,
        timestep=timestep,
        keywords=words,
        remarks=(*found.remarks, *remarks),
    )


def _byte_order(text: str) -> str | None:
    """Return numpy's sign for $BYTEORD; None for orders that no processor uses any more."""
    digits = [_whole(d) for d in text.split(",")]
    rising = list(range(1, len(digits) + 1))
    return "<" if digits == rising else ">" if digits == rising[::-1] else None


def _column(datatype: str, width: int, top: float, order: str) -> _Column:
    """Type and bit mask of a parameter; bits above the next power of 2 of $PnR don't count (FCS 3.1, 3.2.20.11)."""
    if datatype != "I":
        return _Column(f"{order}f{width // 8}", None)
    mask = (1 << (int(top) - 1).bit_length()) - 1
    return _Column(f"{order}u{width // 8}", mask if mask < 2**width - 1 else None)


def _field(column: _Column) -> tuple[str] | tuple[str, tuple[int]]:
    """Tell numpy the type of a field of a row."""
    return ("u1", (3,)) if column.kind.endswith("3") else (column.kind,)


def _unique(names: Sequence[str]) -> list[str]:
    """Give names that stand twice a number, so that each is unique.

    >>> _unique(["A", "A", "A_2"])
    ['A', 'A_3', 'A_2']
    """
    taken, done = set(names), []
    used: set[str] = set()
    number: dict[str, int] = {}
    for name in names:
        unique = name
        while unique in used or (unique != name and unique in taken):
            number[name] = number.get(name, 1) + 1
            unique = f"{name}_{number[name]}"
        used.add(unique)
        done.append(unique)
    return done


def _place(
    found: _DataSet, row: int, n_events: int | None, size: int, name: str
) -> tuple[int, int, list[str]]:
    """Find DATA: the place, of those that HEADER and TEXT name, that holds $TOT rows exactly.

    Returns the first byte, the number of events, and what was odd.
    """
    words = found.words
    said = {
        "TEXT": (_whole(words.get("BEGINDATA", "0")) or 0, _whole(words.get("ENDDATA", "0")) or 0),
        "HEADER": found.data,
    }
    # 0 in the HEADER stands for offsets that have no room there (FCS 3.1, section 3.1).
    places = {k: (a, b - a + 1) for k, (a, b) in said.items() if 58 <= a <= b}
    if n_events is None:
        n_events = next((length // row for _, length in places.values()), 0)
    need = n_events * row
    if not need and not places:
        return 0, 0, []
    exact = {begin for begin, length in places.values() if length == need}
    # Some writers name the byte behind the last one.
    late = {begin for begin, length in places.values() if length == need + 1}
    fits = exact or late
    if len(fits) != 1:
        spans = "; ".join(f"{k}: {n} bytes from byte {a}" for k, (a, n) in places.items())
        raise _fault(
            name,
            f"DATA ({spans or 'placed nowhere'})",
            f"{n_events} events of {row} bytes: {need} bytes, at one place; the file is damaged or cut short",
        )
    begin = next(iter(fits))
    if found.base + begin + need > size:
        held = max(0, (size - found.base - begin) // row)
        raise _fault(
            name,
            f"{held} of {n_events} events in a file of {size} bytes",
            "a file that holds all of them; it is cut short",
        )
    remarks = []
    if len(set(places.values())) > 1:
        remarks.append("HEADER and TEXT place DATA differently; the place that fits $TOT was read")
    if not exact:
        remarks.append("the last byte of DATA is named one too late")
    return found.base + begin, n_events, remarks


def _positive(words: Mapping[str, str], keyword: str, remarks: list[str]) -> float | None:
    """Read a keyword that may be missing; a value that can't be used is remarked on, and is None."""
    text = words.get(keyword, "")
    if not text:
        return None
    value = _number(text)
    if value is None or value <= 0:
        remarks.append(f"${keyword} is no number above 0 and was not used")
        return None
    return value


def _spillover(words: Mapping[str, str], names: Sequence[str], name: str) -> Spillover | None:
    """Read $SPILLOVER (FCS 3.1, 3.2.20.15: n, names, rows), SPILL as before 3.1, or $COMP (3.0: n, rows)."""
    keyword = next((k for k in ("SPILLOVER", "SPILL", "COMP") if words.get(k)), None)
    if keyword is None:
        return None
    parts = [p.strip() for p in words[keyword].split(",")]
    n = _whole(parts[0]) or 0
    of, numbers = [plain(p) for p in parts[1 : n + 1]], parts[n + 1 :]
    if keyword == "COMP" and n == len(names) and len(parts) == 1 + n * n:
        of, numbers = list(names), parts[1:]
    matrix = np.array([math.nan if (v := _number(p)) is None else v for p in numbers])
    if n < 1 or len(of) != n or len(set(of)) != n or len(matrix) != n * n or not np.isfinite(matrix).all():
        raise _fault(
            name,
            f"a matrix that begins with {_shown(parts[0])} and has {len(numbers)} numbers",
            "the number of channels n, n different channels, and n x n numbers",
            f"${keyword}",
        )
    # By number instead of by name, as some writers do.
    by_number = {str(i): channel for i, channel in enumerate(names, 1)}
    if not set(of) & set(names) and set(of) <= set(by_number):
        of = [by_number[c] for c in of]
    return Spillover(tuple(of), matrix.reshape(n, n))
