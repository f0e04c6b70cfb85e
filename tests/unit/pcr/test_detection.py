"""Detected, quantified, or neither: copies per reaction against the limits."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.pcr.plate_samples import assay, sample, table

from cartrace.pcr.detection import ReactionLimits, detect, limits_per_reaction, with_standards
from cartrace.pcr.limits import Limits

NAN = float("nan")


def limits(lob: float = NAN, lod: float = NAN, lloq: float = NAN, uloq: float = NAN) -> ReactionLimits:
    numbers = [np.array([x]) for x in (lob, lod, lloq, uloq)]
    return ReactionLimits(*numbers, reasons=np.array([""], dtype=object))


def judged(
    copies: float, known: ReactionLimits, *, upper: float = NAN, above: bool = False
) -> tuple[str, str, float | None, float | None]:
    found = detect(np.array([copies]), np.array([upper]), known, np.array([above]))
    ends = [None if np.isnan(x[0]) else float(x[0]) for x in (found.lower, found.upper)]
    return found.detection[0], found.censoring[0], ends[0], ends[1]


@pytest.mark.parametrize(
    ("copies", "expected"),
    [
        (0.0, ("BLD", "left", 0, 3)),
        (1.0, ("BLD", "left", 0, 3)),
        (2.99, ("BLD", "left", 0, 3)),
        (3.0, ("BLQ", "left", 3, 10)),
        (9.99, ("BLQ", "left", 3, 10)),
        (10.0, ("quantified", "none", 10, 10)),
        (1000.0, ("quantified", "none", 1000, 1000)),
        (1000.1, ("above_uloq", "right", 1000, None)),
    ],
)
def test_each_limit_begins_where_it_says(copies: float, expected: tuple[Any, ...]) -> None:
    assert judged(copies, limits(lob=1.0, lod=3.0, lloq=10.0, uloq=1000.0)) == expected


def test_a_result_must_lie_above_the_limit_of_blank() -> None:
    assert judged(2.0, limits(lob=2.0)) == ("BLD", "left", 0, 2)
    assert judged(2.0, limits(lob=2.0), upper=5.0) == ("BLD", "left", 0, 5)
    assert judged(2.1, limits(lob=2.0)) == ("quantified", "none", 2.1, 2.1)


def test_nothing_found_without_limits_is_bounded_by_the_reaction_or_open() -> None:
    assert judged(0.0, limits(), upper=3.7) == ("BLD", "left", 0, 3.7)
    assert judged(0.0, limits()) == ("BLD", "left", 0, None)
    assert judged(0.4, limits()) == ("quantified", "none", 0.4, 0.4)


def test_without_a_limit_of_detection_nothing_found_lies_below_the_limit_of_quantification() -> None:
    assert judged(0.0, limits(lloq=10.0), upper=30.0) == ("BLD", "left", 0, 10)
    assert judged(4.0, limits(lloq=10.0)) == ("BLQ", "left", 0, 10)


def test_no_copies_no_judgement() -> None:
    assert judged(NAN, limits(lod=3.0)) == (None, None, None, None)


def test_above_the_standards_is_at_least_the_highest_one() -> None:
    known = with_standards(limits(uloq=5e6), np.array([10.0]), np.array([1e6]), np.array([True]))
    assert judged(2e6, known, above=True) == ("above_uloq", "right", 1e6, None)
    assert judged(2e6, limits(), above=True) == ("above_uloq", "right", None, None)


def test_the_standards_are_the_limits_where_the_assay_has_none() -> None:
    known = with_standards(limits(lod=3.0), np.array([10.0]), np.array([1e6]), np.array([False]))
    assert judged(5.0, known) == ("BLQ", "left", 3, 10)
    assert judged(1.1e6, known) == ("above_uloq", "right", 1e6, None)
    # A validated limit below the lowest standard holds; a LOD above it moves the LLOQ up.
    low = with_standards(limits(lod=1.0, lloq=4.0), np.array([10.0]), np.array([1e6]), np.array([False]))
    assert judged(5.0, low) == ("quantified", "none", 5, 5)
    high = with_standards(limits(lod=20.0), np.array([10.0]), np.array([NAN]), np.array([False]))
    assert high.lloq.tolist() == [20]
    digital = with_standards(limits(lod=3.0), np.array([NAN]), np.array([NAN]), np.array([False]))
    assert np.isnan(digital.lloq).all()


def test_limits_in_copies_per_microgram_follow_the_mass_in_the_reaction() -> None:
    # 200 ng are 0.2 ug: 10 copies/ug are 2 copies, 50 are 10; the limit of blank is per reaction as it is.
    of = assay(limits={"unit": "copies/ug", "lob": 1, "lod": 10, "lloq": 50, "uloq": 1e6})
    found = limits_per_reaction(table(sample(dna_ng=200.0), sample("S2")), {"p1": of}, {})
    assert [x[0] for x in (found.lob, found.lod, found.lloq, found.uloq)] == [1, 2, 10, 200_000]
    assert found.lob[1] == 1
    assert np.isnan([found.lod[1], found.lloq[1]]).all()
    assert found.reasons.tolist() == [
        "",
        "limits in copies/ug need the mass of DNA in the reaction, which is not known",
    ]


def test_limits_in_copies_per_reaction_don_t_ask_for_the_mass() -> None:
    of = assay(limits={"lod": 3, "lloq": 10})
    found = limits_per_reaction(table(sample(), sample(dna_ng=50.0)), {"p1": of}, {})
    assert found.lod.tolist() == [3, 3]
    assert found.reasons.tolist() == ["", ""]


def test_estimated_limits_are_taken_by_their_name() -> None:
    of = assay(limits={"estimated": "car", "unit": "copies/ug"})
    estimate = Limits(target="CAR", lob=0.5, lod=2.5, lloq=8.0)
    found = limits_per_reaction(table(sample(dna_ng=200.0)), {"p1": of}, {"car": estimate})
    assert [x[0] for x in (found.lob, found.lod, found.lloq)] == [0.5, 2.5, 8]
    nothing = limits_per_reaction(table(sample()), {"p1": of}, {"car": Limits(target="CAR")})
    assert nothing.reasons.tolist() == ["the estimate 'car' gives neither LOD nor LLOQ"]


def test_an_assay_without_limits_says_so() -> None:
    found = limits_per_reaction(table(sample()), {"p1": assay()}, {})
    assert found.reasons.tolist() == ["the assay file gives neither lod nor lloq"]


number = st.one_of(st.just(NAN), st.floats(0.1, 1e6))


@given(
    copies=st.floats(0, 1e7),
    upper=number,
    numbers=st.lists(number, min_size=4, max_size=4),
    above=st.booleans(),
)
def test_the_bounds_are_in_order_and_hold_what_was_measured_or_the_limit(
    copies: float, upper: float, numbers: list[float], above: bool
) -> None:
    lob = numbers[0]
    lod, lloq, uloq = sorted(numbers[1:], key=lambda x: (np.isnan(x), x))
    word, censoring, low, high = judged(copies, limits(lob, lod, lloq, uloq), upper=upper, above=above)
    assert word in {"BLD", "BLQ", "quantified", "above_uloq"}
    assert (censoring == "none") == (word == "quantified")
    if low is not None and high is not None:
        assert low <= high
    if word == "quantified":
        assert low == high == copies > 0
    if word == "BLQ":
        assert low is not None
        assert high is not None
        assert low <= copies < high
