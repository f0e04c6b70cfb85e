import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from cartrace.config import Config, PcrAcceptance, load
from cartrace.problems import InputError


def problems(raw, file="config.yaml"):
    with pytest.raises(InputError) as caught:
        load(raw, file)
    return {p.column: p for p in caught.value.problems}


def sections(model=Config, path=()):
    """Every model of the configuration with its place."""
    yield path, model
    for name, field in model.model_fields.items():
        for inner in (field.annotation, *getattr(field.annotation, "__args__", ())):
            if isinstance(inner, type) and issubclass(inner, BaseModel):
                yield from sections(inner, (*path, name))


def test_an_empty_configuration_is_the_defaults():
    assert load({}) == Config()


def test_a_configuration_names_only_what_differs():
    config = load({"kinetics": {"auc": {"method": "linear"}}})
    assert config.kinetics.auc.method == "linear"
    assert config.kinetics.auc.windows == Config().kinetics.auc.windows
    assert config.kinetics.half_life == Config().kinetics.half_life


def test_the_default_windows_and_landmarks_are_those_of_the_issue():
    config = Config()
    assert config.kinetics.auc.windows == ((0, 7), (0, 14), (0, 28), (0, 84), (0, 90), (0, 180))
    landmarks = {mark.name: mark.day for mark in config.kinetics.persistence.landmarks}
    assert landmarks == {"M1": 28, "M3": 84, "M6": 180, "M12": 365}


def test_an_unknown_key_names_its_place_the_known_keys_and_the_nearest():
    found = problems({"kinetics": {"half_life": {"min_pionts": 4}}})
    problem = found["kinetics.half_life.min_pionts"]
    assert problem.file == "config.yaml"
    assert problem.suggestion == "min_points"
    assert "min_span_ratio" in problem.allowed


def test_an_unknown_key_at_the_top_and_in_a_list_is_found():
    found = problems({"kinetic": {}, "visits": [{"name": "D7", "day": 7, "window": 1, "windw": 2}]})
    assert found["kinetic"].suggestion == "kinetics"
    assert found["visits.0.windw"].suggestion == "window"


def test_every_problem_is_reported_at_once():
    found = problems(
        {
            "cohort": {"min_n": 0, "by_cohort": "perhaps"},
            "kinetics": {"auc": {"method": "trapezoid"}, "persistence": {"confirm_blq": 3}},
            "report": {"colour": "red"},
        }
    )
    assert set(found) == {
        "cohort.min_n",
        "cohort.by_cohort",
        "kinetics.auc.method",
        "kinetics.persistence.confirm_blq",
        "report.colour",
    }
    assert found["kinetics.auc.method"].found == "'trapezoid'"
    assert "lin_up_log_down" in found["kinetics.auc.method"].allowed


def test_a_missing_value_is_found_as_nothing():
    found = problems({"visits": [{"name": "D7", "window": 1}]})
    assert found["visits.0.day"].found == "nothing"


@pytest.mark.parametrize(
    ("windows", "message"),
    [([[7, 7]], "start < end"), ([[-1, 7]], "start < end"), ([[0, 7], [0, 7]], "listed twice")],
)
def test_windows_that_are_none_are_refused(windows, message):
    assert message in problems({"kinetics": {"auc": {"windows": windows}}})["kinetics.auc.windows"].allowed


def test_without_sheets_one_infusion_must_be_declared():
    raw = {"sheets": {"infusions": None, "subjects": None, "products": None}}
    (problem,) = problems(raw).values()
    assert "single_infusion" in problem.allowed
    config = load({**raw, "single_infusion": {"product": "CT103A", "target": "BCMA"}})
    assert config.single_infusion.vector == "unknown"


def test_no_date_of_a_configuration_reaches_the_message():
    with pytest.raises(InputError) as caught:
        load({"cohort": {"min_n": "2021-03-04"}})
    assert "2021" not in str(caught.value)


def test_a_position_of_unquantifiable_results_takes_a_word_or_a_number():
    assert load({"kinetics": {"blq": {"between": 25.0}}}).kinetics.blq.between == 25.0
    assert load({"kinetics": {"blq": {"between": "half_lloq"}}}).kinetics.blq.between == "half_lloq"
    assert any(
        column.startswith("kinetics.blq.between")
        for column in problems({"kinetics": {"blq": {"between": "zero"}}})
    )


def test_every_key_says_what_it_means_and_no_section_takes_unknown_keys():
    for path, model in sections():
        assert model.model_config["extra"] == "forbid", path
        assert model.__doc__, path
        for name, field in model.model_fields.items():
            described = field.description or any(
                isinstance(inner, type) and issubclass(inner, BaseModel)
                for inner in (field.annotation, *getattr(field.annotation, "__args__", ()))
            )
            assert described, (*path, name)


def test_no_key_is_about_threads_or_memory():
    names = {name for _, model in sections() for name in model.model_fields}
    unwanted = {"thread", "threads", "core", "cores", "memory", "mem", "runtime"}
    assert not {n for n in names if unwanted & set(n.split("_"))}


def test_what_was_loaded_loads_again_to_the_same():
    config = load({"cohort": {"min_n": 5}, "visits": [{"name": "D7", "day": 7, "window": 1}]})
    assert load(config.model_dump(mode="json")) == config


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=8),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
        max_leaves=8,
    ),
    st.sampled_from(sorted(Config.model_fields)),
)
def test_whatever_stands_in_a_section_is_accepted_or_reported(value, section):
    try:
        found = load({section: value})
    except InputError as error:
        reported = error.problems
    else:
        assert isinstance(found, Config)
        return
    assert reported
    assert all(p.file == "config" and p.column.split(".")[0] == section for p in reported)


def test_an_acceptance_rule_that_names_its_consequence_keeps_its_limits() -> None:
    rules = load(
        {"pcr": {"acceptance": {"r2": {"consequence": "flag"}, "slope": {"lower": None}}}}
    ).pcr.acceptance
    assert (rules.r2.lower, rules.r2.upper, rules.r2.consequence) == (0.98, None, "flag")
    assert (rules.slope.lower, rules.slope.upper, rules.slope.consequence) == (None, -3.1, "reject")


def test_a_change_of_an_assay_goes_over_that_of_the_trial() -> None:
    trial = load({"pcr": {"acceptance": {"r2": {"lower": 0.95}}}}).pcr.acceptance
    rules = PcrAcceptance.over(trial, {"r2": {"consequence": "flag"}})
    assert (rules.r2.lower, rules.r2.consequence) == (0.95, "flag")


def test_unknown_keys_of_an_acceptance_rule_are_told() -> None:
    with pytest.raises(InputError, match=r"pcr\.acceptance\.r2\.min"):
        load({"pcr": {"acceptance": {"r2": {"min": 0.9}}}})
