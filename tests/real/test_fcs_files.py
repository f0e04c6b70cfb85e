"""Real FCS files against FlowIO and FlowKit, to the last bit; files that they can't read have their own oracle."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest
from tests.real.conftest import real_data

from cartrace.flow.fcs import FcsData, read_fcs
from cartrace.problems import InputError

pytestmark = pytest.mark.real

FLOWIO_READS = (
    "fcsparser_instruments/FCS_3.0_Fortessa_PBS_Specimen_001_A1_A01.fcs",
    "fcsparser_instruments/HTS_BD_LSR_II_Mixed_Specimen_001_D6_D06.fcs",
    "fcsparser_instruments/SG_2014-09-26_Duplicate_Names.fcs",
    "fcsparser_instruments/Sample_Well_A02.fcs",
    "fcsparser_instruments/cyflow_cube_8.fcs",
    "fcsparser_instruments/fcs1_cleaned.lmd",
    "flowcal_beads/Data001.fcs",
    "flowcal_beads/Data002.fcs",
    "flowdensity_bcell/sampleFCS_1.fcs",
    "flowdensity_bcell/sampleFCS_2.fcs",
    "flowkit_fcs/100715.fcs",
    "flowkit_fcs/data_set_simple_line_100.fcs",
    "flowkit_fcs/index_sorted_example.fcs",
    "flowkit_fcs/test_comp_example.fcs",
    "flowkit_fcs/test_data_2d_01.fcs",
    "flowkit_fcs/test_data_diamond_01.fcs",
)
BITS_24 = (
    "fcsparser_instruments/Cytek_xP5.fcs",
    "flowcal_beads/sample001.fcs",
    "flowcal_beads/sample006.fcs",
)


def path_of(name: str) -> Path:
    path = real_data() / "assays" / name
    if not path.is_file():
        pytest.skip(f"the real file {path.name} is not here: set CARTRACE_REAL_DATA")
    return path


def opened(name: str, data_set: int | None = None) -> FcsData:
    return read_fcs(path_of(name), "tube.fcs", data_set)


def all_of(data: FcsData) -> np.ndarray:
    return data.read(range(len(data.channels)), 0, data.n_events)


@pytest.mark.parametrize("name", FLOWIO_READS)
def test_events_are_the_raw_events_of_flowkit(name: str) -> None:
    flowkit = pytest.importorskip("flowkit")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sample = flowkit.Sample(
            str(path_of(name)), sample_id="tube", ignore_offset_error=True, ignore_offset_discrepancy=True
        )
    data = opened(name)
    assert list(data.names) == sample.pnn_labels
    assert [c.stain for c in data.channels] == [s.strip() for s in sample.pns_labels]
    assert data.n_events == sample.event_count
    assert np.array_equal(all_of(data), sample.get_events(source="raw"))


@pytest.mark.parametrize("name", BITS_24)
def test_numbers_of_24_bits_are_read_byte_by_byte(name: str) -> None:
    # FlowIO reads no event of these; three bytes, the highest first, make one number.
    data = opened(name)
    content = path_of(name).read_bytes()
    begin = int(data.keywords["BEGINDATA"])
    for event in (0, data.n_events // 2, data.n_events - 1):
        for channel in data.channels:
            at = begin + 3 * (event * len(data.channels) + channel.index)
            raw = int.from_bytes(content[at : at + 3], "big") % (1 << (int(channel.range) - 1).bit_length())
            expected = raw * data.timestep if channel.kind == "time" and data.timestep else float(raw)
            if channel.decades:
                expected = 10 ** (channel.decades * raw / channel.range) * channel.offset
            value = data.read([channel.index], event, event + 1)[0, 0]
            assert value == pytest.approx(expected / channel.gain, rel=1e-12)
    if data.time is not None:
        clock = data.read([data.time], 0, data.n_events)[:, 0]
        assert (np.diff(clock) >= 0).all()


def test_both_data_sets_of_a_coulter_file_are_those_of_flowio() -> None:
    flowio = pytest.importorskip("flowio")
    name = "flowkit_fcs/coulter.lmd"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = flowio.read_multiple_data_sets(str(path_of(name)), ignore_offset_error=True)
    with pytest.raises(InputError, match="found 2 data sets"):
        opened(name)
    for number, their in enumerate(theirs, 1):
        data = opened(name, number)
        assert list(data.names) == their.pnn_labels
        assert np.array_equal(all_of(data), their.as_array())


@pytest.mark.parametrize("end", ["start", "stop"])
def test_files_whose_offsets_disagree_are_read_where_the_events_fit(end: str) -> None:
    # FlowIO reads the raw numbers of one of them, when it is told to trust TEXT; its scaling stops at $TIMESTEP.
    flowio = pytest.importorskip("flowio")
    data = opened(f"flowkit_fcs/data_{end}_offset_discrepancy_example.fcs")
    assert any("differently" in r for r in data.remarks)
    assert any("$TIMESTEP" in r for r in data.remarks)
    assert data.n_events == 2
    fio = flowio.FlowData(
        str(path_of("flowkit_fcs/data_start_offset_discrepancy_example.fcs")),
        ignore_offset_discrepancy=True,
        only_text=True,
    )
    content = path_of(f"flowkit_fcs/data_{end}_offset_discrepancy_example.fcs").read_bytes()
    begin = int(fio.text["begindata"])
    widths = [int(fio.text[f"p{i}b"]) // 8 for i in range(1, fio.channel_count + 1)]
    events = all_of(data)
    for event in range(2):
        at = begin + event * sum(widths)
        for channel, width in zip(data.channels, widths, strict=True):
            raw = int.from_bytes(content[at : at + width], "little")
            raw %= 1 << (int(channel.range) - 1).bit_length()
            at += width
            linear = (
                10 ** (channel.decades * raw / channel.range) * channel.offset if channel.decades else raw
            )
            assert events[event, channel.index] == pytest.approx(linear / channel.gain, rel=1e-12)


def test_spillover_matrices_are_those_of_flowutils() -> None:
    flowutils = pytest.importorskip("flowutils")
    for name in ("flowkit_fcs/100715.fcs", "flowkit_fcs/test_comp_example.fcs"):
        data = opened(name)
        matrix, channels = flowutils.compensate.get_spill(data.keywords["SPILL"])
        assert data.spillover is not None
        assert list(data.spillover.channels) == channels
        assert np.array_equal(data.spillover.matrix, matrix)


@pytest.mark.parametrize(
    ("name", "words"),
    [("corrupted.fcs", "no FCS HEADER"), ("sample_header.fcs", "events in a file of .* cut short")],
)
def test_broken_files_are_refused_in_words(name: str, words: str) -> None:
    with pytest.raises(InputError, match=words):
        opened(f"fcsparser_instruments/{name}")
