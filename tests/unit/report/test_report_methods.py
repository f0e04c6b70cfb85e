from __future__ import annotations

from typing import Any

import pytest

from cartrace.config import Config, load
from cartrace.report.methods import paragraph, sections

VERSIONS = {"cartrace": "0.1.0", "python": "3.12.3", "pandas": "3.0.0", "snakemake": "9.19.0"}


def text_of(kinetics: dict[str, Any] | None = None, **more: Any) -> str:
    return paragraph(load({"kinetics": kinetics or {}, **more}), VERSIONS)


@pytest.mark.parametrize(
    ("kinetics", "sentence"),
    [
        ({"auc": {"method": "linear"}}, "Areas were computed with the linear trapezoidal rule. "),
        ({"auc": {"method": "lin_up_log_down"}}, "the logarithmic rule where it falls"),
        ({"auc": {"method": "lin_log"}}, "up to the peak and the logarithmic rule after it"),
        ({"auc": {"windows": [[0, 28], [3, 10.5]]}}, "Partial areas: days 0 to 28 and 3 to 10.5."),
        ({"auc": {"extrapolation": "none"}}, "Nothing was extrapolated beyond the last sample"),
        ({"auc": {"extrapolation": "to_first_blq"}}, "closed by a triangle"),
        ({"auc": {"extrapolation": "lambda_z"}}, "completed with the terminal phase"),
        ({"auc": {"start": "zero"}}, "the course starts there at 0"),
        ({"auc": {"start": "none"}}, "No value was assumed on day 0"),
        ({"auc": {"max_extrapolated_percent": 35}}, "more than 35 % of it"),
        ({"blq": {"before_first": "drop"}}, "left out before the first quantifiable result"),
        ({"blq": {"between": "half_lloq"}}, "replaced by half the lower limit of quantification between"),
        ({"blq": {"after_last": 12.5}}, "replaced by 12.5 after the last quantifiable result"),
        ({"blq": {"by": "tmax"}}, "counted as 0 before the peak; and left out after the peak"),
        ({"half_life": {"rule": "pknca"}}, "of the best of all windows"),
        ({"half_life": {"rule": "winnonlin"}}, "of the best of the windows that decline"),
        ({"half_life": {"allow_tmax": False}}, "begin after the peak"),
        ({"half_life": {"allow_tmax": True}}, "begin at the peak or later"),
        ({"half_life": {"min_points": 4}}, "at least 4 results"),
        ({"half_life": {"adj_r2_factor": 0.002}}, "within 0.002 of the best"),
        ({"half_life": {"min_adj_r2": 0.85}}, "adjusted r² is below 0.85"),
        ({"half_life": {"min_span_ratio": 2}}, "shorter than 2 half-lives"),
        ({"half_life": {"tobit": True}}, "Tobit"),
        ({"persistence": {"confirm_blq": 1}}, "One such result is enough."),
        ({"persistence": {"confirm_blq": 2}}, "Two consecutive such results are needed."),
        ({"persistence": {"loss_below": "quantification"}}, "not quantifiable counts as lost"),
        ({"persistence": {"loss_below": "detection"}}, "still counts as present"),
        ({"persistence": {"landmarks": [{"name": "M6", "day": 168, "window": 21}]}}, "M6 (day 168 ± 21)"),
        ({"stein": {"min_points": 7}}, "at least 7 quantifiable results"),
        ({"stein": {"max_relative_se": 0.3}}, "exceeds 0.3"),
        ({"stein": {"enabled": False}}, "No model of expansion and decline was fitted."),
        ({"post_infusion_visits": "after"}, "(pattern after)"),
    ],
)
def test_each_setting_changes_its_sentence(kinetics: dict[str, Any], sentence: str) -> None:
    assert sentence in text_of(kinetics)


@pytest.mark.parametrize(
    ("section", "sentence"),
    [
        ({"depletion": {"rules": []}}, "A result counts as depleted below 10 % of its baseline."),
        (
            {"depletion": {"rules": [{"analyte": "b_cells", "unit": "cells/uL", "kind": "absolute", "threshold": 50, "lower_limit_of_normal": 90}]}},
            "B cells in cells/µL below 50 (normal from 90); any other course below 10 % of its baseline",
        ),
        (
            {"depletion": {"rules": [{"analyte": "igm", "kind": "percent_of_baseline", "threshold": 15}]}},
            "IgM below 15 % of the baseline",
        ),
        ({"depletion": {"rules": [{"analyte": "plasma_cells", "kind": "not_detected"}]}}, "Plasma cells below the limit of detection"),
        ({"depletion": {"otherwise_percent_of_baseline": 5}}, "below 5 % of its baseline"),
        ({"depletion": {"confirm_onset": 2, "confirm_end": 1}}, "A depletion needs 2 consecutive results, its end one result above"),
        ({"depletion": {"baseline_fraction": 0.5}}, "back to 50 % of the baseline"),
        ({"depletion": {"masks": [{"kind": "drug", "analytes": ["igg", "iga"], "days": 14}]}}, "For 14 days after an event of kind drug, results of IgG and IgA entered"),
        ({"depletion": {"landmarks": [{"name": "D100", "day": 100, "window": 20}]}}, "Landmarks: D100 (day 100 ± 20)."),
        ({"antibody": {"titre_step": 3}}, "with a step of 3, 40 means a titre from 40 to below 120"),
        ({"antibody": {"titre_step": 1}}, "Titres are taken as plain numbers."),
        ({"antibody": {"means": {"min_n": 4}}}, "They are given for 4 patients or more, of whom no more than 50 %"),
        ({"antibody": {"confirm_positive": 2}}, "Positive again means 2 consecutive positive results after that."),
        ({"antibody": {"rules": [{"analyte": "anti_srp", "titre_step": 10, "positive_from": 15, "unit": "U/mL"}]}}, "Other steps: Anti-SRP 10. Lowest positive results: Anti-SRP 15 U/mL."),
        ({"antibody": {"fold": 8}}, "A fall of 8 times counts."),
        ({"antibody": {"confirm_negative": 1}}, "Seronegative means one negative result"),
        ({"antibody": {"confirm_negative": 3}}, "3 consecutive negative results with the same starting dilution"),
        ({"antibody": {"half_life": {"start": "infusion", "end": "nadir", "min_points": 4}}}, "at least 4 results from the first result after the infusion to the lowest result"),
        ({"antibody": {"population": {"rate": "normal", "start_day": 7, "end_day": 200}}}, "from day 7 to day 200 was fitted"),
        ({"cohort": {"association": {"min_pairs": 8}}}, "where at least 8 patients have both values"),
        ({"cohort": {"association": {"censored": "leave_out"}}}, "Values known only as intervals were left out."),
    ],
)  # fmt: skip
def test_each_setting_of_depletion_and_antibodies_changes_its_sentence(
    section: dict[str, Any], sentence: str
) -> None:
    assert sentence in text_of(**section)


def test_without_a_population_no_decay_over_all_patients_is_claimed() -> None:
    assert "One exponential decay" in text_of()
    assert "One exponential decay" not in text_of(antibody={"population": {"enabled": False}})


def test_the_methods_say_that_a_titre_does_not_predict() -> None:
    assert "Akaishi 2020" in text_of()


def test_without_tobit_no_second_estimate_is_claimed() -> None:
    assert "Tobit" not in text_of({"half_life": {"tobit": False}})


def test_the_linear_rule_has_no_fallback_to_speak_of() -> None:
    assert "took its place" not in text_of({"auc": {"method": "linear"}})


def test_visits_and_cohort_settings_are_told() -> None:
    visits = [{"name": "Day 14", "day": 14, "window": 2}]
    text = text_of(visits=visits, cohort={"min_n": 5, "by_cohort": False})
    assert "Nominal visits: Day 14 (day 14 ± 2)." in text
    assert "at least 5 estimates" in text
    assert "Each cohort" not in text


def test_versions_are_named_with_cartrace_first_and_left_out_when_unknown() -> None:
    assert paragraph(Config(), VERSIONS).endswith(
        "Computed with cartrace 0.1.0, Python 3.12.3, Snakemake 9.19.0 and pandas 3.0.0."
    )
    assert "Computed with" not in paragraph(Config(), {})


def test_every_section_is_whole_sentences() -> None:
    for heading, text in sections(Config(), VERSIONS):
        assert heading[0].isupper()
        assert text.endswith(".")
        assert "  " not in text
        assert "None" not in text


def test_the_methods_tell_the_fewest_results_of_an_area_and_how_the_limits_are_made() -> None:
    text = text_of({"auc": {"min_points": 3}})
    assert "An area with fewer than 3 results in it is not estimable." in text
    assert "An area with fewer" not in text_of({"auc": {"min_points": 0}})
    assert "Student's t with the residual degrees of freedom" in text
