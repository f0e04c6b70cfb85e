"""One of many names as a regular expression."""

from __future__ import annotations

import re

from hypothesis import given
from hypothesis import strategies as st

from cartrace.patterns import one_of

names = st.text("ab1._-", max_size=6)


def test_no_name_fits_nothing() -> None:
    assert re.fullmatch(one_of([]), "") is None
    assert re.fullmatch(one_of([]), "none") is None


def test_signs_stand_for_themselves() -> None:
    assert re.fullmatch(one_of(["a.b", "a+b"]), "a.b")
    assert not re.fullmatch(one_of(["a.b", "a+b"]), "aab")


@given(st.sets(names, max_size=20), st.sets(names, max_size=20))
def test_each_name_fits_and_no_other(listed: set[str], others: set[str]) -> None:
    pattern = re.compile(f"x/({one_of(listed)})[.]parquet")
    for name in listed | others:
        match = pattern.fullmatch(f"x/{name}.parquet")
        assert (match is not None) == (name in listed)
        assert match is None or match[1] == name


def test_names_that_begin_alike_stand_together() -> None:
    many = [f"R{n}-plate_{k:03d}" for n in range(20) for k in range(50)]
    assert len(one_of(many)) < len("|".join(many)) / 2
