"""How flags spread between wells, samples and targets."""

from __future__ import annotations

import pandas as pd

from cartrace.plates.marks import Marks, spread_to_samples, spread_to_wells

SAMPLES = pd.DataFrame(
    {"target": ["CAR", "CAR", "RPP30"], "members": [(0,), (), (3,)], "all_wells": [(0, 1), (2,), (3,)]}
)
"""The first sample lost the well 1, the second its only one."""
WELLS = pd.DataFrame(
    {
        "target": ["CAR", "CAR", "CAR", "RPP30", "CAR", "CAR", "CAR"],
        "task": ["unknown"] * 4 + ["standard", "standard", "blank"],
        "usable": [True, False, False, True, True, False, True],
    }
)
OF_WELLS: list[Marks] = [{"low": "warn"}, {"hook": "warn", "odd": "fail"}, {"lost": "fail"}, {}, {}, {}, {}]
OF_TARGETS: dict[str, Marks] = {"CAR": {"slope": "fail"}}


def test_a_sample_takes_the_flags_of_its_target_and_of_the_wells_behind_it() -> None:
    own: list[Marks] = [{"low": "fail"}, {}, {"cv": "warn"}]
    assert spread_to_samples(SAMPLES, own, OF_WELLS, OF_TARGETS) == [
        {"low": "fail", "slope": "fail"},
        {"slope": "fail", "lost": "fail"},
        {"cv": "warn"},
    ]
    assert own[0] == {"low": "fail"}


def test_some_flags_come_from_wells_that_are_not_behind_the_result() -> None:
    made = spread_to_samples(SAMPLES, [{}, {}, {}], OF_WELLS, {}, from_every_well={"hook"})
    assert made == [{"low": "warn", "hook": "warn"}, {"lost": "fail"}, {}]


def test_wells_take_the_flags_of_their_sample_and_standards_those_of_their_target() -> None:
    of_samples: list[Marks] = [{"cv": "warn"}, {"few": "fail"}, {}]
    made = spread_to_wells(WELLS, SAMPLES["members"], OF_WELLS, of_samples, OF_TARGETS, tasks={"standard"})
    assert made == [{"low": "warn", "cv": "warn"}, *OF_WELLS[1:4], {"slope": "fail"}, {}, {}]
    made = spread_to_wells(
        WELLS, SAMPLES["all_wells"], OF_WELLS, of_samples, OF_TARGETS, tasks={"standard", "blank"}
    )
    assert made[1:3] == [{"hook": "warn", "odd": "fail", "cv": "warn"}, {"lost": "fail", "few": "fail"}]
    assert made[4:] == [{"slope": "fail"}, {}, {"slope": "fail"}]
    assert OF_WELLS[0] == {"low": "warn"}
