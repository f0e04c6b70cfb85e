"""FCS files written by hand are read back, and each fault has its words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import flowio
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.flow.hand_fcs import fcs_bytes, write_fcs

from cartrace.flow.fcs import FcsData, read_fcs
from cartrace.problems import InputError

NAMES = ["FSC-A", "FITC-A", "Time"]
EVENTS = [[100.0, 1.5, 10.0], [200.0, -2.25, 20.0], [300.0, 1000.0, 30.0]]


@pytest.fixture
def opened(tmp_path: Path) -> Callable[..., FcsData]:
    def open_it(names: list[str] = NAMES, events: object = EVENTS, **how: object) -> FcsData:
        return read_fcs(write_fcs(tmp_path / "tube.fcs", names, events, **how), "tube.fcs")

    return open_it


def all_of(data: FcsData) -> np.ndarray:
    return data.read(range(len(data.channels)), 0, data.n_events)


def message(path: Path, data_set: int | None = None) -> str:
    with pytest.raises(InputError) as caught:
        read_fcs(path, "tube.fcs", data_set)
    return str(caught.value)


@pytest.fixture
def refused(tmp_path: Path) -> Callable[..., str]:
    def refuse(names: list[str] = NAMES, events: object = EVENTS, **how: object) -> str:
        return message(write_fcs(tmp_path / "tube.fcs", names, events, **how))

    return refuse


# What is read


@pytest.mark.parametrize("version", ["FCS2.0", "FCS3.0", "FCS3.1", "FCS3.2"])
@pytest.mark.parametrize("datatype", ["F", "D"])
@pytest.mark.parametrize("byteord", ["1,2,3,4", "4,3,2,1"])
def test_floats_are_read_as_they_were_written(
    opened: Callable[..., FcsData], version: str, datatype: str, byteord: str
) -> None:
    data = opened(version=version, datatype=datatype, byteord=byteord, stains=["", "CD3", ""])
    assert data.version == version
    assert data.names == tuple(NAMES)
    assert data.channels[1].stain == "CD3"
    assert [c.kind for c in data.channels] == ["scatter", "fluorescence", "time"]
    assert data.time == 2
    assert data.n_events == 3
    assert data.remarks == ()
    assert all_of(data).tolist() == EVENTS


@pytest.mark.parametrize("byteord", ["1,2,3,4", "4,3,2,1", "1,2", "2,1"])
def test_integers_of_mixed_widths_are_read(opened: Callable[..., FcsData], byteord: str) -> None:
    events = [[1, 2, 70000, 5_000_000, 255], [250, 65535, 16_777_215, 0, 9]]
    data = opened(list("abcde"), events, datatype="I", bits=[8, 16, 24, 32, 64], byteord=byteord)
    assert all_of(data).tolist() == events


def test_bits_above_the_next_power_of_two_of_the_range_do_not_count(opened: Callable[..., FcsData]) -> None:
    # 1000 lets ten bits through, as 1024 does: 5 + 2048 -> 5, 1023 stays.
    data = opened(["a", "b"], [[5 + 2048, 5 + 2048], [1023, 1024]], datatype="I", ranges=[1000, 65536])
    assert all_of(data).tolist() == [[5, 2053], [1023, 1024]]


def test_log_decades_gain_and_time_step_are_undone(opened: Callable[..., FcsData]) -> None:
    events = [[512, 20, 7], [0, 5, 9]]
    data = opened(
        ["FL1", "FL2", "Time"],
        events,
        datatype="I",
        ranges=[1024, 1024, 65536],
        decades={"FL1": "4,0"},
        gains={"FL2": 4.0, "Time": 10.0},
        timestep=0.5,
    )
    # 10^(4 x 512 / 1024) = 100, lowest value 0 means 1; 20 / 4; 7 x 0.5 and no gain for time.
    assert all_of(data).tolist() == [[100.0, 5.0, 3.5], [1.0, 1.25, 4.5]]
    assert (data.channels[0].decades, data.channels[0].offset) == (4.0, 1.0)
    assert [c.gain for c in data.channels] == [1.0, 4.0, 1.0]
    assert data.timestep == 0.5


def test_columns_and_stretches_are_read_alone(opened: Callable[..., FcsData]) -> None:
    events = np.arange(120_000.0).reshape(-1, 3)
    data = opened(NAMES, events)
    part = data.read([2, 0], 16_000, 33_000)
    assert np.array_equal(part, events[16_000:33_000, [2, 0]])
    assert data.read([1], 5, 5).shape == (0, 1)
    with pytest.raises(IndexError):
        data.read([0], 0, 40_001)


def test_keywords_are_upper_case_and_delimiters_in_values_are_single(opened: Callable[..., FcsData]) -> None:
    data = opened(extra={"$P2S": "a/b", "Laser": "488"}, stains=["", "x", ""])
    assert data.channels[1].stain == "a/b"
    assert data.keywords["LASER"] == "488"


@pytest.mark.parametrize("delimiter", ["/", "|", "\\", "\x0c", "*", "."])
def test_any_delimiter_will_do(opened: Callable[..., FcsData], delimiter: str) -> None:
    data = opened(
        stains=["", f"CD3{delimiter}CD4", ""], delimiter=delimiter, extra={"$P1R": "1024", "$P2R": "9"}
    )
    assert data.channels[1].stain == f"CD3{delimiter}CD4"


def test_empty_values_are_understood_where_the_standard_reading_loses_a_channel(
    opened: Callable[..., FcsData],
) -> None:
    # /$OP//$P1N/...: by the standard the // is a slash inside the value of $OP, and $P1N is lost.
    data = opened(extra={"$P1N": None, "$OP": "", "$P1N ": "FSC-A"})
    assert data.names[0] == "FSC-A"
    assert data.remarks == ("TEXT holds empty values",)


def test_volume_is_nanolitres_in_the_file_and_microlitres_here(opened: Callable[..., FcsData]) -> None:
    assert opened(volume_nl=99_000).volume_ul == 99.0
    assert opened().volume_ul is None


def test_channel_names_that_stand_twice_get_a_number(opened: Callable[..., FcsData]) -> None:
    data = opened(["A", "A", "A_2", "A"], [[1, 2, 3, 4]])
    assert data.names == ("A", "A_3", "A_2", "A_4")
    assert "stand twice" in data.remarks[0]
    assert "'A'" in data.remarks[0]


def test_channel_names_that_no_table_can_show_are_changed(tmp_path: Path) -> None:
    names = ["FSC-A", "A\x1b[31m", "run 2024-03-01", "run 2024-03-02"]
    spillover = (names[1:3], np.array([[1, 0.2], [0.1, 1]]))
    data = read_fcs(write_fcs(tmp_path / "t.fcs", names, np.ones((3, 4)), spillover=spillover), "t.fcs")
    assert data.names == ("FSC-A", "A?[31m", "run <date>", "run <date>_2")
    assert data.spillover is not None
    assert data.spillover.channels == ("A?[31m", "run <date>")
    assert any("were changed" in remark for remark in data.remarks)
    assert "2024" not in " ".join(data.remarks)


@pytest.mark.parametrize("version", ["FCS3.0", "FCS3.1"])
def test_the_spillover_matrix_is_read_by_name(opened: Callable[..., FcsData], version: str) -> None:
    data = opened(["A", "B"], [[1, 2]], spillover=(["B", "A"], [[1, 0.25], [0, 1]]), version=version)
    assert data.spillover is not None
    assert data.spillover.channels == ("B", "A")
    assert data.spillover.matrix.tolist() == [[1, 0.25], [0, 1]]


def test_the_spillover_matrix_is_read_by_number_and_as_comp(opened: Callable[..., FcsData]) -> None:
    by_number = opened(["A", "B"], [[1, 2]], extra={"$SPILLOVER": "2,2,1,1,0.5,0,1"}).spillover
    assert by_number is not None
    assert by_number.channels == ("B", "A")
    comp = opened(["A", "B"], [[1, 2]], extra={"$COMP": "2,1,0.5,0,1"}).spillover
    assert comp is not None
    assert comp.channels == ("A", "B")
    assert comp.matrix.tolist() == [[1, 0.5], [0, 1]]


# Oddities that are mended, with a remark


def test_data_that_end_a_byte_late_are_read(opened: Callable[..., FcsData]) -> None:
    plain = opened()
    stop = int(plain.keywords["ENDDATA"]) + 1
    data = opened(extra={"$ENDDATA": f"{stop:012d}"}, header={"data_stop": stop})
    assert all_of(data).tolist() == EVENTS
    assert data.remarks == ("the last byte of DATA is named one too late",)


@pytest.mark.parametrize("wrong", ["HEADER", "TEXT"])
def test_of_two_places_the_one_that_fits_the_events_is_read(
    opened: Callable[..., FcsData], wrong: str
) -> None:
    if wrong == "HEADER":
        data = opened(header={"data_start": 100})
    else:
        data = opened(extra={"$BEGINDATA": "000000000100"})
    assert all_of(data).tolist() == EVENTS
    assert "differently" in data.remarks[0]


def test_a_large_file_has_its_offsets_in_text_only(opened: Callable[..., FcsData]) -> None:
    data = opened(header={"data_start": 0, "data_stop": 0})
    assert all_of(data).tolist() == EVENTS
    assert data.remarks == ()


def test_fcs_2_without_a_number_of_events_counts_them_by_length(opened: Callable[..., FcsData]) -> None:
    data = opened(version="FCS2.0", extra={"$TOT": None})
    assert all_of(data).tolist() == EVENTS


def test_a_tube_without_events_is_read(opened: Callable[..., FcsData]) -> None:
    data = opened(events=np.empty((0, 3)))
    assert data.n_events == 0
    assert all_of(data).shape == (0, 3)


@pytest.mark.parametrize(("keyword", "value"), [("$TIMESTEP", "fast"), ("$TIMESTEP", "0"), ("$VOL", "-1")])
def test_a_time_step_or_volume_that_is_no_number_is_not_used(
    opened: Callable[..., FcsData], keyword: str, value: str
) -> None:
    data = opened(extra={keyword: value})
    assert (data.timestep, data.volume_ul) == (None, None)
    assert all_of(data)[:, 2].tolist() == [10, 20, 30]
    assert keyword in data.remarks[0]


def test_a_last_data_set_may_point_to_the_end_of_the_file(tmp_path: Path) -> None:
    path = write_fcs(tmp_path / "tube.fcs", NAMES, EVENTS, more=True)
    assert all_of(read_fcs(path, "tube.fcs")).tolist() == EVENTS


def test_one_of_several_data_sets_is_read_when_it_is_named(tmp_path: Path) -> None:
    path = tmp_path / "tube.lmd"
    path.write_bytes(
        fcs_bytes(NAMES, EVENTS, version="FCS2.0", more=True)
        + fcs_bytes(["X"], [[1], [2]], more=True)
        + fcs_bytes(["Y"], [[3]])
    )
    assert "3 data sets" in message(path)
    assert [read_fcs(path, "t", k).names for k in (1, 2, 3)] == [tuple(NAMES), ("X",), ("Y",)]
    assert all_of(read_fcs(path, "t", 2)).tolist() == [[1], [2]]
    assert read_fcs(path, "t", 3).data_set == 3
    assert "data set 4 asked for; allowed: 1 to 3" in message(path, 4)


def test_nothing_of_the_events_is_read_before_they_are_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write_fcs(tmp_path / "tube.fcs", NAMES, np.zeros((1000, 3)))

    def forbidden(*_: object, **__: object) -> None:
        raise AssertionError("DATA was read")

    monkeypatch.setattr(np, "fromfile", forbidden)
    data = read_fcs(path, "tube.fcs")
    with pytest.raises(AssertionError, match="DATA was read"):
        data.read([0], 0, 1)


# Faults


@pytest.mark.parametrize(
    ("extra", "words"),
    [
        ({"$PAR": None}, "column '$PAR': found nothing; allowed: the number of channels"),
        ({"$PAR": "100000"}, "'100000'; allowed: the number of channels, 1 to 2000"),
        ({"$PAR": "-3"}, "'-3'"),
        ({"$PAR": "4"}, "column '$P4N': found nothing"),
        ({"$TOT": None}, "column '$TOT': found nothing; allowed: the number of events"),
        ({"$TOT": "4"}, "4 events of 12 bytes: 48 bytes"),
        ({"$TOT": "99999999999999"}, "99999999999999 events of 12 bytes"),
        ({"$MODE": "C"}, "column '$MODE': found 'C'; allowed: L"),
        ({"$DATATYPE": "A"}, "column '$DATATYPE': found 'A'; allowed: I, F or D"),
        ({"$BYTEORD": "2,1,4,3"}, "column '$BYTEORD': found '2,1,4,3'"),
        ({"$P2R": "-5"}, "column '$P2R': found '-5'"),
        ({"$P2R": "1e999"}, "column '$P2R': found '1e999'"),
        ({"$P2E": "4"}, "column '$P2E': found '4'"),
        ({"$P2E": "4,1,2"}, "column '$P2E'"),
        ({"$P2G": "-1"}, "column '$P2G': found '-1'"),
        ({"$P2G": "nan"}, "column '$P2G'"),
        ({"$P2N": " "}, "column '$P2N'"),
        ({"$NEXTDATA": "-58"}, "column '$NEXTDATA': found '-58'"),
        ({"$NEXTDATA": "100"}, "data set 2: a begin that is no FCS HEADER"),
        ({"$NEXTDATA": "999999"}, "found data set 2 at byte 999999"),
        ({"$SPILLOVER": "2,FSC-A,FITC-A,1,0,0"}, "column '$SPILLOVER'"),
        ({"$SPILLOVER": "2,FSC-A,FSC-A,1,0,0,1"}, "n different channels"),
        ({"$SPILLOVER": "2,FSC-A,FITC-A,1,0,x,1"}, "n x n numbers"),
        ({"$SPILLOVER": "999999,FSC-A"}, "begins with '999999'"),
    ],
)
def test_a_broken_keyword_is_named(
    refused: Callable[..., str], extra: dict[str, str | None], words: str
) -> None:
    found = refused(extra=extra)
    assert words in found
    assert "tube.fcs" in found


def test_all_broken_keywords_of_the_channels_are_named_at_once(refused: Callable[..., str]) -> None:
    found = refused(datatype="I", extra={"$P1B": "7", "$P2R": "0", "$P3E": "x"})
    assert "3 problems" in found
    assert all(f"'${k}'" in found for k in ("P1B", "P2R", "P3E"))


def test_a_wrong_number_of_channels_does_not_fill_the_screen(refused: Callable[..., str]) -> None:
    found = refused(extra={"$PAR": "1999"})
    assert "'$P4N'" in found
    assert "20 problems" in found


def test_a_word_in_the_place_of_a_number_is_not_shown(refused: Callable[..., str]) -> None:
    found = refused(extra={"$TOT": "Jane Doe"})
    assert "Jane" not in found
    assert "found text" in found


def test_two_places_that_both_fit_are_refused(refused: Callable[..., str]) -> None:
    assert "damaged" in refused(header={"data_start": 100, "data_stop": 135})


@pytest.mark.parametrize("keep", [0, 5, 57, 58, 300])
def test_a_file_cut_before_its_data_is_refused(tmp_path: Path, keep: int) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(fcs_bytes(NAMES, EVENTS)[:keep])
    assert message(path)


def test_a_file_cut_inside_its_data_tells_how_many_events_are_left(tmp_path: Path) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(fcs_bytes(NAMES, EVENTS, crc=b"")[:-13])
    assert "found 1 of 3 events" in message(path)


@pytest.mark.parametrize(
    "content", [b"PK\x03\x04" + bytes(200), b"FCS9.9" + bytes(200), b"FCS3.1" + bytes(200)]
)
def test_another_file_is_no_fcs_file(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "tube.fcs"
    path.write_bytes(content)
    assert "FCS" in message(path) or "TEXT" in message(path)


def test_a_file_that_is_not_there_is_an_input_error(tmp_path: Path) -> None:
    assert "no file that can be read" in message(tmp_path / "gone.fcs")


def test_a_file_that_is_cut_while_it_is_read_is_no_crash(tmp_path: Path) -> None:
    path = write_fcs(tmp_path / "tube.fcs", NAMES, EVENTS)
    data = read_fcs(path, "tube.fcs")
    path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(OSError, match="cut short"):
        all_of(data)


# FlowIO as the oracle


@st.composite
def integer_files(draw: st.DrawFn) -> dict[str, object]:
    """One width for all channels, or several; ranges with and without a bit mask; amplifiers."""
    n = draw(st.integers(1, 5))
    bits = draw(st.one_of(st.lists(st.sampled_from([8, 16, 32]), min_size=n, max_size=n), st.just([16] * n)))
    ranges = [draw(st.integers(2, 2**b)) for b in bits]
    rows = draw(st.integers(1, 6))
    events = [[draw(st.integers(0, 2**b - 1)) for b in bits] for _ in range(rows)]
    names = [f"C{i}" for i in range(n - 1)] + ["Time"]
    return {
        "names": names,
        "events": events,
        "bits": bits,
        "ranges": ranges,
        "decades": {c: draw(st.sampled_from(["0,0", "4,0", "4.0,0.1024", "3.5,1"])) for c in names[:-1]},
        "gains": {c: draw(st.sampled_from([1.0, 0.0, 2.0, 6.5536])) for c in names},
        "timestep": draw(st.sampled_from([None, 0.01, 1.0])),
        "byteord": draw(st.sampled_from(["1,2,3,4", "4,3,2,1"])),
    }


@settings(deadline=None, max_examples=60)
@given(how=integer_files())
def test_integers_are_those_of_flowio_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory, how: dict[str, object]
) -> None:
    path = tmp_path_factory.mktemp("oracle") / "tube.fcs"
    write_fcs(path, how.pop("names"), how.pop("events"), datatype="I", **how)  # type: ignore[arg-type]
    with np.errstate(over="ignore"):
        theirs = flowio.FlowData(str(path)).as_array()
    assert np.array_equal(all_of(read_fcs(path, "tube.fcs")), theirs)


@settings(deadline=None, max_examples=40)
@given(
    events=st.lists(
        st.tuples(*[st.floats(width=32, allow_nan=False, min_value=-1e6, max_value=1e6)] * 3),
        min_size=1,
        max_size=8,
    ),
    gain=st.floats(0.01, 100),
    byteord=st.sampled_from(["1,2,3,4", "4,3,2,1"]),
    datatype=st.sampled_from(["F", "D"]),
)
def test_floats_are_those_of_flowio_to_the_last_bit(
    tmp_path_factory: pytest.TempPathFactory,
    events: list[tuple[float, ...]],
    gain: float,
    byteord: str,
    datatype: str,
) -> None:
    path = tmp_path_factory.mktemp("oracle") / "tube.fcs"
    write_fcs(path, NAMES, events, gains={"FITC-A": gain}, timestep=0.01, byteord=byteord, datatype=datatype)
    theirs = flowio.FlowData(str(path)).as_array()
    assert np.array_equal(all_of(read_fcs(path, "tube.fcs")), theirs)
