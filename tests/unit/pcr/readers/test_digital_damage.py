"""Digital PCR files that were damaged on the way: a clear error or a plate, never a traceback."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cartrace.pcr.plate import ReadOptions
from cartrace.pcr.readers import read_plate
from cartrace.problems import InputError

FILES = {
    "quantasoft": (
        "Well,ExptType,Experiment,Sample,TargetType,Target,Status,Concentration,Positives,Negatives,"
        "AcceptedDroplets,MergedWells\n"
        '"A01",ABS,"E","S1",Ch1Unknown,"CAR","Manual",60.35,1000,19000,20000,"",\n'
        '"M01",ABS,"E","S1",Ch1Unknown,"CAR","",60.35,2000,38000,40000,"(A01,B01)",\n'
    ),
    "qx_manager": (
        "Well,Sample description 1,Target,Conc(copies/µL),Status,SampleType,DyeName(s),Accepted Droplets,"
        "Positives,Negatives\nA01,S1,CAR,60.35,OK,Unknown,FAM,20000,1000,19000\n"
        "B01,S2,CAR,No Call,CHECK,NTC,FAM,20000,0,20000\n"
    ),
    "qx_manager clusters": (
        "Target value of 0 = negative\n\nWell,Target 1,Target 2,Count,Ch1 Mean\nA01,0,0,15000,300.5,\n"
        "A01,1,0,40,3855.1,\nA01,u,1,9,373.0,\n"
    ),
    "qiacuity": (
        'sep=,\n"","Sample/NTC/Control","Target","Conc. [copies/µL]","CI (95%)","CI (95%)","Partitions (valid)",'
        '"Partitions (positive)","Partitions (negative)","Volume per well [µl]"\n'
        '"A1","S1","CAR","100.0","10.0%","62.8%","25400","1800","23600","21.5"\n'
    ),
    "absolute_q": (
        "Run,Group,Name,Well,Total,Dye,Target,Conc. cp/uL,95%CI,Positives\n"
        "r,G (1),,Average,20000,FAM,CAR,118.74,7.13,1000\nr,G,S1,A1,20000,FAM,CAR,118.74,7.13,1000\n"
    ),
    "absolute_q summary": (
        ",,,,,,,FAM,,,,\nRun name,Group,Sample,Well,DF,QC,Total,Target,Conc.,95%DeltaLCI,Positives,Threshold\n"
        "r,,S1,A1,1/1.0,PASS,20000,CAR,118.74,7.13,1000,13000\n"
    ),
    "absolute_q chambers": (
        "Well ID,Sample,Index,Reject,FAM,FAM_pos,FAM_target,FAM_threshold\n"
        "A1,S1,1,False,26754.5,True,CAR,13000\nA1,S1,2,False,54.5,False,CAR,13000\n"
    ),
    "amplitudes": "Ch1 Amplitude,Ch2 Amplitude,Cluster\n500,600,1\n9000,610,2\n9100,5000,3\n",
}
NAME = "data/run_A01_Amplitude.csv"


@pytest.mark.parametrize("kind", FILES)
def test_each_whole_file_is_read(kind: str) -> None:
    assert read_plate(FILES[kind].encode(), NAME, ReadOptions()).family == kind.split(maxsplit=1)[0]


@pytest.mark.parametrize("kind", FILES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_damage_gives_an_error_or_a_plate_and_never_a_traceback(kind: str, data: st.DataObject) -> None:
    content = bytearray(FILES[kind].encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(content) - 1))
        what = data.draw(st.sampled_from(["cut", "drop", "byte", "cell", "twice"]))
        if what == "cut":
            del content[max(1, at) :]
        elif what == "drop":
            del content[at : at + data.draw(st.integers(1, 30))]
        elif what == "byte":
            content[at] = data.draw(st.sampled_from(list(b'\x00\xff",;\t\n(.-e9\xc2')))
        elif what == "cell":
            content[at:at] = data.draw(st.sampled_from([b",", b'"', b"1e400", b"nan", b"-1", b"(A01", b"\n"]))
        else:
            content[at:at] = content[at : at + 40]
        if not content:
            return
    try:
        plate = read_plate(bytes(content), NAME, ReadOptions())
    except InputError as error:
        assert error.problems  # noqa: PT017 - either outcome is right
    else:
        counted = plate.wells.dropna(subset=["partitions"])
        assert (counted["positives"] <= counted["partitions"]).all()


@pytest.mark.parametrize("kind", ["quantasoft", "qx_manager", "qiacuity"])
@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_a_changed_count_is_an_error_where_the_file_writes_all_three(kind: str, data: st.DataObject) -> None:
    text = FILES[kind]
    counts = [c for c in ("20000", "19000", "1000", "25400", "23600", "1800", "40000", "38000") if c in text]
    old = data.draw(st.sampled_from(counts))
    new = str(data.draw(st.integers(0, 99999).filter(lambda n: str(n) != old)))
    with pytest.raises(InputError):
        read_plate(text.replace(old, new, 1).encode(), NAME, ReadOptions())
