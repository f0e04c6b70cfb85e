"""Two targets of one assay that would end in one course."""

from __future__ import annotations

import pytest

from cartrace.pcr.assay import load_assay
from cartrace.problems import InputError


def test_two_transgenes_of_one_assay_are_refused_since_their_courses_would_mix() -> None:
    with pytest.raises(InputError, match=r"'A' and 'B' are both transgene by ddpcr"):
        load_assay({"assay": "ddpcr", "targets": {"A": {}, "B": {}}}, "car.yaml")


def test_other_roles_and_other_analytes_stand_beside_a_transgene() -> None:
    targets = {
        "A": {},
        "B": {"analyte": "car_t_cells"},
        "R": {"role": "reference"},
        "I": {"role": "inhibition_control"},
    }
    assert set(load_assay({"targets": targets}, "car.yaml").targets) == set(targets)
