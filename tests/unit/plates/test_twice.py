"""One run under two names."""

from __future__ import annotations

import pandas as pd

from cartrace.plates.twice import read_twice

WELLS = pd.DataFrame({"well": ["A01", "A02", "A03"], "cq": [20.1, 21.2, None]}).astype({"well": "string"})


def test_the_same_readings_in_another_order_are_told_of_each_later_plate() -> None:
    told = list(read_twice([("p1", "qpcr", WELLS), ("p2", "qpcr", WELLS[::-1]), ("p3", "qpcr", WELLS)], 3))
    assert [(t["source_file"], t["value"], t["check"]) for t in told] == [
        ("p2", "p1", "plate_twice"),
        ("p3", "p1", "plate_twice"),
    ]
    assert str(told[0]["message"]).startswith("All 3 readings of p2 are those of p1")


def test_another_assay_another_reading_or_too_few_are_no_such_plate() -> None:
    other = WELLS.assign(cq=[20.1, 21.3, None])
    assert not list(read_twice([("p1", "qpcr", WELLS), ("p2", "ddpcr", WELLS), ("p3", "qpcr", other)], 3))
    assert not list(read_twice([("p1", "qpcr", WELLS), ("p2", "qpcr", WELLS)], 4))
