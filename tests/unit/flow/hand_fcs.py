"""FCS files written by hand: plain enough to be read beside the standard, and wrong where a test wants it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

BITS = {"F": 32, "D": 64, "I": 16}
"""$PnB when a test does not say."""


def _column(values: np.ndarray, datatype: str, bits: int, big: bool) -> np.ndarray:
    """Bytes of one parameter, (n, bits / 8)."""
    kind = {"F": "f4", "D": "f8"}.get(datatype, "u8")
    whole = np.round(values).astype("u8") if datatype == "I" else values.astype(kind)
    little = np.ascontiguousarray(whole.astype(f"<{kind}")).view("u1").reshape(len(values), int(kind[1]))
    little = little[:, : bits // 8]
    return little[:, ::-1] if big else little


def fcs_bytes(
    names: Sequence[str],
    events: ArrayLike,
    *,
    stains: Sequence[str] | None = None,
    version: str = "FCS3.1",
    datatype: str = "F",
    byteord: str = "1,2,3,4",
    bits: Sequence[int] | None = None,
    ranges: Sequence[float] | None = None,
    decades: Mapping[str, str] | None = None,
    gains: Mapping[str, float] | None = None,
    timestep: float | None = None,
    volume_nl: float | None = None,
    spillover: tuple[Sequence[str], ArrayLike] | None = None,
    extra: Mapping[str, str | None] | None = None,
    header: Mapping[str, int | str] | None = None,
    delimiter: str = "/",
    more: bool = False,
    crc: bytes = b"00000000",
) -> bytes:
    """One data set.

    Parameters
    ----------
    events : (n, channels) raw values, as they are to lie in DATA.
    decades, gains : channel name -> $PnE (as "4,1") or $PnG.
    spillover : names and matrix; $SPILLOVER in FCS 3.1, SPILL before.
    extra : further keywords with their $; replaces what is written otherwise, None leaves it out.
    header : text_start, text_stop, data_start, data_stop as the HEADER is to say them.
    more : another data set follows: $NEXTDATA is the length of this one.
    """
    values = np.asarray(events, dtype=np.float64).reshape(-1, len(names))
    widths = list(bits or [BITS[datatype]] * len(names))
    tops = list(ranges or [262144 if datatype != "I" else 2**b for b in widths])
    big = byteord.startswith(("4", "2"))
    columns = [_column(values[:, i], datatype, b, big) for i, b in enumerate(widths)]
    data = np.hstack(columns).tobytes() if len(values) else b""

    words: dict[str, str | None] = {
        "$MODE": "L",
        "$DATATYPE": datatype,
        "$BYTEORD": byteord,
        "$PAR": str(len(names)),
        "$TOT": str(len(values)),
    }
    for i, name in enumerate(names, 1):
        words[f"$P{i}N"] = name
        words[f"$P{i}B"] = str(widths[i - 1])
        words[f"$P{i}R"] = f"{tops[i - 1]:.17g}"
        words[f"$P{i}E"] = (decades or {}).get(name, "0,0")
        if stains and stains[i - 1]:
            words[f"$P{i}S"] = stains[i - 1]
        if gains and name in gains:
            words[f"$P{i}G"] = repr(gains[name])
    if timestep is not None:
        words["$TIMESTEP"] = repr(timestep)
    if volume_nl is not None:
        words["$VOL"] = repr(volume_nl)
    if spillover is not None:
        of, matrix = spillover
        numbers = [repr(float(v)) for v in np.asarray(matrix, dtype=np.float64).ravel()]
        words["$SPILLOVER" if version == "FCS3.1" else "SPILL"] = ",".join([str(len(of)), *of, *numbers])
    # Offsets are written with a fixed width, so that TEXT has its length before they are known.
    offsets = ["$NEXTDATA"] if version == "FCS2.0" else ["$NEXTDATA", "$BEGINDATA", "$ENDDATA"]
    words |= dict.fromkeys(offsets, "0" * 12)
    if version != "FCS2.0":
        words |= dict.fromkeys(("$BEGINANALYSIS", "$ENDANALYSIS", "$BEGINSTEXT", "$ENDSTEXT"), "0")
    words |= dict(extra or {})

    def text() -> bytes:
        pairs = [(k, v) for k, v in words.items() if v is not None]
        escaped = [part.replace(delimiter, 2 * delimiter) for pair in pairs for part in pair]
        return (delimiter + delimiter.join(escaped) + delimiter).encode()

    text_start = 58
    data_start = text_start + len(text())
    data_stop = data_start + len(data) - 1 if data else 0
    known = {"$NEXTDATA": 0, "$BEGINDATA": data_start if data else 0, "$ENDDATA": data_stop}
    if more:
        known["$NEXTDATA"] = data_start + len(data) + len(crc)
    for key in offsets:
        if key not in (extra or {}):
            words[key] = f"{known[key]:012d}"

    place: dict[str, int | str] = {
        "text_start": text_start,
        "text_stop": data_start - 1,
        "data_start": data_start if data else 0,
        "data_stop": data_stop,
    }
    place |= dict(header or {})
    fields = "".join(f"{place[k]:>8}" for k in ("text_start", "text_stop", "data_start", "data_stop"))
    return f"{version}    {fields}{0:>8}{0:>8}".encode() + text() + data + crc


def write_fcs(path: Path, names: Sequence[str], events: ArrayLike, **how: object) -> Path:
    """Write one data set (:func:`fcs_bytes`) as a file and return its path."""
    path.write_bytes(fcs_bytes(names, events, **how))  # type: ignore[arg-type]
    return path
