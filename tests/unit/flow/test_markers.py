"""Markers of a panel found in the channels of a tube."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cartrace.flow.fcs import Channel
from cartrace.flow.markers import match_markers
from cartrace.flow.panel import Panel, load_panel
from cartrace.problems import InputError


def channel(index: int, name: str, stain: str = "") -> Channel:
    return Channel(index, name, stain, 262144.0, 1.0, 0.0, 0.0)


def panel(markers: dict[str, Any]) -> Panel:
    first = next(iter(markers))
    return load_panel(
        {
            "markers": markers,
            "thresholds": {"t": {"marker": first}},
            "gates": {"positive": {"where": {"t": "above"}}},
            "populations": {"positive": {"gate": "positive"}},
        },
        "panel.yaml",
    )


CHANNELS = (
    channel(0, "FSC-A"),
    channel(1, "FITC-A", "CD3"),
    channel(2, "PE-A", "cd4"),
    channel(3, "APC-A", "CD19 PE-Cy7"),
    channel(4, "BV421-A", "CD45RA"),
)


def faults(markers: dict[str, Any], channels: tuple[Channel, ...] = CHANNELS) -> list[str]:
    with pytest.raises(InputError) as error:
        match_markers(panel(markers), channels, "day7.fcs")
    return [str(p) for p in error.value.problems]


def test_a_marker_is_found_by_stain_or_channel_name_whatever_the_case() -> None:
    found = match_markers(panel({"cd3": None, "CD4": None, "fsc-a": {"linear": True}}), CHANNELS, "x.fcs")
    assert found == {"cd3": 1, "CD4": 2, "fsc-a": 0}


def test_a_channel_is_taken_exactly() -> None:
    assert match_markers(panel({"CAR": "PE-A"}), CHANNELS, "x.fcs") == {"CAR": 2}
    (fault,) = faults({"CAR": "pe-a"})
    assert "no channel for marker 'CAR' (channel 'pe-a')" in fault
    assert "did you mean 'PE-A'?" in fault


def test_a_pattern_has_to_match_the_whole_stain_or_name() -> None:
    assert match_markers(panel({"CD19": {"pattern": "CD19.*"}}), CHANNELS, "x.fcs") == {"CD19": 3}
    (fault,) = faults({"CD45": {"pattern": "CD45"}})
    assert "no channel for marker 'CD45' (pattern 'CD45')" in fault


def test_a_stain_with_its_dye_takes_a_pattern_which_the_error_writes_down() -> None:
    (fault,) = faults({"CD19": None})
    assert "channel 'APC-A' is stained 'CD19 PE-Cy7'" in fault
    pattern = fault.split("write pattern: '")[1].split("' in the panel file")[0]
    assert match_markers(panel({"CD19": {"pattern": pattern}}), CHANNELS, "x.fcs") == {"CD19": 3}


def test_a_longer_marker_is_not_taken_for_a_shorter_one() -> None:
    (fault,) = faults({"CD45": None})
    assert "no channel for marker 'CD45'" in fault
    assert "write pattern" not in fault


def test_all_faults_are_told_at_once() -> None:
    two = (*CHANNELS, channel(5, "PE-H", "CD4"))
    found = faults({"CD4": None, "CD8": None, "CD3": None, "T cells": "FITC-A"}, two)
    assert len(found) == 3
    assert "marker 'CD4' (its own name) in 2 channels: 'PE-A' (stain 'cd4'), 'PE-H' (stain 'CD4')" in found[0]
    assert "no channel for marker 'CD8'" in found[1]
    assert "channel 'FITC-A' for the markers 'CD3', 'T cells'" in found[2]
    assert all(f.startswith("day7.fcs: ") for f in found)


def test_hostile_names_are_shown_tamely_and_dates_not_at_all() -> None:
    odd = (channel(0, "A\x1b[31m" + "x" * 500, "drawn 2024-03-01"),)
    (fault,) = faults({"CD3": None}, odd)
    assert "\x1b" not in fault
    assert "2024-03-01" not in fault
    assert len(fault) < 400


@given(st.permutations(range(5)))
def test_the_order_of_the_channels_does_not_matter(order: list[int]) -> None:
    markers = {"CD3": None, "CD4": None, "CD19": {"pattern": "CD19.*"}}
    shuffled = [CHANNELS[i] for i in order]
    assert match_markers(panel(markers), shuffled, "x.fcs") == {"CD3": 1, "CD4": 2, "CD19": 3}


def test_a_marker_that_is_left_out_is_in_the_channel_of_the_stained_tubes() -> None:
    markers = {"CD3": None, "CAR": None, "CD8": {"pattern": "CD8.*"}}
    blank = match_markers(panel(markers), CHANNELS, "fmo.fcs", {"CAR": "PE-A", "CD8": "APC-A"})
    assert blank == {"CD3": 1, "CAR": 2, "CD8": 3}
    # Where it is named, its name counts; where nothing is known of it, it has no channel.
    assert match_markers(panel({"CD3": None, "CD4": None}), CHANNELS, "x", {"CD4": "FSC-A", "CD3": ""}) == {
        "CD3": 1,
        "CD4": 2,
    }
    assert match_markers(panel({"CD3": None, "CAR": None}), CHANNELS, "x", {"CAR": ""}) == {"CD3": 1}


def test_a_marker_that_is_left_out_does_not_take_the_channel_of_another_one() -> None:
    with pytest.raises(InputError, match="channel 'PE-A' for the markers 'CD4', 'CAR'"):
        match_markers(panel({"CD4": None, "CAR": None}), CHANNELS, "fmo.fcs", {"CAR": "PE-A"})
    with pytest.raises(InputError, match=r"no channel for marker 'CAR' \(channel 'X-A'\)"):
        match_markers(panel({"CAR": "X-A"}), CHANNELS, "fmo.fcs", {"CAR": "X-A"})
