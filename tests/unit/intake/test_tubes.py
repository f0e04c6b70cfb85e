"""The tubes sheet and the gate review sheet: every fault is told with its row and column."""

from __future__ import annotations

from pathlib import Path

import pytest

from cartrace.intake.tubes import GateReview, Tube, read_gate_review, read_tubes
from cartrace.problems import Problem

COLUMNS = (
    "file_id",
    "kind",
    "sample_id",
    "marker",
    "batch",
    "data_set",
    "beads_per_ul",
    "bead_volume_ul",
    "sample_volume_ul",
    "dilution",
    "acquired_volume_ul",
    "lymphocytes_per_ul",
    "white_cells_per_ul",
    "unreadable",
)
SHA256 = "0123456789abcdef" * 4


def line(**cells: str) -> str:
    whole = {"file_id": "t1", "kind": "sample", "sample_id": "S1"} | cells
    return "\t".join(whole.get(column, "") for column in COLUMNS) + "\n"


def tubes_of(folder: Path, *lines: str) -> tuple[tuple[Tube, ...], list[Problem]]:
    (folder / "tubes.tsv").write_text("\t".join(COLUMNS) + "\n" + "".join(lines))
    problems: list[Problem] = []
    return read_tubes(folder, "tubes.tsv", problems), problems


def reviews_of(folder: Path, *rows: str) -> tuple[tuple[GateReview, ...], list[Problem]]:
    header = "file_id\tverdict\tgates_sha256\tremark\n"
    (folder / "review.tsv").write_text(header + "".join(f"{row}\n" for row in rows))
    problems: list[Problem] = []
    return read_gate_review(folder, "review.tsv", problems), problems


def test_a_full_row_is_read_as_it_stands(tmp_path: Path) -> None:
    tubes, problems = tubes_of(
        tmp_path,
        line(
            batch="B1",
            data_set="2",
            beads_per_ul="1010",
            bead_volume_ul="50",
            sample_volume_ul="100",
            dilution="5",
            acquired_volume_ul="80.5",
            lymphocytes_per_ul="1200",
            white_cells_per_ul="5.1e3",
            unreadable="CD38: daratumumab; CD19: prior product: CD19 CAR",
        ),
    )
    assert problems == []
    assert tubes == (
        Tube(
            file_id="t1",
            kind="sample",
            sample_id="S1",
            marker=None,
            batch="B1",
            data_set=2,
            beads_per_ul=1010,
            bead_volume_ul=50,
            sample_volume_ul=100,
            dilution=5,
            acquired_volume_ul=80.5,
            lymphocytes_per_ul=1200,
            white_cells_per_ul=5100,
            unreadable=(("CD38", "daratumumab"), ("CD19", "prior product: CD19 CAR")),
            row=2,
        ),
    )


def test_controls_name_what_they_leave_out_and_need_no_sample(tmp_path: Path) -> None:
    tubes, problems = tubes_of(
        tmp_path,
        line(file_id="f", kind="fmo", sample_id="", marker="CAR", batch="B1"),
        line(file_id="i", kind="isotype", marker="CD38", batch="B1"),
        line(file_id="u", kind="unstained", sample_id=""),
    )
    assert problems == []
    assert [(t.kind, t.sample_id, t.marker) for t in tubes] == [
        ("fmo", None, "CAR"),
        ("isotype", "S1", "CD38"),
        ("unstained", None, None),
    ]


def test_the_order_of_columns_and_spaces_change_nothing(tmp_path: Path) -> None:
    first, _ = tubes_of(tmp_path, line(batch="B1", dilution="5"))
    (tmp_path / "tubes.tsv").write_text(
        "dilution\tbatch\tkind\tsample_id\tfile_id\n5.0 \t B1\tsample\tS1\tt1\n"
    )
    problems: list[Problem] = []
    assert read_tubes(tmp_path, "tubes.tsv", problems) == first
    assert problems == []


@pytest.mark.parametrize(
    ("cells", "column", "said"),
    [
        ({"kind": ""}, "kind", "found nothing; allowed: a value"),
        (
            {"kind": "fmo-1"},
            "kind",
            "found 'fmo-1'; allowed: sample, fmo, isotype, unstained (did you mean 'fmo'?)",
        ),
        ({"file_id": ""}, "file_id", "found nothing"),
        ({"sample_id": ""}, "sample_id", "found nothing; allowed: the sample that is in the tube"),
        ({"kind": "fmo", "batch": "B1"}, "marker", "allowed: the marker that the tube leaves out"),
        ({"kind": "isotype", "marker": "CAR"}, "batch", "allowed: the batch whose tubes it is a control of"),
        (
            {"marker": "CAR"},
            "marker",
            "found 'CAR'; allowed: nothing; it belongs to the kinds fmo and isotype",
        ),
        ({"kind": "unstained", "marker": "CAR"}, "marker", "it belongs to the kinds fmo and isotype"),
        ({"batch": "2021-03-04"}, "batch", "allowed: an id without a calendar date in it"),
        ({"batch": "=B1"}, "batch", "begins with a letter or digit"),
        ({"data_set": "0"}, "data_set", "found '0'; allowed: number of the data set in the file, from 1"),
        ({"data_set": "1.5"}, "data_set", "found '1.5'"),
        (
            {"dilution": "0.2"},
            "dilution",
            "found '0.2'; allowed: volume that was acquired over specimen in it",
        ),
        ({"sample_volume_ul": "0.1"}, "sample_volume_ul", "uL of the specimen in the tube, 5 to 20000"),
        (
            {"acquired_volume_ul": "80000", "dilution": "5"},
            "acquired_volume_ul",
            "uL that the instrument took, 1 to 10000",
        ),
        (
            {"acquired_volume_ul": "80"},
            "dilution",
            "found nothing; allowed: the dilution of the acquired volume; 1 when there is none",
        ),
        ({"lymphocytes_per_ul": "1e6"}, "lymphocytes_per_ul", "lymphocytes per uL (1.2 x 10^9/L are 1200)"),
        ({"lymphocytes_per_ul": "1,2"}, "lymphocytes_per_ul", "found '1,2'"),
        ({"white_cells_per_ul": "-1"}, "white_cells_per_ul", "white cells per uL (5 x 10^9/L are 5000)"),
        ({"unreadable": "CD38"}, "unreadable", "found 'CD38'; allowed: MARKER: reason; MARKER: reason"),
        ({"unreadable": "CD38:"}, "unreadable", "found 'CD38:'"),
        ({"unreadable": ": drug"}, "unreadable", "found ': drug'"),
        ({"unreadable": "CD38: a; CD38: b"}, "unreadable", "found 'CD38' twice; allowed: each marker once"),
        ({"unreadable": "CD38: drug of 3 Mar 2021"}, "unreadable", "allowed: a reason without a date"),
        ({"unreadable": "CD38: \x1b[2J"}, "unreadable", "found a control character"),
    ],
)
def test_each_fault_of_a_tube_is_told(tmp_path: Path, cells: dict[str, str], column: str, said: str) -> None:
    _, problems = tubes_of(tmp_path, line(file_id="t0"), line(**cells))
    told = [str(p) for p in problems]
    assert len(told) == 1
    assert told[0].startswith(f"tubes.tsv, row 3, column '{column}': ")
    assert said in told[0]
    assert "2021" not in told[0]


@pytest.mark.parametrize(
    ("given", "missing"),
    [
        ({"beads_per_ul": "1000"}, ["bead_volume_ul", "sample_volume_ul"]),
        ({"bead_volume_ul": "50"}, ["beads_per_ul", "sample_volume_ul"]),
        ({"beads_per_ul": "1000", "bead_volume_ul": "50"}, ["sample_volume_ul"]),
        ({"beads_per_ul": "1000", "sample_volume_ul": "100"}, ["bead_volume_ul"]),
        ({"bead_volume_ul": "50", "sample_volume_ul": "100"}, ["beads_per_ul"]),
        ({"sample_volume_ul": "100"}, []),
    ],
)
def test_counting_beads_need_their_number_and_both_volumes(
    tmp_path: Path, given: dict[str, str], missing: list[str]
) -> None:
    _, problems = tubes_of(tmp_path, line(**given))
    assert [p.column for p in problems] == missing
    assert all(
        "counting beads need beads_per_ul, bead_volume_ul, sample_volume_ul" in p.allowed for p in problems
    )


@pytest.mark.parametrize(
    ("column", "text", "said"),
    [
        ("beads_per_ul", "1e6", "beads per uL of the suspension that was added, 10 to 200000"),
        ("bead_volume_ul", "0.05", "uL of the bead suspension, 1 to 1000"),
    ],
)
def test_beads_in_another_unit_are_refused(tmp_path: Path, column: str, text: str, said: str) -> None:
    beads = {"beads_per_ul": "1000", "bead_volume_ul": "50", "sample_volume_ul": "100"}
    _, problems = tubes_of(tmp_path, line(**beads | {column: text}))
    assert [(p.column, p.allowed) for p in problems] == [(column, said)]


def test_the_beads_of_a_dry_tube_are_no_concentration(tmp_path: Path) -> None:
    dry = {"beads_per_ul": "49500", "bead_volume_ul": "50", "sample_volume_ul": "50"}
    _, (problem,) = tubes_of(tmp_path, line(**dry))
    assert "2475000 beads in the tube" in problem.found
    assert "with bead_volume_ul 1" in problem.allowed
    tubes, problems = tubes_of(tmp_path, line(**dry | {"bead_volume_ul": "1"}))
    assert not problems
    assert tubes[0].beads_per_ul == 49_500


@pytest.mark.parametrize(
    ("text", "fits"), [("0.85", False), ("12.5", False), ("12", True), ("850.5", True), ("0", True)]
)
def test_a_blood_count_in_cells_per_litre_is_told_by_its_decimals(
    tmp_path: Path, text: str, fits: bool
) -> None:
    _, problems = tubes_of(tmp_path, line(lymphocytes_per_ul=text))
    assert [p.allowed for p in problems] == (
        [] if fits else ["lymphocytes per uL (1.2 x 10^9/L are 1200), 0 to 500000; whole below 100"]
    )


def test_lymphocytes_are_white_cells(tmp_path: Path) -> None:
    _, problems = tubes_of(tmp_path, line(lymphocytes_per_ul="1200", white_cells_per_ul="1100"))
    assert [(p.column, p.allowed) for p in problems] == [
        ("lymphocytes_per_ul", "no more than white_cells_per_ul")
    ]
    assert not tubes_of(tmp_path, line(lymphocytes_per_ul="1200", white_cells_per_ul="1200"))[1]


def test_a_file_stands_once(tmp_path: Path) -> None:
    _, problems = tubes_of(tmp_path, line(), line(file_id="T-1"), line())
    assert [str(p) for p in problems] == [
        "tubes.tsv, row 4, column 'file_id': found 't1' again; allowed: each once; it is in row 2"
    ]


def test_two_spellings_of_a_batch_would_part_tubes_from_their_controls(tmp_path: Path) -> None:
    _, problems = tubes_of(
        tmp_path, line(batch="B1"), line(file_id="t2", batch="b-01"), line(file_id="t3"), line(file_id="t4")
    )
    assert [str(p) for p in problems] == [
        "tubes.tsv, row 3, column 'batch': found 'b-01', which reads like 'B1' in row 2; "
        "allowed: one spelling of a name"
    ]


def test_an_unknown_column_is_told_with_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "tubes.tsv").write_text("file_id\tkind\tsample_id\tbeads_ul\nt1\tsample\tS1\t\n")
    problems: list[Problem] = []
    read_tubes(tmp_path, "tubes.tsv", problems)
    assert [p.suggestion for p in problems] == ["beads_per_ul"]


def test_all_faults_come_at_once(tmp_path: Path) -> None:
    _, problems = tubes_of(
        tmp_path,
        line(kind="smaple", dilution="x"),
        line(file_id="t2", kind="fmo", beads_per_ul="1", unreadable="CD38;CD19"),
    )
    assert [(p.row, p.column) for p in problems] == [
        (2, "kind"),
        (2, "dilution"),
        (3, "marker"),
        (3, "batch"),
        (3, "bead_volume_ul"),
        (3, "sample_volume_ul"),
        (3, "beads_per_ul"),
        (3, "unreadable"),
        (3, "unreadable"),
    ]


def test_reviews_are_read_and_the_hash_is_written_small(tmp_path: Path) -> None:
    reviews, problems = reviews_of(
        tmp_path, f"t1\taccepted\t{SHA256.upper()}\t", f"t2\trejected\t{SHA256}\tCAR gate too low"
    )
    assert problems == []
    assert reviews == (
        GateReview("t1", "accepted", SHA256, None, 2),
        GateReview("t2", "rejected", SHA256, "CAR gate too low", 3),
    )


@pytest.mark.parametrize(
    ("row", "column", "said"),
    [
        (f"\taccepted\t{SHA256}\t", "file_id", "found nothing"),
        (f"t1\t\t{SHA256}\t", "verdict", "found nothing"),
        (f"t1\tacepted\t{SHA256}\t", "verdict", "allowed: accepted, rejected (did you mean 'accepted'?)"),
        ("t1\taccepted\t\t", "gates_sha256", "found nothing"),
        (
            f"t1\taccepted\t{SHA256[:12]}\t",
            "gates_sha256",
            "allowed: the whole hash of the report: 64 digits",
        ),
        (f"t1\taccepted\t{SHA256[:-1]}g\t", "gates_sha256", "64 digits of 0-9 and a-f"),
        (f"t1\taccepted\t{SHA256}\tlooked on 4.3.2021", "remark", "found a calendar date"),
        (f"t1\taccepted\t{SHA256}\ta\x00b", "remark", "found a control character"),
        (f"t0\taccepted\t{SHA256}\t", "file_id", "found 't0' again; allowed: each once; it is in row 2"),
    ],
)
def test_each_fault_of_a_review_is_told(tmp_path: Path, row: str, column: str, said: str) -> None:
    _, problems = reviews_of(tmp_path, f"t0\taccepted\t{SHA256}\t", row)
    told = [str(p) for p in problems]
    assert len(told) == 1
    assert told[0].startswith(f"review.tsv, row 3, column '{column}': ")
    assert said in told[0]
    assert "2021" not in told[0]
