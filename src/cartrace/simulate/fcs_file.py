"""Write an FCS 3.1 file as a cytometer's software does.

Floats, low byte first; keywords with the date of the run, the operator, the patient and
the serial number of the cytometer, none of which may leave intake. Layout: FCS 3.1
(Spidlen 2010, doi 10.1002/cyto.a.20825).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

DELIMITER = "\x0c"
HEADER_BYTES = 58
OFFSET_WIDTH = 12
"""Offsets have a fixed width, so that writing them moves nothing."""
HEADER_LIMIT = 99_999_999
"""Offsets above it do not fit the header and stand in TEXT alone (FCS 3.1, section 3.1)."""


def fcs_bytes(
    names: Sequence[str],
    stains: Sequence[str],
    events: npt.NDArray[np.float32],
    *,
    top: int,
    spillover: tuple[Sequence[str], npt.NDArray[np.float64]],
    keywords: Mapping[str, str],
) -> bytes:
    """Return the content of a file with one data set.

    Parameters
    ----------
    names, stains
        $PnN and $PnS of each channel; an empty stain is left out.
    events
        (n events, n channels).
    top
        $PnR of all channels.
    spillover
        Channels and (n, n) matrix of $SPILLOVER.
    keywords
        Further keywords, with their $ where they have one.

    Raises
    ------
    ValueError
        When a keyword or its value is empty or holds the delimiter.
    """
    channels, matrix = spillover
    numbers = ",".join(f"{v:g}" for v in matrix.ravel())
    text = {
        "$BEGINANALYSIS": "0",
        "$ENDANALYSIS": "0",
        "$BEGINSTEXT": "0",
        "$ENDSTEXT": "0",
        "$BEGINDATA": "0" * OFFSET_WIDTH,
        "$ENDDATA": "0" * OFFSET_WIDTH,
        "$BYTEORD": "1,2,3,4",
        "$DATATYPE": "F",
        "$MODE": "L",
        "$NEXTDATA": "0",
        "$PAR": str(len(names)),
        "$TOT": str(len(events)),
        "$SPILLOVER": f"{len(channels)},{','.join(channels)},{numbers}",
    }
    for n, (name, stain) in enumerate(zip(names, stains, strict=True), 1):
        text |= {f"$P{n}B": "32", f"$P{n}E": "0,0", f"$P{n}N": name, f"$P{n}R": str(top)}
        text |= {f"$P{n}S": stain} if stain else {}
    text |= keywords
    for word in (*text.keys(), *text.values()):
        if not word or DELIMITER in word:
            raise ValueError(f"a keyword of an FCS file can't be {word!r}")
    begin = HEADER_BYTES + len(_text(text))
    end = begin + events.size * 4 - 1
    text |= {"$BEGINDATA": f"{begin:0{OFFSET_WIDTH}d}", "$ENDDATA": f"{end:0{OFFSET_WIDTH}d}"}
    data = (begin, end) if end <= HEADER_LIMIT else (0, 0)
    offsets = (HEADER_BYTES, begin - 1, *data, 0, 0)
    header = "FCS3.1    " + "".join(f"{offset:8d}" for offset in offsets)
    return header.encode("ascii") + _text(text) + events.astype("<f4").tobytes()


def _text(keywords: Mapping[str, str]) -> bytes:
    words = [word for pair in keywords.items() for word in pair]
    return f"{DELIMITER}{DELIMITER.join(words)}{DELIMITER}".encode()
