"""Droplet amplitudes, alone and beside a results file, in files that the tests write."""

from __future__ import annotations

import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.pcr.plate import Plate, ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.pcr.readers.amplitudes import read_amplitudes
from cartrace.problems import InputError

QX100 = "Ch1 Amplitude,Ch2 Amplitude,Cluster"
COMMENT = (
    "Target Value of 0 = negative\nTarget Value of 1 = positive\n"
    "Target Value of u = unclassified (Advanced Classification Mode)\n\n"
)
NAME = "data/run_A01_Amplitude.csv"
THRESHOLDS = {"Ch1": 3000.0, "ch2": 2000.0}


def read(text: str, name: str = NAME, **thresholds: float) -> Plate:
    return read_plate(text.encode(), name, ReadOptions(thresholds=thresholds))


def refusal(text: str, name: str = NAME, **thresholds: float) -> str:
    with pytest.raises(InputError) as error:
        read(text, name, **thresholds)
    return str(error.value)


def counts(plate: Plate) -> list[list[object]]:
    found: list[list[object]] = plate.wells[["well", "target", "positives", "partitions"]].to_numpy().tolist()
    return found


def test_clusters_of_quantasoft_call_both_channels() -> None:
    # 1: neither, 2: first channel, 3: both, 4: second channel
    plate = read(f"{QX100}\n500,600,1\n510,620,1\n9000,610,2\n9100,5000,3\n520,5100,4\n")
    assert counts(plate) == [["A01", "Ch1", 2, 5], ["A01", "Ch2", 2, 5]]
    assert plate.wells["threshold"].isna().all()
    assert plate.platform == ""
    assert plate.amplitudes["positive"].tolist()[:5] == [False, False, True, True, False]


def test_a_threshold_goes_before_the_cluster() -> None:
    plate = read(f"{QX100}\n500,600,1\n2500,620,2\n9000,610,2\n3000,5000,3\n", Ch1=3000)
    assert counts(plate) == [["A01", "Ch1", 1, 4], ["A01", "Ch2", 1, 4]]
    assert plate.wells["threshold"].fillna(-1).tolist() == [3000, -1]


def test_droplets_of_cluster_0_count_for_nothing_and_are_told() -> None:
    plate = read(f"{QX100}\n500,600,0\n510,620,1\n9000,610,2\n")
    assert counts(plate) == [["A01", "Ch1", 1, 2], ["A01", "Ch2", 0, 2]]
    assert [r.check for r in plate.remarks] == ["unclassified"] * 2


def test_one_cluster_alone_is_no_call_so_thresholds_are_asked_for() -> None:
    text = f"{QX100}\n500,600,1\n510,620,1\n"
    told = refusal(text)
    assert "no threshold for 'Ch1', 'Ch2'" in told
    assert "read: {thresholds: {Ch1: NUMBER, Ch2: NUMBER}}" in told
    assert counts(read(text, Ch1=3000, Ch2=550)) == [["A01", "Ch1", 0, 2], ["A01", "Ch2", 2, 2]]


@pytest.mark.parametrize("header", ["Ch1 Amplitude,Ch2 Amplitude", "FAM,HEX"])
def test_two_columns_need_a_threshold_for_each(header: str) -> None:
    text = f"{header}\n500,600\n9000,610\n"
    first, second = header.replace(" Amplitude", "").split(",")
    assert f"no threshold for '{second}'" in refusal(text, **{first: 3000.0})
    plate = read(text, **{first: 3000.0, second: 605.0})
    assert counts(plate) == [["A01", first, 1, 2], ["A01", second, 1, 2]]


def test_the_form_of_qx_manager_has_calls_in_the_order_of_the_channels() -> None:
    plate = read(f"{COMMENT}Ch1Amplitude,Ch2Amplitude,1,2,\n500,6000,0,1,\n9000,6100,1,1,\n9100,610,u,0,\n\n")
    assert counts(plate) == [["A01", "Ch1", 1, 2], ["A01", "Ch2", 2, 3]]
    assert plate.amplitudes["positive"].fillna(False).tolist() == [False, True, False, True, True, False]
    assert plate.amplitudes["positive"].isna().tolist() == [False, False, True, False, False, False]


def test_targets_that_are_not_tied_to_channels_are_counted_as_they_are() -> None:
    plate = read(f"{COMMENT}Ch1Amplitude,Ch2Amplitude,CAR,RPP30,IPC,\n500,6000,0,1,1,\n9000,6100,1,1,0,\n")
    assert counts(plate) == [["A01", "CAR", 1, 2], ["A01", "RPP30", 2, 2], ["A01", "IPC", 1, 2]]
    assert plate.amplitudes["positive"].isna().all()


def test_the_file_name_gives_the_well() -> None:
    text = f"{QX100}\n500,600,1\n9000,610,2\n"
    assert read(text, "data/a_B7_x/plate 2_h12_Amplitude.csv").wells["well"].tolist() == ["H12", "H12"]
    assert "a file name without well" in refusal(text, "data/run.csv")
    assert "a file name without well" in refusal(text, "data/run_Z01_Amplitude.csv")


def test_bad_cells_are_told_by_row() -> None:
    told = refusal(f"{QX100}\n500,x,1\n510,620,7\n,620,1\n", **THRESHOLDS)
    assert "row 2, column 'Ch2 Amplitude': found 'x'" in told
    assert "row 3, column 'Cluster': found '7'" in told
    assert "row 4, column 'Ch1 Amplitude': found ''" in told
    assert "no droplet" in refusal(f"{QX100}\n")


def test_amplitudes_beside_a_results_file_need_no_threshold() -> None:
    frame = read_amplitudes(b"Ch1 Amplitude,Ch2 Amplitude\n500,600\n9000,610\n", "data/x.csv", "b2")
    assert frame["well"].tolist() == ["B02"] * 4
    assert frame["channel"].tolist() == ["Ch1", "Ch1", "Ch2", "Ch2"]
    assert frame["amplitude"].tolist() == [500, 9000, 600, 610]
    assert frame["positive"].isna().all()
    with_limit = read_amplitudes(
        b"Ch1 Amplitude,Ch2 Amplitude\n500,600\n9000,610\n",
        "data/x.csv",
        "B02",
        ReadOptions(thresholds={"Ch1": 3000.0}),
    )
    assert with_limit["positive"].dropna().tolist() == [False, True]


def test_a_file_without_amplitudes_is_refused() -> None:
    with pytest.raises(InputError, match="a file without amplitudes"):
        read_amplitudes(b"Well,Sample\nA01,S1\n", "data/x.csv", "A01")


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(st.integers(-500, 30000), st.integers(-500, 30000), st.integers(1, 4)),
        min_size=1,
        max_size=40,
    ),
    st.integers(0, 20000),
)
def test_counts_follow_the_threshold_and_the_picture_follows_the_counts(
    droplets: list[tuple[int, int, int]], limit: int
) -> None:
    text = QX100 + "".join(f"\n{a},{b},{c}" for a, b, c in droplets)
    plate = read(text, Ch1=limit, Ch2=limit)
    above = [sum(d[i] > limit for d in droplets) for i in (0, 1)]
    assert plate.wells["positives"].tolist() == above
    shown: pd.DataFrame = plate.amplitudes
    assert shown.groupby("channel")["positive"].sum().tolist() == above
    assert len(shown) == 2 * len(droplets)
