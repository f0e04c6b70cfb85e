"""FCS files damaged at random: events that can be read, or a clear error, and nothing else."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.flow.hand_fcs import fcs_bytes

from cartrace.flow.fcs import read_fcs
from cartrace.problems import InputError

EVENTS = np.arange(60.0).reshape(-1, 3) + 1
NAMES = ["FSC-A", "FITC-A", "Time"]
FLOATS = fcs_bytes(NAMES, EVENTS, spillover=(NAMES[:2], [[1, 0.1], [0, 1]]), timestep=0.01, volume_nl=1000)
INTEGERS = fcs_bytes(
    NAMES,
    EVENTS,
    version="FCS2.0",
    datatype="I",
    bits=[8, 16, 24],
    decades={"FITC-A": "4,1"},
    stains=["", "CD/3", ""],
)
SEVERAL = fcs_bytes(NAMES, EVENTS, more=True) + INTEGERS
HOSTILE = [
    "-1",
    "0",
    "1",
    "99999999999999999999",
    "1e308",
    "nan",
    "",
    "/",
    "//",
    "\x00",
    "2,1",
    "4,3,2,1",
    "Ä",
]


@st.composite
def damaged(draw: st.DrawFn) -> bytes:
    """Some bytes changed, left out or put in, a keyword's value replaced, or the end cut off."""
    content = bytearray(draw(st.sampled_from([FLOATS, INTEGERS, SEVERAL])))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(content)))
        what = draw(st.sampled_from(["change", "delete", "insert", "cut", "value"]))
        if what == "change":
            content[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
        elif what == "delete":
            del content[at : at + draw(st.integers(1, 40))]
        elif what == "insert":
            content[at:at] = draw(st.binary(min_size=1, max_size=20))
        elif what == "cut":
            del content[at:]
        else:
            parts = bytes(content).split(b"/")
            place = draw(st.integers(0, len(parts) - 1))
            parts[place] = draw(st.sampled_from(HOSTILE)).encode()
            content = bytearray(b"/".join(parts))
    return bytes(content)


def outcome(path: Path, data_set: int | None) -> str:
    """Read the file to the end: 'read', or the words of the InputError; any other error gets out."""
    try:
        data = read_fcs(path, "tube.fcs", data_set)
    except InputError as error:
        return str(error)
    events = data.read(range(len(data.channels)), 0, data.n_events)
    assert events.shape == (data.n_events, len(data.channels))
    assert len(set(data.names)) == len(data.names)
    assert events.size <= path.stat().st_size
    return "read"


@settings(
    max_examples=600, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)
@given(content=damaged(), data_set=st.sampled_from([None, 1, 2]))
def test_a_damaged_file_is_read_or_refused(
    tmp_path_factory: pytest.TempPathFactory, content: bytes, data_set: int | None
) -> None:
    path = tmp_path_factory.getbasetemp() / "fuzz.fcs"
    path.write_bytes(content)
    found = outcome(path, data_set)
    assert found == "read" or ": found " in found


def test_the_undamaged_files_are_read(tmp_path: Path) -> None:
    for content, data_set in ((FLOATS, None), (INTEGERS, None), (SEVERAL, 1), (SEVERAL, 2)):
        path = tmp_path / "whole.fcs"
        path.write_bytes(content)
        assert outcome(path, data_set) == "read"


@pytest.mark.parametrize("cut", range(0, len(FLOATS), 7))
def test_a_file_cut_anywhere_before_its_end_is_refused(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "cut.fcs"
    path.write_bytes(FLOATS[:cut])
    data_end = len(FLOATS) - len(b"00000000")
    assert (outcome(path, None) == "read") == (cut >= data_end)


def test_a_small_file_that_claims_much_takes_little_memory(tmp_path: Path) -> None:
    path = tmp_path / "claims.fcs"
    for extra in ({"$TOT": "999999999999"}, {"$PAR": "99999999"}, {"$SPILLOVER": "99999999,a"}):
        path.write_bytes(fcs_bytes(NAMES, EVENTS, extra=extra))
        tracemalloc.start()
        assert outcome(path, None) != "read"
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        assert peak < 2**20
