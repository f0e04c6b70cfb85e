"""End-point titres: intervals, readers, words, typed end points."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartrace.immunoassay.titres import (
    EndPoint,
    Titre,
    end_point,
    end_point_of_text,
    join_readings,
    titre_of,
)

SERIES = [10.0, 20.0, 40.0, 80.0, 160.0, 320.0]


def of_words(*rows: str, start: float = 10, step: float = 2, dilutions: list[float] | None = None) -> Titre:
    """Read rows of words over the two-fold series from 1 in 10; a row for each reader."""
    words = [w for row in rows for w in row.split()]
    where = dilutions or [d for row in rows for d in SERIES[: len(row.split())]]
    signal = np.full(len(words), np.nan)
    return titre_of(np.array(where), signal, words, start=start, step=step, cutoff=None)


def of_signals(signals: list[float], cutoff: float | None) -> Titre:
    values = np.array(signals)
    return titre_of(
        np.array(SERIES[: len(values)]), values, [""] * len(values), start=10, step=2, cutoff=cutoff
    )


def test_the_interval_goes_from_the_last_positive_to_the_first_negative_dilution() -> None:
    assert of_words("+ + + - - -") == Titre(40, 40, 80, 10, "quantified")


def test_nothing_positive_is_below_the_starting_dilution() -> None:
    found = of_words("- - -")
    assert (found.lower, found.upper, found.start, found.detection) == (0, 10, 10, "BLQ")
    assert math.isnan(found.value)
    assert found.flags == ()


def test_everything_positive_is_at_least_the_last_dilution() -> None:
    found = of_words("+ + + + + +")
    assert (found.lower, found.upper, found.detection) == (320, math.inf, "above_uloq")
    assert math.isnan(found.value)


def test_a_weakly_positive_well_is_positive() -> None:
    assert of_words("++ + (+) -").value == 40
    assert of_words("2+ pos Positive neg").value == 40


def test_a_borderline_well_is_two_readings() -> None:
    found = of_words("+ + +/- - -")
    assert found.value == pytest.approx(math.sqrt(20 * 40))
    assert (found.lower, found.upper) == (20, 80)
    assert found.flags == ("equivocal", "readings_differ")


def test_a_positive_dilution_beyond_a_negative_one_is_flagged_and_widens_the_interval() -> None:
    found = of_words("+ - + - -")
    assert (found.value, found.lower, found.upper) == (40, 10, 80)
    assert found.flags == ("not_monotone",)
    prozone = of_words("- + + -")
    assert (prozone.value, prozone.lower, prozone.upper) == (40, 0, 80)
    assert prozone.flags == ("not_monotone",)


def test_readers_that_agree_give_one_titre() -> None:
    assert of_words("+ + - -", "+ + - -") == Titre(20, 20, 40, 10, "quantified")


def test_readers_one_step_apart_give_an_interval_that_holds_both() -> None:
    found = of_words("+ + - -", "+ + + -")
    assert found.value == pytest.approx(28.284271)
    assert (found.lower, found.upper, found.flags) == (20, 80, ("readings_differ",))
    assert found.faults == ()


def test_one_reader_negative_and_one_at_the_start_is_below_the_next_dilution() -> None:
    found = of_words("- - -", "+ - -")
    assert (found.lower, found.upper, found.detection) == (0, 20, "BLQ")
    assert found.flags == ("readings_differ",)


def test_one_reader_above_the_range_leaves_it_open_upwards() -> None:
    found = of_words("+ + + -", "+ + + +")
    assert (found.lower, found.upper, found.detection) == (40, math.inf, "above_uloq")
    assert found.flags == ("readings_differ",)


def test_readers_further_apart_are_rejected() -> None:
    found = of_words("+ - - -", "+ + + -")
    assert found.faults == ("readings_disagree",)
    assert found.detection is None
    assert (found.lower, found.upper) == (10, 80)


def test_a_dilution_read_once_counts_for_both_readers() -> None:
    dilutions = [10.0, 20.0, 40.0, 80.0, 10.0, 20.0, 80.0]
    found = of_words("+ + + - + + -", dilutions=dilutions)
    assert (found.value, found.lower, found.upper) == (40, 40, 80)
    assert found.flags == ("series_uneven",)


def test_a_gap_in_the_series_is_flagged_and_widens_the_interval() -> None:
    found = of_words("+ + -", dilutions=[10.0, 20.0, 80.0])
    assert (found.value, found.lower, found.upper) == (20, 20, 80)
    assert found.flags == ("dilution_missing",)


def test_another_start_than_planned_is_flagged_and_counts() -> None:
    found = of_words("- -", dilutions=[20.0, 40.0])
    assert (found.upper, found.start, found.flags) == (20, 20, ("start_unexpected",))


def test_the_cutoff_itself_is_positive() -> None:
    found = of_signals([1.9, 0.8, 0.5, 0.3, 0.1], 0.5)
    assert (found.value, found.lower, found.upper) == (40, 40, 80)


def test_a_signal_without_a_cutoff_is_no_reading() -> None:
    assert of_signals([1.9, 0.8], None).faults == ("reading_missing",)
    assert of_signals([1.9, math.nan], 0.5).faults == ("reading_missing",)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1:40", EndPoint(40, 40, 80, 10)),
        ("1 : 40", EndPoint(40, 40, 80, 10)),
        ("40", EndPoint(40, 40, 80, 10)),
        ("<1:10", EndPoint(None, 0, 10, 10)),
        ("< 20", EndPoint(None, 0, 20, 20)),
        (">1:320", EndPoint(320, 320, math.inf, 10)),
        ("\u2265 320", EndPoint(320, 320, math.inf, 10)),
        ("1:50", EndPoint(50, 50, 100, 10, ("off_series",))),
        ("0", None),
        ("forty", None),
        ("1:40 or 1:80", None),
    ],
)
def test_end_points_that_were_typed_in(text: str, expected: EndPoint | None) -> None:
    assert end_point_of_text(text, 10, 2) == expected


def test_two_typed_end_points_are_two_readings() -> None:
    found = titre_of(
        np.array([np.nan, np.nan]),
        np.array([np.nan, np.nan]),
        ["1:40", "1:80"],
        start=10,
        step=2,
        cutoff=None,
    )
    assert found.value == pytest.approx(math.sqrt(40 * 80))
    assert (found.lower, found.upper) == (40, 160)


@pytest.mark.parametrize(
    ("words", "fault"),
    [
        (["maybe"], "reading_unknown"),
        (["+", "1:40"], "reading_unknown"),
        ([""], "reading_missing"),
        (["1:5"], "below_start"),
    ],
)
def test_what_can_t_be_read_is_no_titre(words: list[str], fault: str) -> None:
    n = len(words)
    found = titre_of(np.array(SERIES[:n]), np.full(n, np.nan), words, start=10, step=2, cutoff=None)
    assert found.faults == (fault,)
    assert found.detection is None
    assert math.isnan(found.value)


def test_a_word_without_a_dilution_is_no_titre() -> None:
    found = titre_of(np.array([np.nan]), np.array([np.nan]), ["+"], start=10, step=2, cutoff=None)
    assert found.faults == ("dilution_unknown",)


@pytest.mark.parametrize("dilutions", [[], [10, 10.001]])
def test_a_series_needs_dilutions_that_differ(dilutions: list[float]) -> None:
    with pytest.raises(ValueError, match="differ"):
        end_point(dilutions, [True] * len(dilutions))


positives = st.lists(st.booleans(), min_size=1, max_size=8)


@given(positives, st.randoms(use_true_random=False))
def test_the_order_of_the_wells_does_not_matter(positive: list[bool], random: object) -> None:
    dilutions = [10.0 * 2**i for i in range(len(positive))]
    pairs = list(zip(dilutions, positive, strict=True))
    random.shuffle(pairs)  # type: ignore[attr-defined]
    assert end_point(*map(list, zip(*pairs, strict=True))) == end_point(dilutions, positive)  # type: ignore[arg-type]


@given(positives)
def test_the_interval_holds_the_end_point_and_its_flag_says_where_it_is_wide(positive: list[bool]) -> None:
    found = end_point([10.0 * 2**i for i in range(len(positive))], positive)
    assert 0 <= found.lower < found.upper
    falling = sorted(positive, reverse=True) == positive
    assert (found.flags == ()) == falling
    if found.last is not None:
        assert found.lower <= found.last < found.upper


@given(st.integers(0, 6), st.integers(0, 6))
def test_joined_readings_hold_every_reading(a: int, b: int) -> None:
    made = [end_point(SERIES, [i < n for i in range(6)]) for n in (a, b)]
    found = join_readings(made, 2)
    assert found == join_readings(made[::-1], 2)
    assert all(found.lower <= r.lower and r.upper <= found.upper for r in made)
    assert (found.faults == ("readings_disagree",)) == (abs(a - b) > 1)
    assert ("readings_differ" in found.flags) == (abs(a - b) == 1)
