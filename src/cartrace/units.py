"""Units as laboratories use them, and the few conversions that are exact.

No conversion that needs a biological constant is silent: copies per microgram
and copies per cell are joined by the mass of a diploid genome, which a
laboratory may set differently, so they stay two courses.
"""

from __future__ import annotations

ALIASES: dict[str, str] = {
    "copies/ug": "copies/ug",
    "copies/ug dna": "copies/ug",
    "copies/ug gdna": "copies/ug",
    "copies/ul": "copies/uL",
    "cells/ul": "cells/uL",
    "/ul": "cells/uL",
    "percent": "%",
}
"""Other spellings, in lower case and with ``u`` for micro -> the spelling of cartrace."""

KNOWN: frozenset[str] = frozenset(
    {
        "copies/ug",
        "copies/cell",
        "copies/1000 cells",
        "copies/uL",
        "cells/uL",
        "%",
        "g/L",
        "mg/L",
        "mg/dL",
        "g/dL",
        "ug/mL",
        "ng/mL",
        "pg/mL",
        "U/mL",
        "nmol/L",
        "IU/mL",
        "RU/mL",
        "AU/mL",
        "U/L",
        "mIU/mL",
        "titre",
        "ratio",
        "index",
        "1e9/L",
        "points",
        "arbitrary",
    }
)

FACTORS: dict[tuple[str, str], float] = {
    ("copies/cell", "copies/1000 cells"): 1e3,
    ("g/L", "mg/dL"): 100.0,
    ("g/dL", "g/L"): 10.0,
    ("g/L", "mg/L"): 1e3,
    ("mg/L", "ug/mL"): 1.0,
    ("ug/mL", "ng/mL"): 1e3,
    ("ng/mL", "pg/mL"): 1e3,
    ("1e9/L", "cells/uL"): 1e3,
}
"""``value[to] = factor * value[from]``; exact, by definition of the prefixes."""


def canonical(unit: str) -> str:
    """Return the spelling that cartrace uses.

    Raises
    ------
    ValueError
        For a unit that is not known.
    """
    # The micro sign has two code points, and laboratories write both.
    text = " ".join(unit.split()).replace("µ", "u").replace("μ", "u")
    text = ALIASES.get(text.lower(), text)
    if text not in KNOWN:
        raise ValueError(f"unknown unit '{unit}'; known: {', '.join(sorted(KNOWN))}")
    return text


def factor(source: str, target: str) -> float:
    """Return the number that turns ``source`` into ``target``.

    Raises
    ------
    ValueError
        When no exact conversion exists.
    """
    if source == target:
        return 1.0
    # Breadth-first over the few exact steps: ug/mL -> pg/mL goes through ng/mL.
    reached = {source: 1.0}
    frontier = [source]
    while frontier:
        unit = frontier.pop(0)
        for (a, b), f in FACTORS.items():
            for near, far, step in ((a, b, f), (b, a, 1 / f)):
                if near == unit and far not in reached:
                    reached[far] = reached[unit] * step
                    frontier.append(far)
    if target not in reached:
        raise ValueError(f"no exact conversion from '{source}' to '{target}'")
    return reached[target]
