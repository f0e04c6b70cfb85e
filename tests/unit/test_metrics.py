"""The registry: one metric, one place, one order."""

import re

import pytest

from cartrace import metrics
from cartrace.metrics import REGISTRY, Metric, find, label_of, register, unit_of
from cartrace.registry import GROUPS, load_all


@pytest.fixture
def registry(monkeypatch):
    """The registry, to be written into: what a test adds is forgotten after it."""
    load_all()
    monkeypatch.setattr(metrics, "REGISTRY", dict(REGISTRY))
    return metrics.REGISTRY


def metric(name, **other):
    return Metric(
        name=name,
        label=other.pop("label", name),
        unit="day",
        definition="A test.",
        source="None.",
        group="peak",
        **other,
    )


def test_a_name_is_registered_once(registry):
    register(metric("new_metric"))
    with pytest.raises(ValueError, match="'new_metric' is registered twice"):
        register(metric("new_metric"))


def test_a_concrete_name_leads_to_its_pattern():
    load_all()
    assert find("auc_0_28").name == "auc_{start}_{end}"
    assert find("persistent_at_M6").name == "persistent_at_{landmark}"
    assert find("auc_last").name == "auc_last"
    with pytest.raises(KeyError):
        find("no_such_metric")


def test_a_label_holds_the_fields_of_the_name():
    load_all()
    assert label_of("auc_0_28") == "AUC 0-28"
    assert label_of("persistent_at_M6") == "Persistent at M6"
    assert label_of("cmax") == "Cmax"
    for name in ("auc_0", "no_such_metric"):
        with pytest.raises(KeyError):
            label_of(name)


def test_a_label_with_two_fields_takes_them_by_name(registry):
    register(metric("swap_{a}_to_{b}", label="{b} after {a}"))
    assert label_of("swap_x_to_y") == "y after x"


def test_no_beginning_of_one_pattern_hides_another():
    beginnings = [name.split("{", 1)[0] for name in load_all() if "{" in name]
    for one in beginnings:
        assert one, "a pattern needs a beginning of its own"
        assert [other for other in beginnings if other.startswith(one)] == [one]


def test_metrics_stand_in_the_order_of_their_groups():
    places = [GROUPS.index(m.group) for m in load_all().values()]
    assert places == sorted(places)


def test_every_metric_says_what_it_is_and_where_it_comes_from():
    for name, found in load_all().items():
        assert found.name == name
        assert found.label
        assert found.definition.endswith("."), name
        assert found.source.strip(), name
        assert re.fullmatch(r"[a-z0-9_]+({[a-z]+}_?)*", name), name
        assert set(re.findall(r"{\w+}", found.label)) <= set(re.findall(r"{\w+}", name)), name
        assert not (found.event and found.share), f"{name} is a time or an answer, not both"
        if found.event:
            assert found.unit == "day", name
        if found.share:
            assert found.unit == "none", name


def test_units_follow_the_course():
    units = {m.unit: unit_of(m, "copies/ug") for m in load_all().values()}
    assert units["course"] == "copies/ug"
    assert units["day"] == "day"
    assert units["per day"] == "1/day"
    assert units["day*course"] == "day*copies/ug"
    assert units["none"] is None
