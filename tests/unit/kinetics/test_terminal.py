import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.stats import norm

QUALITY = ("lambda_z_n_points", "lambda_z_adj_r2", "lambda_z_span_ratio")
RATES = ("lambda_z", "half_life", "lambda_z_intercept")


def test_an_exponential_gives_its_own_half_life_and_line(metrics_of):
    days = np.array([7, 14, 21, 28, 42])
    m = metrics_of([3, *days], [9e5, *(8e5 * 2.0 ** (-days / 7))])
    assert m.loc["half_life", "value"] == pytest.approx(7, rel=1e-12)
    assert m.loc["lambda_z", "value"] == pytest.approx(np.log(2) / 7, rel=1e-12)
    assert m.loc["lambda_z_intercept", "value"] == pytest.approx(8e5, rel=1e-12)
    assert m.loc["lambda_z_n_points", "value"] == 5
    assert m.loc["lambda_z_span_ratio", "value"] == pytest.approx(5)
    assert (m.loc["half_life", "window_start"], m.loc["half_life", "window_end"]) == (7, 42)


def test_the_window_starts_strictly_after_tmax_unless_tmax_is_allowed(metrics_of):
    days = np.array([7, 14, 21, 28])
    values = 1e5 * 2.0 ** (-days / 7)
    assert metrics_of(days, values).loc["lambda_z_n_points", "value"] == 3
    allowed = metrics_of(days, values, half_life={"allow_tmax": True})
    assert allowed.loc["lambda_z_n_points", "value"] == 4


def test_most_points_win_among_equally_good_windows_but_not_among_worse_ones(metrics_of):
    days = np.array([7, 10, 20, 30, 40, 50])
    m = metrics_of([5, *days], [1e6, 9e5, *(1e4 * np.exp(-0.05 * days[1:]))])
    assert m.loc["lambda_z_n_points", "value"] == 5
    assert m.loc["half_life", "value"] == pytest.approx(np.log(2) / 0.05)


def test_a_rising_window_that_fits_best_vetoes_under_pkncas_rule_only(metrics_of):
    days, values = [1, 2, 5, 6, 7], [10_000, 6000, 100, 200, 400]
    pknca = metrics_of(days, values)
    assert pknca.loc["half_life", "reason"] == "no declining window fits best: the best one rises"
    winnonlin = metrics_of(
        days, values, half_life={"rule": "winnonlin", "min_adj_r2": 0, "min_span_ratio": 0}
    )
    assert winnonlin.loc["lambda_z_n_points", "value"] == 4
    assert winnonlin.loc["half_life", "status"] == "estimated"


@pytest.mark.parametrize(
    ("days", "values", "reason"),
    [
        ([7, 14, 28], [900, 500, 200], "fewer than 3 quantifiable results after Tmax"),
        ([7, 14, 21, 28], [900, 500, "BLQ", 200], "fewer than 3 quantifiable results after Tmax"),
        ([7, 14, 21, 28], [900, 200, 200, 200], "constant results"),
        ([7, 14, 21, 28], [900, 200, 250, 300], "no declining window"),
        ([7, 14, 28], ["BLQ", "BLD", "BLQ"], "no quantifiable result"),
        ([-5, -1], ["BLD", 80], "no usable result after infusion"),
    ],
)
def test_a_course_without_a_window_says_why(metrics_of, days, values, reason):
    m = metrics_of(days, values, half_life={"rule": "winnonlin"})
    for name in (*RATES, *QUALITY):
        assert m.loc[name, "reason"] == reason
        assert m.loc[name, "status"] == "not_estimable"


def test_a_poor_fit_is_refused_with_its_adjusted_r2_and_keeps_the_quality(metrics_of):
    m = metrics_of([7, 14, 21, 28], [9000, 800, 100, 300], half_life={"min_adj_r2": 0.7, "min_span_ratio": 0})
    log = np.log([800, 100, 300])
    slope = (log[2] - log[0]) / 14
    r2 = (slope * 14) ** 2 / 2 / ((log - log.mean()) ** 2).sum()
    adj = 1 - 2 * (1 - r2)
    assert m.loc["lambda_z_adj_r2", "value"] == pytest.approx(adj)
    assert m.loc["half_life", "reason"] == f"adjusted r2 {np.floor(adj * 100) / 100:.2f} below 0.7"
    assert m.loc["lambda_z_adj_r2", "status"] == "estimated"
    assert m.loc["lambda_z_adj_r2", "reason"] == m.loc["half_life", "reason"]
    assert m.loc["auc_inf", "reason"].startswith("no half-life: adjusted r2")


def test_a_short_window_is_refused_with_its_span(metrics_of):
    days = np.array([7, 14, 21, 28])
    m = metrics_of(days, 1e4 * 2.0 ** (-days / 28))
    assert m.loc["half_life", "reason"] == "span 0.5 half-lives below 1"
    assert m.loc["lambda_z_span_ratio", "value"] == pytest.approx(0.5)


def test_without_a_censored_result_the_censored_fit_is_the_regression(metrics_of):
    m = metrics_of([7, 14, 21, 28, 42], [9000, 5000, 1700, 1200, 300])
    assert m.loc["half_life_tobit", "value"] == pytest.approx(m.loc["half_life", "value"], rel=1e-12)


def test_the_censored_fit_is_the_maximum_of_the_likelihood(metrics_of):
    days = np.array([14, 21, 28, 42, 56, 70])
    values = [5000, 2900, 700, 300, "BLQ", "BLD"]
    m = metrics_of([7, *days], [9000, *values], half_life={"min_adj_r2": 0, "min_span_ratio": 0})
    start = m.loc["half_life_tobit", "window_start"]
    known = [
        (d, np.log(v)) for d, v in zip(days, values, strict=True) if not isinstance(v, str) and d >= start
    ]
    below = [(56, np.log(50)), (70, np.log(10))]

    def loss(x):
        a, b, s = x[0], x[1], np.exp(x[2])
        total = sum(norm.logpdf(y, a + b * d, s) for d, y in known)
        return -total - sum(norm.logcdf(y, a + b * d, s) for d, y in below)

    best = minimize(
        loss, [10, -0.1, -1], method="Nelder-Mead", options={"xatol": 1e-9, "fatol": 1e-13, "maxiter": 9999}
    )
    assert m.loc["half_life_tobit", "value"] == pytest.approx(np.log(2) / -best.x[1], rel=1e-5)
    assert m.loc["half_life_tobit", "reason"] == "results below a limit: 2"
    assert m.loc["half_life_tobit", "n_points"] == len(known) + 2


def test_results_below_shorten_a_half_life_that_the_regression_overstates(metrics_of):
    m = metrics_of([7, 14, 21, 28, 35, 42, 49], [9000, 300, 120, 80, "BLD", "BLD", "BLD"])
    assert m.loc["half_life_tobit", "value"] < m.loc["half_life", "value"]


def test_a_perfect_line_above_a_compatible_bound_is_its_own_maximum(metrics_of):
    days = np.array([7, 14, 21, 28])
    m = metrics_of([3, *days, 56], [9e4, *(6400 * 2.0 ** (-days / 7)), "BLQ"])
    assert m.loc["half_life_tobit", "value"] == pytest.approx(7, rel=1e-9)


def test_the_censored_fit_needs_its_points_and_a_decline(metrics_of):
    few = metrics_of([7, 14, 21, 28], [9000, 500, 300, "BLQ"])
    assert few.loc["half_life_tobit", "reason"] == "fewer than 3 quantifiable results after Tmax"
    rising = metrics_of([7, 14, 21, 28], [9000, 200, 300, 400])
    assert rising.loc["half_life_tobit", "reason"] == "no decline"
    off = metrics_of([7, 14, 21, 28], [9000, 400, 300, 200], half_life={"tobit": False})
    assert off.loc["half_life_tobit", "reason"] == "switched off in the configuration"
