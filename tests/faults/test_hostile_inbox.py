"""An inbox in which everything is wrong at once: each thing is told, the sound file is used, nothing gets out."""

from __future__ import annotations

import os
import socket
import unicodedata
from pathlib import Path

import pytest
from tests.unit.intake.test_inbox import PATTERN, Trial, config_of

from cartrace.intake import inbox_match

TABLE = "patient\tday\tcopies\nP1\t7\t{}\n"


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    (tmp_path / "trial").mkdir()
    return Trial(tmp_path / "trial")


def everything(trial: Trial) -> dict[str, str]:
    """Leave one of each in the inbox; return what becomes of each, by its name as it may be shown."""
    folder = trial.folder / "left/qpcr"
    outside = trial.folder.parent / "outside.tsv"
    outside.write_text(TABLE.format(99))
    (folder / "run_20.tsv").symlink_to(outside)
    (folder / "run_21.tsv").symlink_to("run_21.tsv")
    (folder / "loop").symlink_to(folder)
    os.mkfifo(folder / "run_22.tsv")
    with socket.socket(socket.AF_UNIX) as server:
        here = Path.cwd()
        os.chdir(folder)  # the path of a socket has 107 characters at most
        server.bind("run_23.tsv")
        os.chdir(here)
    trial.leave("run_24.tsv", "")
    told = dict.fromkeys(("run_20.tsv", "run_21.tsv", "loop", "run_22.tsv", "run_23.tsv"), "refused")
    told["run_24.tsv"] = "waiting"
    names = {
        "a\nb.tsv": "refused",
        "\u202etxt.vst\u202c.tsv": "refused",
        "\u200brun_30.tsv": "refused",
        "\x1b[31mred.tsv": "refused",
        "{input}.tsv": "refused",
        "<b>.tsv": "refused",
        "seen 2031-05-17.tsv": "refused",
        "-rf.tsv": "unmatched",
        "..run_31.tsv": "",
        "$(touch harmed) `touch harmed`; touch harmed.tsv": "unmatched",
        "'\"&|*?[!].tsv": "unmatched",
        "=cmd|' calc'!A0.tsv": "unmatched",
        "%2e%2e%2fpasswd": "unmatched",
        "x" * 251 + ".tsv": "unmatched",
        "CON.tsv": "unmatched",
        "\u0430\u0440\u0440\u04cf\u0435.tsv": "unmatched",
    }
    for number, (name, status) in enumerate(names.items()):
        trial.leave(name, TABLE.format(number))
        if status:
            told[name] = status
    (folder / "deep" / "/".join(["d" * 200] * 8)).mkdir(parents=True)
    trial.leave("deep/" + "/".join(["d" * 200] * 8) + "/run_25.tsv", TABLE.format(25))
    return told


def shown(name: str) -> str:
    return "".join(c if c.isprintable() else "?" for c in name).replace("2031-05-17", "<date>")


def test_each_of_them_is_told_and_the_sound_file_is_used(trial: Trial) -> None:
    expected = everything(trial)
    # A name that is no text at all.
    (Path(os.fsdecode(os.fsencode(trial.folder / "left/qpcr") + b"/\xff\xfe.tsv"))).write_text("x")
    trial.leave("run_7.tsv")
    outside = {path: path.stat().st_mtime_ns for path in trial.folder.parent.glob("*")}
    taken = trial.take_in()
    assert "qpcr/run_7.tsv" in taken.taken_in
    plan = trial.plan()
    rows = {row.name: row for row in plan.inbox.rows}
    assert rows["run_7.tsv"].status == "used"
    assert set(plan.files) == {"run_7"}
    for name, status in expected.items():
        near = [row for row in rows.values() if row.name[:150] == shown(name)[:150]]
        assert [row.status for row in near] == [status], name
    assert rows["??.tsv"].status == "refused"
    for row in rows.values():
        words = " ".join((row.inbox, row.name, row.file_id, row.detail, row.hint))
        assert words.isprintable()
        assert "2031" not in words
        assert row.status == "used" or row.detail
    assert all(path.stat().st_mtime_ns == time for path, time in outside.items() if path.is_file())
    assert not list(trial.folder.rglob("harmed"))
    # Nothing but whole files in the store, and none of what may not be.
    stored = set(trial.stored())
    assert stored == {
        *(name for name, status in expected.items() if status == "unmatched"),
        "run_7.tsv",
        *(name for name in stored if name.endswith("/run_25.tsv")),
    }
    # A second night finds the same, and does nothing.
    again = trial.take_in()
    assert (again.taken_in, again.corrected, again.standing) == ((), (), taken.standing)
    assert trial.plan().inbox == plan.inbox


def test_a_pattern_that_would_take_years_is_left_out_and_told(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inbox_match, "_LONGEST_MATCH", 0.1)
    years = PATTERN | {"name": r"(?P<subject_id>(x+x+)+y)"}
    folders = {"qpcr": {"folder": "left/qpcr", "patterns": [years, PATTERN]}}
    trial.config = config_of(folders=folders)
    trial.leave("x" * 200 + ".tsv", TABLE.format(2))
    trial.leave("run_7.tsv")
    trial.take_in()
    rows = {row.name[:5]: row for row in trial.plan().inbox.rows}
    assert rows["run_7"].status == "used"
    assert rows["xxxxx"].status == "unmatched"
    assert "took too long and was left out" in rows["xxxxx"].hint


def test_twins_by_form_of_letters_and_thrice_the_same_content(trial: Trial) -> None:
    composed = unicodedata.normalize("NFC", "übersicht.tsv")
    for number, name in enumerate([composed, unicodedata.normalize("NFD", composed), composed.upper()]):
        trial.leave(name, TABLE.format(10 + number))
    for name in ("run_1.tsv", "run_2.tsv", "run_3.tsv", "other.tsv"):
        trial.leave(name)
    trial.take_in()
    assert len([name for name in trial.stored() if "bersicht" in name.casefold()]) == 1
    status = [row[0] for row in trial.rows().values()]
    assert sorted(status) == [
        "refused",
        "refused",
        "same_content",
        "same_content",
        "same_content",
        "unmatched",
        "used",
    ]
    assert list(trial.plan().files) == ["run_1"]


def test_a_name_that_becomes_a_folder_and_back_loses_nothing(trial: Trial) -> None:
    path = trial.leave("a/run.tsv", TABLE.format(1))
    trial.leave("b.tsv", TABLE.format(2))
    trial.take_in()
    path.unlink()
    path.parent.rmdir()
    (trial.folder / "left/qpcr/b.tsv").unlink()
    trial.leave("a", TABLE.format(3))
    trial.leave("b.tsv/run_5.tsv", TABLE.format(4))
    trial.leave("run_6.tsv", TABLE.format(5))
    taken = trial.take_in()
    assert taken.taken_in == ("qpcr/run_6.tsv",)
    assert {s.name: s.status for s in taken.standing} == {"a": "refused", "b.tsv/run_5.tsv": "refused"}
    assert trial.stored()["a/run.tsv"] == TABLE.format(1)
    assert trial.stored()["b.tsv"] == TABLE.format(2)


@pytest.mark.parametrize("kind", ["file", "absent", "loop", "pipe"])
def test_a_folder_that_is_none_is_told_and_the_others_go_on(trial: Trial, kind: str) -> None:
    other = {"folder": "left/other", "patterns": []}
    trial.config = config_of(folders={"qpcr": {"folder": "left/qpcr", "patterns": [PATTERN]}, "other": other})
    path = trial.folder / "left/other"
    if kind == "file":
        path.write_text("x")
    elif kind == "loop":
        (path.parent / "round").symlink_to("other")
        path.symlink_to("round")
    elif kind == "pipe":
        os.mkfifo(path)
    trial.leave("run_7.tsv")
    taken = trial.take_in()
    assert taken.taken_in == ("qpcr/run_7.tsv",)
    assert [(s.inbox, s.name, s.status) for s in taken.standing] == [("other", "", "refused")]


def test_a_link_in_the_store_leads_nothing_out_of_it(trial: Trial) -> None:
    outside = trial.folder.parent / "outside"
    outside.mkdir()
    store = trial.folder / "data/inbox/qpcr"
    store.mkdir(parents=True)
    (store / "sub").symlink_to(outside)
    (store / "run_8.tsv").symlink_to(outside / "new.tsv")
    trial.leave("sub/run_7.tsv", TABLE.format(1))
    trial.leave("run_8.tsv", TABLE.format(2))
    trial.take_in()
    assert list(outside.iterdir()) == []
    assert trial.stored()["run_8.tsv"] == TABLE.format(2)
