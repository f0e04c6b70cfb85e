import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace import tables
from cartrace.cohort.characteristics import describe_subjects
from cartrace.config import Cohort


def subject(name, cohort=None, **other):
    return {"subject_id": name, "cohort": cohort, **other}


def infusion(name, number=1, product="CT103A", **other):
    return {
        "subject_id": name,
        "infusion": number,
        "study_day": 90.0 * (number - 1),
        "product": product,
        "vector": "lentiviral",
        "dose": 1.0,
        "dose_unit": "1e6 cells/kg",
        **other,
    }


SUBJECTS = [
    subject("a", "low", sex="F", age=30.0, weight_kg=60.0, follow_up_study_day=180.0),
    subject("b", "low", sex="M", age=50.0, weight_kg=80.0, follow_up_study_day=90.0),
    subject("c", "high", sex="F", age=67.0, follow_up_study_day=400.0),
    subject("d", sex=None),
]
INFUSIONS = [
    infusion("a", dose=0.5),
    infusion("b", 2, product="CD19 CAR", dose=9.0),
    infusion("b", dose=0.5),
    infusion("c", dose=1.0),
]


def table_one(subjects=SUBJECTS, infusions=INFUSIONS, **settings):
    return describe_subjects(
        tables.rows(subjects, tables.SUBJECTS), tables.rows(infusions, tables.INFUSIONS), Cohort(**settings)
    )


def row(frame, variable, level="", cohort="all"):
    found = frame[(frame.cohort == cohort) & (frame.variable == variable) & (frame.level == level)]
    assert len(found) == 1, frame[["cohort", "variable", "level"]]
    return found.iloc[0]


def test_numbers_of_four_subjects_by_hand():
    found = table_one()
    assert row(found, "Subjects").n == 4
    age = row(found, "Age")
    assert (age.n, age.n_total, age["median"], age.minimum, age.maximum) == (3, 4, 50.0, 30.0, 67.0)
    assert age.unit == "years"
    weight = row(found, "Weight")
    assert (weight.n, weight["median"]) == (2, 70.0)
    assert row(found, "Follow-up")["median"] == 180.0


def test_shares_are_of_all_subjects_and_add_up():
    found = table_one()
    sex = found[(found.cohort == "all") & (found.variable == "Sex")]
    assert sex[["level", "n", "percent"]].to_numpy().tolist() == [
        ["F", 2, 50.0],
        ["M", 1, 25.0],
        ["not given", 1, 25.0],
    ]


def test_a_subject_counts_for_every_product_that_it_received():
    found = table_one()
    product = found[(found.cohort == "all") & (found.variable == "Product")]
    assert product[["level", "n", "percent"]].to_numpy().tolist() == [
        ["CD19 CAR", 1, 25.0],
        ["CT103A", 3, 75.0],
        ["no infusion", 1, 25.0],
    ]
    number = row(found, "Infusions per subject")
    assert (number.n, number["median"], number.minimum, number.maximum) == (3, 1.0, 1.0, 2.0)


def test_the_dose_is_that_of_the_first_infusion():
    dose = row(table_one(), "First dose")
    assert (dose.n, dose.minimum, dose.maximum, dose.unit) == (3, 0.5, 1.0, "1e6 cells/kg")


def test_doses_of_two_units_are_two_variables():
    found = table_one(infusions=[*INFUSIONS[:3], infusion("c", dose=2e8, dose_unit="cells")])
    assert row(found, "First dose, cells")["median"] == 2e8
    assert row(found, "First dose, 1e6 cells/kg").n == 2
    # Every cohort has the same variables, be they empty there.
    assert row(found, "First dose, cells", cohort="low").n == 0
    assert np.isnan(row(found, "First dose, cells", cohort="low")["median"])


def test_each_cohort_is_described_beside_all():
    found = table_one()
    assert found.cohort.unique().tolist() == ["all", "high", "low"]
    assert row(found, "Age", cohort="low")["median"] == 40.0
    assert row(found, "Sex", "F", cohort="low").percent == 50.0
    assert row(found, "Subjects", cohort="high").n_total == 1
    assert table_one(by_cohort=False).cohort.unique().tolist() == ["all"]


def test_a_cohort_called_all_is_refused():
    with pytest.raises(ValueError, match="called 'all'"):
        table_one(subjects=[subject("a", "all")])


def test_a_trial_that_knows_nothing_of_its_subjects_still_counts_them():
    found = table_one(subjects=[subject("a")], infusions=[infusion("a", dose=None, dose_unit=None)])
    assert row(found, "Subjects").n == 1
    assert row(found, "Sex", "not given").percent == 100.0
    assert row(found, "Age").n == 0
    assert row(found, "First dose").n == 0
    assert found["median"].notna().sum() == 1  # infusions per subject


def test_without_subjects_the_table_is_empty():
    assert table_one(subjects=[], infusions=[]).empty


@settings(deadline=None, max_examples=20)
@given(st.permutations(SUBJECTS), st.permutations(INFUSIONS))
def test_the_order_of_rows_changes_nothing(subjects, infusions):
    pd.testing.assert_frame_equal(table_one(subjects, infusions), table_one())
