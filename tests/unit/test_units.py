import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartrace.analytes import ANALYTES
from cartrace.units import ALIASES, FACTORS, KNOWN, canonical, factor

UNITS = sorted(KNOWN)


@pytest.mark.parametrize(
    ("source", "target", "expected"),
    [
        ("copies/cell", "copies/1000 cells", 1000.0),
        ("1e9/L", "cells/uL", 1000.0),
        ("g/L", "mg/dL", 100.0),
        ("ug/mL", "pg/mL", 1e6),
        ("pg/mL", "ug/mL", 1e-6),
        ("mg/dL", "mg/L", 10.0),
        ("g/L", "ng/mL", 1e6),
        ("%", "%", 1.0),
    ],
)
def test_exact_conversions_by_hand(source, target, expected):
    assert factor(source, target) == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize(
    ("source", "target"),
    [("copies/ug", "copies/cell"), ("copies/uL", "copies/ug"), ("cells/uL", "%"), ("titre", "IU/mL")],
)
def test_what_needs_a_biological_constant_is_refused(source, target):
    with pytest.raises(ValueError, match=f"no exact conversion from '{source}' to '{target}'"):
        factor(source, target)


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.floats(1e-6, 1e9))
def test_a_conversion_there_and_back_gives_the_value(source, target, value):
    try:
        there = factor(source, target)
    except ValueError:
        with pytest.raises(ValueError, match="no exact conversion"):
            factor(target, source)
        return
    assert value * there * factor(target, source) == pytest.approx(value, rel=1e-12)


@given(st.sampled_from(UNITS), st.sampled_from(UNITS), st.sampled_from(UNITS))
def test_a_detour_gives_the_same_factor(first, second, third):
    try:
        steps = factor(first, second), factor(second, third)
    except ValueError:
        return
    assert factor(first, third) == pytest.approx(steps[0] * steps[1], rel=1e-12)


@given(st.sampled_from(UNITS))
def test_a_known_unit_is_its_own_spelling(unit):
    assert canonical(unit) == unit
    assert canonical(f"  {unit.replace(' ', '   ')} ") == unit
    assert factor(unit, unit) == 1.0


@pytest.mark.parametrize(
    ("written", "unit"),
    [
        ("copies/µg", "copies/ug"),
        ("copies/μg", "copies/ug"),
        ("Copies/µg DNA", "copies/ug"),
        ("cells/µl", "cells/uL"),
        ("/µl", "cells/uL"),
        ("/μL", "cells/uL"),
        ("µg/mL", "ug/mL"),
        ("percent", "%"),
    ],
)
def test_spellings_of_laboratories_become_one(written, unit):
    assert canonical(written) == unit


def test_an_unknown_unit_is_named_with_those_that_are_known():
    with pytest.raises(ValueError, match=r"unknown unit 'copies/mg'; known: .*copies/ug"):
        canonical("copies/mg")


def test_aliases_factors_and_analytes_name_known_units():
    assert set(ALIASES.values()) <= KNOWN
    assert {unit for pair in FACTORS for unit in pair} <= KNOWN
    assert {unit for analyte in ANALYTES.values() for unit in analyte.units} <= KNOWN
    assert all(alias == alias.lower() for alias in ALIASES)
    assert not any(micro in word for micro in "µμ" for word in (*ALIASES, *KNOWN))
