"""What the plan of a subject tells of its samples."""

from __future__ import annotations

import pytest
from tests.unit.repertoire.hand_clones import chain, chains_of, library, product

from cartrace.repertoire.samples import library_order, planned, samples_of

RECORD = {
    "library_id": "L1",
    "sample_id": "S1",
    "subject_id": "P1",
    "sort": "none",
    "matrix": "blood",
    "infusion": 2,
    "day": 10,
    "study_day": 110,
    "visit": "M1",
    "pre_infusion": False,
    "cells": True,
}


def test_a_plan_gives_libraries_in_time_and_the_product_before_the_blood_of_its_day() -> None:
    product_record = {**RECORD, "library_id": "L2", "sample_id": "IP", "matrix": "infusion_product"}
    libraries = planned([RECORD, product_record, {**RECORD, "library_id": "L0"}])
    assert [lib.library_id for lib in libraries] == ["L2", "L0", "L1"]
    assert [s.sample_id for s in samples_of(libraries)] == ["IP", "S1"]
    assert libraries[1].sample.infusion_day == 100
    assert library_order(libraries) == {"L2": 0, "L0": 1, "L1": 1}


@pytest.mark.parametrize("change", [{"colour": "red"}, {"sort": None, "missing": 1}])
def test_an_unknown_key_of_a_plan_is_refused(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="--plan"):
        planned([{**RECORD, **change}])


def test_a_receptor_counts_as_sequenced_where_the_plan_or_a_chain_says_so() -> None:
    chains = chains_of("L1", [chain("a", 1)])
    silent = library("L1", tcr=None, bcr=None).with_receptors(chains)
    assert (silent.tcr, silent.bcr) == (True, False)
    told = library("L1", tcr=True, bcr=True).with_receptors(chains[:0])
    assert (told.tcr, told.bcr) == (True, True)


def test_after_a_product_is_what_was_taken_after_its_infusion() -> None:
    first = product("P1").sample
    second = product("P2", infusion=2, study_day=100).sample
    assert library("a", day=14).sample.is_after(first)
    assert library("a", day=0, pre_infusion=False).sample.is_after(first)
    assert not library("a", day=0, pre_infusion=True).sample.is_after(first)
    assert not library("a", day=-7).sample.is_after(first)
    assert not second.is_after(first)
    later = library("a", day=14, infusion=2, study_day=114).sample
    assert later.is_after(first)
    assert later.is_after(second)
    assert not library("a", day=14).sample.is_after(second)
    # Nothing tells whether blood of the day of a second infusion was drawn before it.
    assert not library("a", day=0, infusion=2, study_day=100, pre_infusion=False).sample.is_after(second)
