import numpy as np
import pytest
from scipy.integrate import quad
from scipy.optimize import brentq

from cartrace.kinetics.stein import TYPICAL, SteinParameters, stein_auc, stein_course


@pytest.mark.parametrize(
    ("end", "area"),
    [(28, 171_774.29), (84, 188_397.91), (90, 189_285.69), (180, 200_738.28), (365, 216_068.68)],
)
def test_the_typical_patient_has_the_published_areas(end, area):
    assert stein_auc(0, end, TYPICAL) == pytest.approx(area, abs=0.006)


def test_the_typical_patient_falls_below_50_copies_at_day_426():
    day = brentq(lambda t: float(stein_course(t, TYPICAL)) - 50, 100, 1000)
    assert day == pytest.approx(425.83, abs=0.005)


def test_the_typical_patient_doubles_in_three_quarters_of_a_day():
    assert TYPICAL.doubling_time == pytest.approx(0.77960, abs=5e-6)
    assert stein_course(0, TYPICAL) == pytest.approx(6.1538, abs=5e-5)
    assert stein_course(9.3, TYPICAL) == pytest.approx(24000)
    assert stein_course(-1, TYPICAL) == 0


def test_the_area_is_the_integral_of_the_course():
    for start, end in ((0, 5), (3, 40), (20, 200)):
        numeric, _ = quad(lambda t: float(stein_course(t, TYPICAL)), start, end, points=[9.3], limit=200)
        assert stein_auc(start, end, TYPICAL) == pytest.approx(numeric, rel=1e-8)


def test_rates_of_zero_have_their_limit():
    flat = SteinParameters(foldx=1, tmax=10, cmax=5, alpha=0, beta=0, fb=0.5)
    assert stein_auc(0, 30, flat) == pytest.approx(150)
    np.testing.assert_allclose(stein_course([0, 10, 30], flat), 5)
    assert flat.doubling_time == np.inf


def test_impossible_parameters_are_all_named_at_once():
    with pytest.raises(ValueError, match=r"foldx 0\.5.*tmax 0.*fb 2"):
        SteinParameters(foldx=0.5, tmax=0, cmax=1, alpha=0.1, beta=0.1, fb=2)
