"""Episodes, duration and reconstitution."""

from __future__ import annotations

import numpy as np
import pytest

from cartrace.depletion.episodes import find_episodes


def walk(states, confirm_low=1, confirm_high=1):
    """Walk one course written as letters, one a day: l(ow), h(igh), - (undecided)."""
    time = np.arange(len(states), dtype=float)[None, :]
    letters = np.array(list(states))[None, :]
    return find_episodes(time, letters == "l", letters == "h", confirm_low, confirm_high)


def spans(found):
    columns = (found.start_lower, found.start_upper, found.end_lower, found.end_upper)
    return [tuple(None if np.isnan(x) else int(x) for x in row) for row in zip(*columns, strict=True)]


@pytest.mark.parametrize(
    ("states", "confirm", "expected"),
    [
        ("hllh", (1, 1), [(0, 1, 2, 3)]),
        ("hllhlh", (1, 1), [(0, 1, 2, 3), (3, 4, 4, 5)]),
        ("hllhlhh", (1, 2), [(0, 1, 4, 5)]),
        ("hllhh", (1, 2), [(0, 1, 2, 3)]),
        ("hllh", (1, 2), [(0, 1, 2, None)]),
        ("hlhllh", (2, 1), [(2, 3, 4, 5)]),
        ("hl-lh", (1, 1), [(0, 1, 3, 4)]),
        ("hll-h-h", (1, 2), [(0, 1, 2, 4)]),
        ("h-lhh", (1, 2), [(0, 2, 2, 3)]),
        ("llhh", (1, 2), [(None, 0, 1, 2)]),
        ("hhhh", (1, 1), []),
        ("----", (1, 1), []),
        ("hlh", (2, 1), []),
        ("hlhllh", (1, 1), [(0, 1, 1, 2), (2, 3, 4, 5)]),
    ],
)
def test_a_walk_finds_the_episodes(states, confirm, expected):
    assert spans(walk(states, *confirm)) == expected


def test_a_change_that_is_not_confirmed_is_pending():
    assert walk("hlllh", 1, 2).pending[0] == 4
    assert walk("hhl", 2, 1).pending[0] == 2
    assert np.isnan(walk("hlllhh", 1, 2).pending[0])


def test_recovery_as_the_first_of_three_consecutive_values_at_or_above_half():
    """CIBMTR's neutrophil recovery: the first of 3 consecutive values >= 0.5 on different days."""
    days = np.array([[5.0, 9, 12, 14, 15, 16, 20, 21, 22, 23, 30]])
    count = np.array([[0.1, 0.0, 0.6, 0.7, 0.4, 0.5, 0.9, 0.3, 0.5, 0.6, 1.2]])
    found = find_episodes(days, count < 0.5, count >= 0.5, 1, 3)
    assert (found.end_lower[0], found.end_upper[0]) == (21, 22)


def test_duration_and_end_of_an_episode_are_intervals(deplete):
    m = deplete((-6, 200), (7, 2), (28, 0), (84, 10), (120, 60), (180, 120))
    assert m.spans == [(-6, 7, 84, 120)]
    assert m.episodes.loc[0, "status"] == "closed"
    assert m.episodes.loc[0, "n_points"] == 3
    assert m.episodes.loc[0, "definition"] == (
        "below 20 cells/uL; onset by 1 result, end by 2 consecutive results"
    )
    assert m.bounds("time_to_depletion") == ("interval_censored", 0, 7)
    assert m["time_to_depletion"]["reason"] == "depleted between day -6 and day 7"
    # At least from day 7 to day 84, at most from day -6 to day 120.
    assert m.bounds("depletion_duration") == ("interval_censored", 77, 126)
    assert m.bounds("time_to_reconstitution_threshold") == ("interval_censored", 84, 120)
    assert m["n_depletion_episodes"]["value"] == 1


def test_the_three_reconstitutions_differ(deplete):
    m = deplete((-6, 200), (7, 2), (84, 10), (120, 60), (180, 120), (270, 150), (365, 220), (400, 230))
    assert m.bounds("time_to_reconstitution_threshold") == ("interval_censored", 84, 120)
    assert m.bounds("time_to_reconstitution_normal") == ("interval_censored", 120, 180)
    assert m.bounds("time_to_reconstitution_baseline") == ("interval_censored", 270, 365)
    half = {"baseline_fraction": 0.5}
    m = deplete((-6, 200), (7, 2), (84, 10), (120, 60), (180, 120), (270, 150), settings=half)
    assert m.bounds("time_to_reconstitution_baseline") == ("interval_censored", 120, 180)
    assert m["time_to_reconstitution_baseline"]["method"].endswith("back to 0.5 of the baseline")


def test_a_depletion_that_never_ends_is_right_censored_at_the_last_result(deplete):
    m = deplete((-6, 200), (7, 2), (84, 10), (365, 4))
    assert m.spans == [(-6, 7, 365, None)]
    assert m.episodes.loc[0, "status"] == "open"
    status, lower, upper = m.bounds("depletion_duration")
    assert (status, lower) == ("right_censored", 358)
    assert np.isnan(upper)
    for name in ("threshold", "baseline", "normal"):
        assert m.bounds(f"time_to_reconstitution_{name}")[:2] == ("right_censored", 365)
    assert m["depletion_duration"]["reason"] == "still depleted at the last result, day 365"
    assert m["time_to_reconstitution_normal"]["reason"] == (
        "still below the lower limit of normal at the last result, day 365"
    )


def test_a_last_result_above_does_not_confirm_an_end(deplete):
    m = deplete((-6, 200), (7, 2), (84, 10), (120, 60))
    assert m.spans == [(-6, 7, 84, None)]
    assert m.bounds("depletion_duration")[:2] == ("right_censored", 77)
    assert m["depletion_duration"]["reason"] == (
        "not confirmed: no longer depleted on day 120, but too few results follow"
    )
    once = deplete((-6, 200), (7, 2), (84, 10), (120, 60), settings={"confirm_end": 1})
    assert once.spans == [(-6, 7, 84, 120)]


def test_a_flicker_does_not_end_an_episode(deplete):
    m = deplete((-6, 200), (7, 2), (28, 25), (56, 3), (84, 30), (120, 60))
    assert m.spans == [(-6, 7, 56, 84)]
    assert m["n_depletion_episodes"]["value"] == 1


def test_a_rebound_and_a_second_fall_are_two_episodes(deplete):
    m = deplete((-6, 200), (7, 2), (56, 30), (84, 60), (120, 5), (180, 8), (270, 90), (365, 99))
    assert m.spans == [(-6, 7, 7, 56), (84, 120, 180, 270)]
    assert list(m.episodes["episode"]) == [1, 2]
    assert list(m.episodes["n_points"]) == [1, 2]
    assert m["n_depletion_episodes"]["value"] == 2
    assert m.bounds("depletion_duration") == ("interval_censored", 0, 62)
    assert m["depletion_duration"]["reason"] == "ended between day 7 and day 56; depleted again later"


def test_the_edge_itself_is_not_depleted(deplete):
    assert deplete((-6, 200), (7, 20), (28, 20)).spans == []
    assert deplete((-6, 200), (7, 19.99), (28, 20), (56, 20)).spans == [(-6, 7, 7, 28)]


def test_never_depleted_has_no_duration_and_a_censored_onset(deplete):
    m = deplete((-6, 200), (7, 90), (28, 60))
    assert m.spans == []
    assert m["n_depletion_episodes"]["value"] == 0
    assert m.bounds("time_to_depletion")[:2] == ("right_censored", 28)
    assert m["time_to_depletion"]["reason"] == "not depleted up to day 28"
    for name in (
        "depletion_duration",
        "time_to_reconstitution_threshold",
        "time_to_reconstitution_baseline",
        "time_to_reconstitution_normal",
    ):
        assert m[name]["status"] == "not_estimable"
        assert m[name]["reason"] == "never depleted"


def test_an_onset_that_is_not_confirmed_is_no_depletion(deplete):
    m = deplete((-6, 200), (7, 90), (28, 5), settings={"confirm_onset": 2})
    assert m.spans == []
    assert m.bounds("time_to_depletion")[:2] == ("right_censored", 7)
    assert m["time_to_depletion"]["reason"].startswith("not confirmed: depleted from day 28")
    assert m["depletion_duration"]["reason"] == "depletion not confirmed"


def test_a_baseline_below_the_threshold_leaves_the_start_open(deplete):
    m = deplete((-6, 5), (7, 0), (84, 30), (120, 150), (180, 160))
    assert m.spans == [(None, -6, 7, 84)]
    for name in ("time_to_depletion", "depletion_duration", "time_to_reconstitution_baseline"):
        assert m[name]["status"] == "not_estimable"
        assert m[name]["reason"] == "already depleted at the baseline, day -6"
    # Counted from the infusion, the end is known.
    assert m.bounds("time_to_reconstitution_threshold") == ("interval_censored", 7, 84)
    assert m.bounds("time_to_reconstitution_normal") == ("interval_censored", 84, 120)
    assert m["time_to_reconstitution_normal"]["reason"] == (
        "between day 84 and day 120; below it at the baseline already"
    )


def test_without_a_baseline_the_onset_lies_before_the_first_result(deplete):
    m = deplete((7, 2), (28, 3), (84, 30), (120, 60))
    assert m.spans == [(None, 7, 28, 84)]
    status, lower, upper = m.bounds("time_to_depletion")
    assert (status, upper) == ("left_censored", 7)
    assert np.isnan(lower)
    assert m.bounds("depletion_duration")[:2] == ("right_censored", 21)
    assert m["depletion_duration"]["reason"] == "the start is not known: depleted from the first result on"
    assert m["time_to_reconstitution_baseline"]["reason"] == "no baseline to return to"
    assert m.bounds("time_to_reconstitution_threshold") == ("interval_censored", 28, 84)


def test_lymphodepletion_can_deplete_before_the_infusion(deplete):
    m = deplete((-6, 200), (-1, 10), (7, 2), (84, 30), (120, 60))
    assert m.spans == [(-6, -1, 7, 84)]
    assert m.bounds("time_to_depletion")[0] == "left_censored"
    assert m["time_to_depletion"]["upper"] == 0
    assert m["time_to_depletion"]["reason"] == "depleted before the infusion, between day -6 and day -1"
    assert m.bounds("depletion_duration") == ("interval_censored", 8, 90)


def test_a_depletion_that_was_over_before_the_infusion_is_not_the_products(deplete):
    m = deplete((-6, 200), (-4, 10), (-2, 40), (0, 50), (7, 60), settings={"confirm_end": 1})
    assert m.spans == []
    assert m["n_depletion_episodes"]["value"] == 0
    assert m["depletion_duration"]["reason"] == "never depleted"


def test_a_return_is_looked_for_only_after_depletion_began(deplete):
    m = deplete((-6, 50), (3, 120), (5, 130), (7, 2), (84, 110), (120, 105))
    assert m.bounds("time_to_reconstitution_normal") == ("interval_censored", 7, 84)


def test_a_result_whose_limit_lies_above_the_threshold_is_undecided(deplete):
    m = deplete((-6, 200), (7, "<50"), (28, 5), (56, "<50"), (84, 30), (120, 60))
    # Passed over, as if nobody had looked: the start is later, the end is wider.
    assert m.spans == [(-6, 28, 28, 84)]
    assert m["depletion_duration"]["reason"] == (
        "ended between day 28 and day 84; 2 undecided: bounds on both sides of the threshold"
    )
    assert m["depleted_at_M1"]["value"] == 1


def test_a_result_below_a_low_limit_is_depleted(deplete):
    assert deplete((-6, 200), (7, "<20"), (28, 30), (56, 40)).spans == [(-6, 7, 7, 28)]
    assert deplete((-6, 200), (7, "BLD 5"), (28, 30), (56, 40)).spans == [(-6, 7, 7, 28)]


def test_only_undecided_results_leave_the_state_unknown(deplete):
    m = deplete((-6, 200), (7, "<50"), (28, "BLD"))
    for name in ("n_depletion_episodes", "time_to_depletion", "depletion_duration", "depleted_at_M1"):
        assert m[name]["status"] == "not_estimable"
        assert m[name]["reason"].startswith("the state is unknown after the infusion; 2 undecided")


def test_no_episode_for_certain_is_not_none(deplete):
    m = deplete((-6, 200), (7, "<50"), (28, 60))
    assert m.bounds("n_depletion_episodes")[:2] == ("right_censored", 0)
    assert m["depletion_duration"]["reason"].startswith("never depleted for certain; 1 undecided")


def test_landmarks_are_answered_by_the_nearest_decided_result(deplete):
    m = deplete((-6, 200), (25, 5), (28, "<50"), (35, 30), (80, 30), (95, 60))
    assert m["depleted_at_M1"]["value"] == 1
    assert m["depleted_at_M1"]["window_start"] == 25
    assert m["depleted_at_M3"]["value"] == 0
    assert m["depleted_at_M6"]["reason"].startswith("not assessable: no result within day 180 +/- 30")
    undecided = deplete((-6, 200), (7, 5), (28, "<50"))["depleted_at_M1"]
    assert undecided["reason"].startswith("not assessable: every result within day 28 +/- 7 is undecided")


def test_a_second_infusion_ends_the_course_and_brings_its_own_baseline(measurements, infusions):
    import pandas as pd

    from cartrace.config import Depletion
    from cartrace.depletion.course import compute_depletion

    first = measurements((-6, 200), (7, 2), (90, 60), (94, 80), (97, 9))
    second = measurements((7, 1), (60, 30), (90, 50), infusion=2)
    second["study_day"] += 100
    given = infusions(0, 100)
    found = compute_depletion(pd.concat([first, second], ignore_index=True), given, None, Depletion())
    m1, m2 = (g.set_index("metric") for _, g in found.metrics.groupby("infusion"))
    # Day 97 of the first course lies after the second lymphodepletion (day 95).
    assert m1.loc["time_to_reconstitution_threshold", "upper"] == 90
    assert m1.loc["n_depletion_episodes", "value"] == 1
    assert m2.loc["baseline", "value"] == 80
    assert m2.loc["baseline", "window_start"] == -6
    assert m2.loc["baseline", "method"].endswith("measured after the previous infusion")
    assert list(found.episodes["infusion"]) == [1, 2]
    # Day 97 is day -3 of the second course: depleted by its lymphodepletion.
    assert found.episodes.loc[1, "start_upper"] == -3


def test_an_episode_that_is_open_at_the_next_infusion_is_censored_there(measurements, infusions):
    import pandas as pd

    from cartrace.config import Depletion
    from cartrace.depletion.course import compute_depletion

    first = measurements((-6, 200), (7, 2), (90, 5))
    second = measurements((7, 1), (60, 30), (90, 50), infusion=2)
    second["study_day"] += 100
    found = compute_depletion(
        pd.concat([first, second], ignore_index=True), infusions(0, 100), None, Depletion()
    )
    m1, m2 = (g.set_index("metric") for _, g in found.metrics.groupby("infusion"))
    assert m1.loc["depletion_duration", "status"] == "right_censored"
    assert m1.loc["depletion_duration", "lower"] == 83
    assert m1.loc["depletion_duration", "reason"] == (
        "still depleted at the last result, day 90; the next infusion came on day 100"
    )
    assert m2.loc["depletion_duration", "reason"] == "already depleted at the baseline, day -10"
    assert m2.loc["time_to_reconstitution_threshold", "upper"] == 60


def two_courses(first, second, *, measurements, given):
    """Compute the courses of two infusions; the second one counts its days from its own."""
    import pandas as pd

    from cartrace.config import Depletion
    from cartrace.depletion.course import compute_depletion

    later = measurements(*second, infusion=2)
    later["study_day"] += given["study_day"].iloc[1]
    table = pd.concat([measurements(*first), later], ignore_index=True)
    metrics = compute_depletion(table, given, None, Depletion()).metrics
    return [part.set_index("metric") for _, part in metrics.groupby("infusion")]


def test_a_sample_on_the_day_of_the_next_lymphodepletion_belongs_to_both_courses(measurements, infusions):
    first, second = two_courses(
        [(-6, 200), (7, 2), (95, 1)], [(7, 0)], measurements=measurements, given=infusions(0, 100)
    )
    assert (first.loc["nadir", "value"], first.loc["nadir_day", "value"]) == (1, 95)
    assert (second.loc["baseline", "value"], second.loc["baseline", "window_start"]) == (1, -5)


def test_a_sample_drawn_after_the_next_infusion_enters_no_earlier_course(measurements, infusions):
    # The samples sheet can give it to the first infusion all the same.
    first, second = two_courses(
        [(-6, 200), (7, 2), (107, 0)], [(7, 5)], measurements=measurements, given=infusions(0, 100)
    )
    assert first.loc["nadir", "value"] == 2
    assert second.loc["nadir", "value"] == 5


def test_what_was_before_the_first_infusion_is_no_baseline_of_the_second(measurements, infusions):
    _, second = two_courses(
        [(-6, 200)], [(7, 5), (28, 30)], measurements=measurements, given=infusions(0, 100)
    )
    assert second.loc["baseline", "reason"] == "no result up to the infusion"


def test_results_that_are_all_undecided_after_the_infusion_make_no_episode(deplete):
    # Depleted on day -1; '<50' can lie on either side of the threshold of 20.
    m = deplete((-6, 200), (-1, 5), (14, "<50"), (28, "<50"))
    assert m["n_depletion_episodes"]["reason"].startswith("the state is unknown after the infusion")
    assert m.spans == []
    # One decided result shows that it lasted.
    assert deplete((-6, 200), (-1, 5), (14, "<50"), (28, 3)).spans == [(-6, -1, 28, None)]
