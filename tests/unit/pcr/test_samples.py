"""Names on a plate become samples and controls, and every doubt is told."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cartrace.pcr.assay import Assay, load_assay
from cartrace.pcr.plate import PLATE_WELLS
from cartrace.pcr.plate_map import read_plate_map
from cartrace.pcr.samples import map_wells
from cartrace.plates.sample_names import meaning_of
from cartrace.problems import InputError
from cartrace.tables import conform

BY_SUBJECT = {"pattern": r"(?P<subject>S\d+) D(?P<day>-?\d+).*", "matrix": "blood"}


def assay_with(**parts: Any) -> Assay:
    return load_assay(
        {
            "targets": {"CAR": {"names": ["EQUE-CAR"]}, "RPP30": {"role": "reference"}},
            "controls": {
                "PC high": {"task": "accuracy_control", "copies": {"CAR": 1000}},
                "NTC": {"task": "ntc"},
            },
            "reaction": {"template_ul": 5},
        }
        | parts,
        "assay.yaml",
    )


def plate(*lines: tuple[str, str | None] | dict[str, Any]) -> pd.DataFrame:
    """Wells of CAR: (well, sample name), or columns that differ from an unknown with a Cq."""
    rows = []
    for n, line in enumerate(lines, 2):
        given = line if isinstance(line, dict) else {"well": line[0], "sample_name": line[1]}
        rows.append(
            {"target": "CAR", "task": "unknown", "omitted": False, "cq": 30.0, "cq_kind": "quantified"}
            | {"source_row": n}
            | given
        )
    return conform(pd.DataFrame(rows), PLATE_WELLS)


def mapped(wells: pd.DataFrame, text: str | None = None, **assay: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    plate_map = None if text is None else read_plate_map(text, "maps/a.tsv")
    return map_wells(wells, assay_with(**assay), plate_map, file_id="p1")


def told(qc: pd.DataFrame, check: str) -> list[str]:
    return list(qc.loc[qc["check"] == check, "message"])


def test_without_a_pattern_the_name_is_a_sample_of_the_sheet() -> None:
    wells, qc = mapped(plate(("A01", " S1  a "), ("A02", "S2")))
    assert list(wells["sample"]) == ["S1 a", "S2"]
    assert list(wells["sample_id"]) == ["S1 a", "S2"]
    assert wells["subject_id"].isna().all()
    assert wells["mapping_flag"].isna().all()
    assert qc.empty


def test_a_pattern_gives_subject_visit_day_infusion_and_matrix() -> None:
    pattern = r"(?P<subject>\d+)/(?P<visit>W\d+)/D(?P<day>[^/]*)/(?P<infusion>\d+)/(?P<matrix>\w+)"
    wells, qc = mapped(
        plate(("A01", "1003/W4/D28/2/LCR"), ("A02", "1003/W4/D-5/1/blood")),
        samples={"pattern": pattern, "matrices": {"lcr": "csf"}},
    )
    assert qc.empty
    assert wells.loc[0, ["subject_id", "visit", "day", "infusion", "matrix"]].tolist() == [
        "1003",
        "W4",
        28,
        2,
        "csf",
    ]
    assert wells.loc[1, ["day", "infusion", "matrix"]].tolist() == [-5, 1, "blood"]
    assert list(wells["sample"]) == ["1003/W4/D28/2/LCR", "1003/W4/D-5/1/blood"]
    assert wells["sample_id"].isna().all()


def test_replicates_that_differ_in_what_the_pattern_leaves_out_are_one_sample() -> None:
    wells, qc = mapped(plate(("A01", "S1 D7 a"), ("A02", "S1 D7 b"), ("A03", "S1 D14")), samples=BY_SUBJECT)
    assert list(wells["sample"]) == ["S1 D7 a", "S1 D7 a", "S1 D14"]
    assert told(qc, "sample_two_names") == [
        "A01, A02: 'S1 D7 a', 'S1 D7 b' are one sample by samples.pattern, and are pooled"
    ]


@pytest.mark.parametrize(
    ("groups", "name", "reason"),
    [
        (r"(?P<subject>.*) D(?P<day>.*)", "S1 Dx", "its day is 'x'; allowed: a number of days"),
        (r"(?P<subject>.*) D(?P<day>.*)", "S1 D99999", "its day is '99999'"),
        (
            r"(?P<subject>.*) I(?P<infusion>.*)",
            "S1 I0",
            "its infusion is '0'; allowed: a whole number from 1",
        ),
        (r"(?P<subject>.*) (?P<matrix>\w*)", "S1 urin", "its matrix is 'urin'; allowed: a key of"),
        (r"(?P<subject>.*) (?P<visit>\S*)", "S1 2021-03-04", "a visit without a calendar date"),
        (r"(?P<subject>.*)", "=S1", "its subject is '=S1'"),
        (r"(?P<subject>S\d+)", "T1", "it does not fit samples.pattern"),
        (None, "S1 (2021-03-04)", "its sample is"),
        (None, "", "there is no name"),
    ],
)
def test_a_name_that_can_not_be_a_sample_is_told_with_the_reason(
    groups: str | None, name: str, reason: str
) -> None:
    wells, qc = mapped(plate(("A01", name), ("B01", name)), samples={"pattern": groups})
    assert list(wells["mapping_flag"]) == ["sample_unmapped"] * 2
    assert wells["sample"].isna().all()
    (message,) = told(qc, "sample_unmapped")
    assert message.startswith("A01, B01: ")
    assert reason in message
    assert "2021" not in qc.to_csv() + wells.to_csv()


def test_controls_are_known_by_name_without_case_and_spaces() -> None:
    wells, qc = mapped(plate(("A01", "pc  HIGH"), ("A02", "ntc"), ("A03", "S1")))
    assert list(wells["task"]) == ["accuracy_control", "ntc", "unknown"]
    assert wells["nominal"].tolist()[0] == 1000
    assert wells["control"].tolist()[:2] == ["PC high", "NTC"]
    assert wells["sample"].isna().tolist() == [True, True, False]
    assert qc.empty


def test_known_copies_belong_to_the_target_that_they_are_given_for() -> None:
    wells, _ = mapped(
        plate(
            {"well": "A01", "sample_name": "PC high"},
            {"well": "A01", "sample_name": "PC high", "target": "RPP30"},
        )
    )
    assert wells["nominal"].tolist()[0] == 1000
    assert np.isnan(wells["nominal"].tolist()[1])


def test_controls_of_the_file_keep_their_task_and_quantity() -> None:
    wells, qc = mapped(
        plate(
            {"well": "A01", "sample_name": "std 3", "task": "standard", "nominal": 1e4},
            {"well": "A02", "sample_name": None, "task": "ntc"},
            {"well": "A03", "sample_name": "S1", "task": "other"},
        )
    )
    assert list(wells["task"]) == ["standard", "ntc", "other"]
    assert wells["nominal"].tolist()[0] == 1e4
    assert wells["sample"].isna().all()
    assert wells["mapping_flag"].isna().all()
    assert qc.empty


def test_a_control_that_the_file_calls_something_else_is_told_and_the_name_counts() -> None:
    wells, qc = mapped(plate({"well": "A01", "sample_name": "NTC", "task": "standard", "nominal": 10}))
    assert list(wells["task"]) == ["ntc"]
    assert told(qc, "task_mismatch") == [
        "A01: the file says standard, the controls or the plate map say ntc, which counts"
    ]


def test_known_copies_that_differ_from_the_file_are_told() -> None:
    wells, qc = mapped(
        plate({"well": "A01", "sample_name": "PC high", "task": "accuracy_control", "nominal": 900})
    )
    assert wells["nominal"].tolist() == [1000]
    assert "the file says 900 copies per reaction" in told(qc, "nominal_mismatch")[0]


def test_an_accuracy_control_without_known_copies_is_told() -> None:
    _, qc = mapped(plate({"well": "A01", "sample_name": "PC low", "task": "accuracy_control"}))
    assert "no copies are known of the accuracy control 'PC low'" in told(qc, "control_unknown")[0]


def test_the_spike_and_the_reference_of_an_accuracy_control_need_no_known_copies() -> None:
    lines: list[dict[str, Any]] = [
        {"well": "A01", "sample_name": "PC low", "task": "accuracy_control", "target": "RPP30"},
        {"well": "A01", "sample_name": "PC low", "task": "accuracy_control", "target": "IPC"},
        {"well": "A02", "sample_name": "PC high", "target": "RPP30"},
    ]
    assert mapped(plate(*lines))[1].empty


def test_a_positive_control_with_known_copies_is_an_accuracy_control_without_a_word() -> None:
    wells, qc = mapped(plate({"well": "A01", "sample_name": "PC high", "task": "positive_control"}))
    assert list(wells["task"]) == ["accuracy_control"]
    assert qc.empty


def test_names_are_renamed_and_ignored_ones_left_out() -> None:
    wells, qc = mapped(
        plate(("A01", "s-1 d7"), ("A02", "test dye"), ("A03", "S2 D7")),
        samples=BY_SUBJECT | {"names": {"S-1 D7": "S1 D7"}, "ignore": ["Test dye"]},
    )
    assert list(wells["sample"].fillna("")) == ["S1 D7", "", "S2 D7"]
    assert list(wells["exclusion"].fillna("")) == ["", "ignored", ""]
    assert wells["mapping_flag"].isna().all()
    assert qc.empty


def test_the_plate_map_names_wells_that_the_file_leaves_without_name() -> None:
    wells, qc = mapped(
        plate(("A01", None), ("A02", None), ("A03", "S3")),
        "well\tsample\tdna_ng\tdilution\ttemplate_ul\texclude\nA1\tS1\t120\t5\t4\t\nA2\tNTC\t\t\t\t\n"
        "A3\t\t\t\t\tbubble\n",
    )
    assert list(wells["sample"].fillna("")) == ["S1", "", "S3"]
    assert list(wells["task"]) == ["unknown", "ntc", "unknown"]
    assert wells["dna_ng"].tolist()[0] == 120
    assert wells["dilution"].tolist() == [5, 1, 1]
    assert wells["template_ul"].tolist() == [4, 5, 5]
    assert list(wells["exclusion"].fillna("")) == ["", "", "excluded by the plate map: bubble"]
    assert wells["mapping_flag"].isna().all()
    assert qc.empty


def test_a_row_of_one_target_goes_before_the_row_of_the_well() -> None:
    wells, _ = mapped(
        plate(
            {"well": "A01", "sample_name": None},
            {"well": "A01", "sample_name": None, "target": "RPP30"},
        ),
        "well\tsample\ttarget\ttask\tnominal\nA1\t\teque-car\taccuracy_control\t500\n"
        "A1\tPC high\t\t\t\nA1\t\trpp30\t\t700\n",
    )
    assert list(wells["task"]) == ["accuracy_control"] * 2
    assert wells["nominal"].tolist() == [500, 700]


def test_wells_that_map_and_file_name_differently_are_rejected() -> None:
    wells, qc = mapped(
        plate(("A01", "S2"), ("A02", "S1"), ("A03", "s3"), ("A04", "S4")),
        "well\tsample\nA1\tS1\nA2\tS2\nA3\tS3\nA4\tS4\n",
    )
    assert list(wells["mapping_flag"].fillna("")) == [
        "sample_mismatch",
        "sample_mismatch",
        "sample_mismatch",
        "",
    ]
    assert list(wells["sample"]) == ["S1", "S2", "S3", "S4"]
    assert "A01: the plate map says 'S1', the file says 'S2': wells may be swapped" in told(
        qc, "sample_mismatch"
    )


def test_names_that_mean_one_sample_do_not_differ() -> None:
    wells, qc = mapped(
        plate(("A01", "S1 D7 tube 4"), ("A02", "Sample 12")),
        "well\tsample\nA1\tS1 D7\nA2\tS2 D7\n",
        samples=BY_SUBJECT,
    )
    assert wells["mapping_flag"].isna().all()
    assert list(wells["sample"]) == ["S1 D7", "S2 D7"]
    assert told(qc, "sample_mismatch") == []


@pytest.mark.parametrize(
    ("line", "row"),
    [
        ({"sample_name": "NTC"}, "A1\tS1\t"),
        ({"sample_name": None, "task": "ntc"}, "A1\tS1\t"),
        ({"sample_name": None, "task": "standard", "nominal": 10}, "A1\tS1\tunknown"),
        ({"sample_name": "S1", "task": "other"}, "A1\tS1\t"),
        ({"sample_name": "S1"}, "A1\tNTC\t"),
        ({"sample_name": "PC high"}, "A1\tNTC\t"),
        ({"sample_name": "S1"}, "A1\tblank\tntc"),
    ],
)
def test_a_control_in_one_and_a_sample_in_the_other_is_a_mismatch(line: dict[str, Any], row: str) -> None:
    wells, qc = mapped(plate({"well": "A01"} | line), "well\tsample\ttask\n" + row + "\n")
    assert list(wells["mapping_flag"]) == ["sample_mismatch"]
    assert len(told(qc, "sample_mismatch")) == 1


def test_the_plate_map_may_say_the_task_of_a_well_that_the_file_names() -> None:
    wells, qc = mapped(plate(("A01", "blank")), "well\ttask\nA1\tntc\n")
    assert list(wells["task"]) == ["ntc"]
    assert wells["sample"].isna().all()
    assert qc.empty


def test_a_well_with_two_samples_is_rejected() -> None:
    wells, qc = mapped(
        plate({"well": "A01", "sample_name": None}, {"well": "A01", "sample_name": None, "target": "RPP30"}),
        "well\tsample\ttarget\nA1\tS1\tCAR\nA1\tS2\tRPP30\n",
    )
    assert list(wells["mapping_flag"]) == ["sample_mapped_twice"] * 2
    assert told(qc, "sample_mapped_twice") == ["A01: the plate map names two samples: 'S1 / S2'"]


def test_wells_that_are_out_anyway_raise_no_doubts() -> None:
    wells, qc = mapped(
        plate({"well": "A01", "sample_name": None, "omitted": True}, ("A02", "S2"), ("A03", None)),
        "well\tsample\texclude\nA1\tS1\t\nA2\tS1\tspilled\nA3\t\tnot filled\n",
    )
    assert wells["mapping_flag"].isna().all()
    assert qc.empty


def test_the_spike_follows_the_sample_of_its_well() -> None:
    wells, qc = mapped(
        plate(
            {"well": "A01", "sample_name": "S1", "target": "IPC", "task": "inhibition_control"},
            {"well": "A02", "sample_name": "NTC", "target": "IPC", "task": "inhibition_control"},
        )
    )
    assert list(wells["sample"].fillna("")) == ["S1", ""]
    assert list(wells["task"]) == ["inhibition_control", "ntc"]
    assert qc.empty


def test_the_dilution_of_the_file_counts_unless_it_is_one() -> None:
    lines: list[dict[str, Any]] = [
        {"well": "A01", "sample_name": "S1", "dilution": 1.0},
        {"well": "A02", "sample_name": "S1", "dilution": 10.0},
        {"well": "A03", "sample_name": "S1"},
    ]
    wells, qc = mapped(plate(*lines), reaction={"template_ul": 5, "dilution": 4})
    assert wells["dilution"].tolist() == [4, 10, 4]
    assert told(qc, "dilution_mismatch") == [
        "A02: the file states a dilution of 10, the assay file 4; the file's counts"
    ]


def test_wells_of_the_map_that_the_file_lacks_are_told() -> None:
    _, qc = mapped(plate(("A01", "S1")), "well\tsample\nA1\tS1\nH12\tS9\n")
    assert told(qc, "plate_map_well_absent") == ["the plate map names wells that the file does not hold: H12"]


def test_a_target_of_the_map_that_the_assay_lacks_is_an_input_error() -> None:
    with pytest.raises(
        InputError, match=r"maps/a.tsv, column 'target': found 'CAR2' in the well A01.*mean 'CAR'"
    ):
        mapped(plate(("A01", "S1")), "well\ttarget\texclude\nA1\tCAR2\tbubble\n")


def test_calendar_dates_in_names_are_neither_shown_nor_lost_silently() -> None:
    wells, qc = mapped(
        plate(("A01", "S1 D7 2021-03-04"), ("A02", "S1 D14 2021-03-11"), ("A03", "x 2021-03-04")),
        samples=BY_SUBJECT,
    )
    assert list(wells["sample"].fillna("")) == ["S1 D7 <date>", "S1 D14 <date>", ""]
    assert "2021" not in wells.to_csv() + qc.to_csv()
    assert told(qc, "date_in_sample_name") == [
        "A01, A02, A03: names that hold a calendar date are shown without it"
    ]


def test_samples_whose_names_are_alike_without_dates_stay_apart() -> None:
    wells, _ = mapped(
        plate(("A01", "S1 D7"), ("A02", "s1 d7")),
        samples={"pattern": r"(?i:(?P<subject>s\d+) d(?P<day>\d+))", "matrix": "blood"},
    )
    assert list(wells["sample"]) == ["S1 D7", "s1 d7 (s1 blood 7.0)"]


def test_every_finding_names_the_plate_and_its_first_row() -> None:
    _, qc = mapped(plate(("A01", "S1"), ("B07", "")))
    assert qc.loc[0, ["check", "verdict", "source_file", "source_row"]].tolist() == [
        "sample_unmapped",
        "fail",
        "p1",
        3,
    ]


def test_an_unmapped_name_suggests_the_nearest_known_one() -> None:
    _, qc = mapped(plate(("A01", "PC hihg")), samples=BY_SUBJECT)
    assert list(qc["suggestion"]) == ["PC high"]


def test_a_plate_without_wells_has_no_findings() -> None:
    wells, qc = mapped(plate(("A01", "S1")).iloc[:0])
    assert wells.empty
    assert qc.empty
    assert {"sample", "mapping_flag", "template_ul"} <= set(wells.columns)


def test_the_extractions_sheet_finds_a_sample_by_any_of_its_names() -> None:
    assay = assay_with(samples=BY_SUBJECT | {"names": {"Muster": "S1 D7"}})
    assert meaning_of("S1 D7 b", assay).key == meaning_of("muster", assay).key
    assert meaning_of("S1 D8", assay).key != meaning_of("S1 D7", assay).key


def test_a_hostile_name_is_shown_short_and_printable() -> None:
    wells, qc = mapped(plate(("A01", "x" * 10_000), ("A02", "Muster\u202e\x07")), samples=BY_SUBJECT)
    assert wells["sample_name"].str.len().tolist() == [200, 8]
    assert all(name.isprintable() for name in wells["sample_name"])
    assert qc["value"].str.len().max() == 200
    assert all(value.isprintable() for value in qc["value"])


@settings(deadline=None, max_examples=20)
@given(
    st.lists(
        st.sampled_from(["S1 D7", "S1 D7 b", "S2 D7", "NTC", "PC high", "?", "", "x 2021-03-04"]), max_size=12
    ),
    st.lists(st.sampled_from(["S1 D7", "S2 D7", "NTC", "blank", ""]), max_size=12),
    st.randoms(use_true_random=False),
)
def test_the_order_of_the_wells_does_not_matter(names: list[str], by_map: list[str], random: Any) -> None:
    wells = (
        plate(*[(f"A{n:02d}", name) for n, name in enumerate(names, 1)]) if names else plate(("A01", "S1 D7"))
    )
    lines = [f"A{n}\t{name}\n" for n, name in enumerate(by_map, 1) if name]
    text = "well\tsample\n" + "".join(lines) if lines else None
    one, qc = mapped(wells, text, samples=BY_SUBJECT)
    order = list(range(len(wells)))
    random.shuffle(order)
    two, mixed = mapped(wells.iloc[order].reset_index(drop=True), text, samples=BY_SUBJECT)
    columns = ["subject_id", "day", "task", "mapping_flag", "exclusion"]
    pd.testing.assert_frame_equal(
        one[["well", *columns]],
        two[["well", *columns]].sort_values("well").reset_index(drop=True),
    )
    assert sorted(qc["check"]) == sorted(mixed["check"])
    assert (one["mapping_flag"].notna() | one["sample"].notna() | (one["task"] != "unknown")).all()
