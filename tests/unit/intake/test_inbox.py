"""Files that laboratories leave in their inboxes are taken in whole, once, and nothing is lost."""

from __future__ import annotations

import errno
import json
import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cartrace import config as configuration
from cartrace.intake import inbox
from cartrace.intake.inbox import STATE, take_in
from cartrace.intake.plan import Plan, load_plan, write_manifest
from cartrace.problems import InputError

SHEETS = {
    "subjects": "subject_id\nP1\nP2\n",
    "products": "product\tvector\nCT103A\tlentiviral\n",
    "infusions": "subject_id\tinfusion\tproduct\tday\nP1\t1\tCT103A\t0\nP2\t1\tCT103A\t0\n",
    "samples": "sample_id\tsubject_id\tmatrix\tvisit\tday\nS1\tP1\tblood\tD7\t7\nS2\tP2\tblood\tD7\t7\n",
    "files": "file_id\tpath\treader\tmapping\n",
}
MAPPING = {
    "subject": "patient",
    "matrix": "blood",
    "day": "day",
    "values": [{"column": "copies", "analyte": "transgene", "assay": "qpcr", "unit": "copies/ug"}],
}
PATTERN = {"name": r"run_(?P<run>\d+)\.tsv", "reader": "laboratory_table", "mapping": "mappings/pcr.yaml"}
NIGHT = 3600.0
"""Seconds after the files were left at which they are taken in."""


def config_of(**changes: Any) -> dict[str, Any]:
    section = {"folders": {"qpcr": {"folder": "left/qpcr", "patterns": [PATTERN]}}} | changes
    return {"sheets": {"samples": "sheets/samples.tsv"}, "inbox": section}


class Trial:
    """A trial folder with an inbox."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name, text in SHEETS.items():
            self.put(f"sheets/{name}.tsv", text)
        self.put("mappings/pcr.yaml", yaml.safe_dump(MAPPING))
        (folder / "data").mkdir()
        (folder / "left/qpcr").mkdir(parents=True)
        self.config = config_of()
        self.now = time.time() + NIGHT

    def put(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def leave(self, name: str, text: str = "patient\tday\tcopies\nP1\t7\t1\n") -> Path:
        return self.put(f"left/qpcr/{name}", text)

    def files(self, *rows: str) -> None:
        self.put("sheets/files.tsv", SHEETS["files"] + "".join(f"{row}\n" for row in rows))

    def take_in(self, **options: Any) -> inbox.TakenIn:
        loaded = configuration.load(self.config)
        return take_in(loaded, self.folder, **({"now": self.now} | options))

    def plan(self) -> Plan:
        return load_plan(self.config, self.folder)

    def stored(self) -> dict[str, str]:
        store = self.folder / "data/inbox/qpcr"
        return {p.relative_to(store).as_posix(): p.read_text() for p in store.rglob("*") if p.is_file()}

    def said(self) -> dict[str, tuple[str, str]]:
        return {s.name: (s.status, s.detail) for s in self.take_in().standing}

    def rows(self) -> dict[str, tuple[str, str, str]]:
        return {r.name: (r.status, r.matched_by, r.file_id) for r in self.plan().inbox.rows}


@pytest.fixture
def trial(tmp_path: Path) -> Trial:
    return Trial(tmp_path)


def test_a_complete_file_is_stored_with_its_time_and_planned_by_its_name(trial: Trial) -> None:
    source = trial.leave("run_7.tsv")
    os.utime(source, (10_000, 10_000))
    assert trial.take_in().taken_in == ("qpcr/run_7.tsv",)
    assert trial.stored() == {"run_7.tsv": source.read_text()}
    assert (trial.folder / "data/inbox/qpcr/run_7.tsv").stat().st_mtime == 10_000
    plan = trial.plan()
    assert plan.files["run_7"].path == "data/inbox/qpcr/run_7.tsv"
    assert trial.rows() == {"run_7.tsv": ("used", "pattern", "run_7")}
    assert plan.inbox.rows[0].sha256 == plan.files["run_7"].sha256


def test_nothing_is_done_twice_and_the_state_stays_as_it_is(trial: Trial) -> None:
    trial.leave("run_7.tsv")
    trial.leave("empty.tsv", "")
    trial.take_in()
    state, plan = (trial.folder / STATE).stat(), trial.plan()
    again = trial.take_in()
    assert (again.taken_in, again.corrected) == ((), ())
    assert (trial.folder / STATE).stat().st_mtime_ns == state.st_mtime_ns
    assert trial.plan().inbox.digest == plan.inbox.digest


def test_what_a_killed_run_left_half_copied_is_removed(trial: Trial) -> None:
    trial.put("data/inbox/.incoming/0123abcd", "ha")
    trial.leave("run_7.tsv")
    trial.take_in()
    assert list((trial.folder / "data/inbox/.incoming").iterdir()) == []
    assert set(trial.stored()) == {"run_7.tsv"}


def test_a_file_that_just_changed_waits_and_its_clock_does_not_count_alone(trial: Trial) -> None:
    source = trial.leave("run_7.tsv")
    # A copy with an old time, as scp -p makes it: the change on this system is new.
    os.utime(source, (10_000, 10_000))
    late = trial.take_in(now=time.time() + 500)
    assert [(s.name, s.status) for s in late.standing] == [("run_7.tsv", "waiting")]
    assert trial.stored() == {}
    assert trial.rows() == {"run_7.tsv": ("waiting", "", "")}
    # An instrument whose clock is a year ahead does not wait a year.
    os.utime(source, (time.time() + 3e7, time.time() + 3e7))
    assert trial.take_in().taken_in == ("qpcr/run_7.tsv",)


def test_a_done_marker_says_when_a_file_or_a_folder_is_complete(trial: Trial) -> None:
    trial.config = config_of(done_marker="{name}.done")
    source = trial.leave("run_7.tsv")
    assert trial.said() == {"run_7.tsv": ("waiting", "its done-marker has not come")}
    marker = trial.leave("run_7.tsv.done", "")
    os.utime(marker, (10_000, 10_000))
    assert trial.said() == {"run_7.tsv": ("waiting", "it is newer than its done-marker")}
    os.utime(marker, None)
    assert trial.take_in(now=time.time()).taken_in == ("qpcr/run_7.tsv",)
    marker.unlink()
    assert trial.said() == {}
    source.unlink()
    trial.config = config_of(done_marker="DONE")
    trial.leave("a/b/run_8.tsv", "8")
    trial.leave("run_9.tsv", "9")
    trial.leave("a/DONE", "")
    assert trial.take_in().taken_in == ("qpcr/a/b/run_8.tsv",)


def test_what_programs_leave_for_themselves_is_left_out(trial: Trial) -> None:
    for name in (
        ".hidden",
        "~$run_7.tsv",
        "run_7.tsv.part",
        "x.TMP",
        "Thumbs.db",
        "desktop.ini",
        ".snap/run_1.tsv",
    ):
        trial.leave(name)
    assert trial.take_in() == inbox.TakenIn()


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("run_2024-03-04.tsv", "a calendar date in its name"),
        ("2024-03-04/run_7.tsv", "a calendar date in its name"),
        ("run\x1b[31m.tsv", "a control character, or a byte that is no letter, in its name"),
    ],
)
def test_a_name_that_may_not_be_shown_is_refused_and_not_shown(trial: Trial, name: str, said: str) -> None:
    trial.leave(name)
    trial.leave("run_7.tsv", "good")
    found = trial.take_in()
    assert found.taken_in == ("qpcr/run_7.tsv",)
    assert [(s.status, s.detail) for s in found.standing] == [("refused", said)]
    text = (trial.folder / STATE).read_text() + repr(trial.plan().inbox.rows)
    assert "2024-03-04" not in text
    assert "\x1b" not in text


def test_links_and_pipes_are_refused_and_never_followed(trial: Trial) -> None:
    secret = trial.put("secret/key.tsv", "secret")
    (trial.folder / "left/qpcr/run_1.tsv").symlink_to(secret)
    (trial.folder / "left/qpcr/away").symlink_to(secret.parent)
    os.mkfifo(trial.folder / "left/qpcr/run_2.tsv")
    assert trial.said() == {
        "run_1.tsv": ("refused", "a link"),
        "away": ("refused", "a link"),
        "run_2.tsv": ("refused", "no regular file"),
    }
    assert trial.stored() == {}


def test_a_link_that_takes_a_file_s_place_while_it_is_read_is_not_followed(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = trial.leave("run_7.tsv")
    secret = trial.put("secret.tsv", "secret")
    opened = os.open

    def exchange(path: Any, *rest: Any, **named: Any) -> int:
        if Path(path) == source and not source.is_symlink():
            source.unlink()
            source.symlink_to(secret)
        return opened(path, *rest, **named)

    monkeypatch.setattr(inbox.os, "open", exchange)
    assert trial.said() == {"run_7.tsv": ("refused", "a link")}
    assert trial.stored() == {}


def test_a_file_that_grows_while_it_is_copied_waits(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    source = trial.leave("run_7.tsv", "half")
    blocks = inbox._hash_blocks

    def grow(*arguments: Any) -> int:
        with source.open("a") as file:
            file.write(" and the rest")
        return blocks(*arguments)

    monkeypatch.setattr(inbox, "_hash_blocks", grow)
    assert trial.said() == {"run_7.tsv": ("waiting", "it changed while it was read")}
    monkeypatch.setattr(inbox, "_hash_blocks", blocks)
    assert trial.stored() == {}
    assert list((trial.folder / "data/inbox/.incoming").iterdir()) == []
    assert trial.take_in().taken_in == ("qpcr/run_7.tsv",)
    assert trial.stored() == {"run_7.tsv": "half and the rest"}


def test_names_that_differ_by_case_or_form_only_are_refused(trial: Trial) -> None:
    trial.leave("run_7.tsv", "7")
    trial.leave("Z\u00fc.tsv", "u")
    trial.take_in()
    trial.leave("RUN_7.TSV", "8")
    trial.leave("Zu\u0308.tsv", "9")
    found = {s.detail for s in trial.take_in().standing if s.status == "refused"}
    assert found == {
        "its name differs from 'run_7.tsv' in case or spelling of letters only",
        "its name differs from 'Z\u00fc.tsv' in case or spelling of letters only",
    }
    assert len(trial.stored()) == 2


def test_a_corrected_file_takes_the_place_of_the_earlier_one_which_is_kept(trial: Trial) -> None:
    trial.leave("run_7.tsv", "first")
    trial.take_in()
    before = trial.plan().files["run_7"].sha256
    trial.leave("run_7.tsv", "fixed")
    found = trial.take_in()
    assert (found.taken_in, found.corrected) == ((), ("qpcr/run_7.tsv",))
    assert trial.stored() == {"run_7.tsv": "fixed"}
    kept = trial.folder / f"data/inbox/.superseded/qpcr/{before[:12]}/run_7.tsv"
    assert kept.read_text() == "first"
    assert trial.plan().files["run_7"].sha256 != before


def test_a_correction_with_the_size_and_time_of_the_earlier_content_is_noticed(trial: Trial) -> None:
    source = trial.leave("run_7.tsv", "first")
    os.utime(source, (10_000, 10_000))
    trial.take_in()
    before = trial.plan()
    write_manifest(before, trial.folder)
    trial.leave("run_7.tsv", "fixed")
    os.utime(source, (10_000, 10_000))
    assert trial.take_in().corrected == ("qpcr/run_7.tsv",)
    assert trial.plan().files["run_7"].sha256 != before.files["run_7"].sha256


def test_a_correction_that_still_changes_leaves_the_earlier_content_in_use(trial: Trial) -> None:
    trial.leave("run_7.tsv", "first")
    trial.take_in()
    trial.leave("run_7.tsv", "second, half")
    trial.take_in(now=time.time())
    row = trial.plan().inbox.rows[0]
    assert (row.status, row.file_id) == ("waiting", "run_7")
    assert row.detail.endswith("the earlier content stays in use")
    assert "run_7" in trial.plan().files


def test_the_same_content_is_not_stored_again(trial: Trial) -> None:
    trial.put("data/old.tsv", "old")
    trial.files("old\told.tsv\tlaboratory_table\tmappings/pcr.yaml")
    trial.leave("run_7.tsv", "new")
    trial.leave("run_8.tsv", "new")
    trial.leave("run_9.tsv", "old")
    for _ in range(2):
        assert trial.said() == {
            "run_8.tsv": ("same_content", "the same content as qpcr/run_7.tsv"),
            "run_9.tsv": ("same_content", "the same content as old.tsv"),
        }
    assert set(trial.stored()) == {"run_7.tsv"}
    assert set(trial.plan().files) == {"old", "run_7"}


def test_plate_maps_may_be_alike(trial: Trial) -> None:
    example = Path(__file__).parents[3] / "examples/immunoassay_plates/mappings/sbcma_elisa.yaml"
    trial.put("mappings/elisa.yaml", example.read_text())
    plate = {
        "name": r"run_(?P<run>\d+)\.csv",
        "reader": "immunoassay_plate",
        "mapping": "mappings/elisa.yaml",
        "plate_map": "data/inbox/qpcr/run_{run}_map.csv",
    }
    trial.config = config_of(folders={"qpcr": {"folder": "left/qpcr", "patterns": [plate]}})
    for run in ("1", "2"):
        trial.leave(f"run_{run}.csv", run)
        trial.leave(f"run_{run}_map.csv", "the same layout")
    assert len(trial.take_in().taken_in) == 4
    assert set(trial.plan().files) == {"run_1", "run_2"}
    assert trial.rows()["run_2_map.csv"] == ("used", "pattern", "run_2")


def test_a_file_left_again_under_its_right_name_is_used(trial: Trial) -> None:
    trial.leave("rnu_7.tsv", "7")
    trial.take_in()
    assert trial.rows() == {"rnu_7.tsv": ("unmatched", "", "")}
    trial.leave("run_7.tsv", "7")
    assert trial.take_in().taken_in == ("qpcr/run_7.tsv",)
    assert trial.rows() == {
        "rnu_7.tsv": ("same_content", "", ""),
        "run_7.tsv": ("used", "pattern", "run_7"),
    }
    # The same in one night: the name that tells something comes first.
    trial.leave("a_8.tsv", "8")
    trial.leave("run_8.tsv", "8")
    assert trial.take_in().taken_in == ("qpcr/run_8.tsv",)


def test_a_correction_that_equals_another_file_is_a_conflict(trial: Trial) -> None:
    trial.leave("run_7.tsv", "7")
    trial.leave("run_8.tsv", "8")
    trial.take_in()
    trial.leave("run_8.tsv", "7")
    assert trial.said() == {
        "run_8.tsv": ("conflict", "the corrected content is the same as that of qpcr/run_7.tsv")
    }
    assert trial.stored() == {"run_7.tsv": "7", "run_8.tsv": "8"}
    assert trial.rows()["run_8.tsv"] == ("conflict", "pattern", "run_8")
    assert "run_8" in trial.plan().files


def test_a_copy_of_what_was_corrected_is_told_when_it_comes_in(trial: Trial) -> None:
    trial.leave("run_7.tsv", "wrong")
    trial.leave("run_8.tsv", "wrong")
    assert trial.take_in().notes == ()
    trial.leave("run_7.tsv", "right")
    found = trial.take_in()
    assert (found.taken_in, found.corrected) == (("qpcr/run_8.tsv",), ("qpcr/run_7.tsv",))
    assert found.notes == (
        "qpcr/run_8.tsv holds what qpcr/run_7.tsv held before it was corrected: is it right?",
    )
    assert trial.take_in().notes == ()


def test_two_files_that_were_exchanged_can_be_put_right(trial: Trial) -> None:
    trial.leave("run_7.tsv", "8")
    trial.leave("run_8.tsv", "7")
    trial.take_in()
    trial.leave("run_7.tsv", "7")
    trial.leave("run_8.tsv", "8")
    assert trial.take_in().corrected == ("qpcr/run_7.tsv", "qpcr/run_8.tsv")
    assert trial.stored() == {"run_7.tsv": "7", "run_8.tsv": "8"}


def test_move_removes_a_source_once_it_is_stored_and_only_then(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.config = config_of(take="move")
    first, again = trial.leave("run_7.tsv", "7"), trial.leave("run_8.tsv", "7")
    trial.take_in()
    assert not first.exists()
    assert again.exists()  # the same content: the laboratory's to sort out
    third = trial.leave("run_9.tsv", "9")
    unlink = Path.unlink

    def denied(path: Path, *_: Any, **named: Any) -> None:
        if path == third:
            raise PermissionError
        unlink(path, **named)

    monkeypatch.setattr(Path, "unlink", denied)
    assert trial.take_in().notes == ("qpcr/run_9.tsv is stored, but could not be removed (PermissionError)",)
    monkeypatch.setattr(Path, "unlink", unlink)
    assert trial.take_in().taken_in == ()
    assert not third.exists()
    assert trial.stored() == {"run_7.tsv": "7", "run_9.tsv": "9"}


def test_a_share_that_is_not_mounted_is_told_and_the_others_go_on(trial: Trial) -> None:
    trial.config["inbox"]["folders"]["flow"] = {"folder": "share/flow"}
    trial.leave("run_7.tsv")
    found = trial.take_in()
    assert found.taken_in == ("qpcr/run_7.tsv",)
    assert [(s.inbox, s.name, s.status, s.hint) for s in found.standing] == [
        ("flow", "", "refused", "is the share mounted?")
    ]
    # What was read before is not read again once it is back.
    shutil.move(trial.folder / "left", trial.folder / "unmounted")
    hashes = json.loads((trial.folder / STATE).read_text())["hashes"]["qpcr"]
    trial.take_in()
    assert json.loads((trial.folder / STATE).read_text())["hashes"]["qpcr"] == hashes
    assert "run_7" in trial.plan().files


def test_a_file_that_may_not_be_read_is_told(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    source = trial.leave("run_7.tsv")
    trial.leave("run_8.tsv", "8")
    opened = os.open

    def denied(path: Any, *rest: Any, **named: Any) -> int:
        if Path(path) == source:
            raise PermissionError(errno.EACCES, "no")
        return opened(path, *rest, **named)

    monkeypatch.setattr(inbox.os, "open", denied)
    assert trial.said() == {"run_7.tsv": ("refused", "a file that can't be read (PermissionError)")}
    assert set(trial.stored()) == {"run_8.tsv"}


def test_a_full_disk_leaves_nothing_half_written_and_the_run_goes_on(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    trial.leave("run_7.tsv", "7")
    trial.leave("run_8.tsv", "8")
    blocks = inbox._hash_blocks

    def full(file: Any, digest: Any, written: Any) -> int:
        if written is not None and os.fstat(file.fileno()).st_ino == source.stat().st_ino:
            written.write(b"h")
            raise OSError(errno.ENOSPC, "full")
        return blocks(file, digest, written)

    source = trial.folder / "left/qpcr/run_7.tsv"
    monkeypatch.setattr(inbox, "_hash_blocks", full)
    assert trial.said() == {"run_7.tsv": ("refused", "no space left in the data folder")}
    assert trial.stored() == {"run_8.tsv": "8"}
    assert list((trial.folder / "data/inbox/.incoming").iterdir()) == []


def test_a_dry_run_tells_and_writes_nothing(trial: Trial) -> None:
    trial.leave("run_7.tsv", "7")
    trial.take_in()
    trial.leave("run_7.tsv", "fixed")
    trial.leave("run_8.tsv", "8")
    trial.leave("run_9.tsv", "8")
    before = {p: p.stat().st_mtime_ns for p in trial.folder.rglob("*")}
    found = trial.take_in(dry_run=True)
    assert (found.taken_in, found.corrected) == (("qpcr/run_8.tsv",), ("qpcr/run_7.tsv",))
    assert [s.status for s in found.standing] == ["same_content"]
    assert {p: p.stat().st_mtime_ns for p in trial.folder.rglob("*")} == before


@pytest.mark.parametrize("folder", [".", "data", "data/inbox", "data/inbox/qpcr", "results", "logs/x", ".."])
def test_an_inbox_that_would_take_in_the_store_or_results_is_an_error(trial: Trial, folder: str) -> None:
    trial.config["inbox"]["folders"]["qpcr"]["folder"] = folder
    with pytest.raises(InputError, match=r"inbox\.folders\.qpcr\.folder.*a folder of its own"):
        trial.take_in()
    with pytest.raises(InputError, match="a folder of its own"):
        trial.plan()


def test_two_inboxes_in_one_folder_are_an_error(trial: Trial) -> None:
    trial.config["inbox"]["folders"]["flow"] = {"folder": "left"}
    with pytest.raises(InputError, match="holds the inbox 'qpcr' or lies in it"):
        trial.take_in()


def test_a_broken_state_is_no_more_than_lost(trial: Trial) -> None:
    trial.leave("run_7.tsv")
    trial.take_in()
    for text in ("", "[]", '{"standing": [{"status": "used"}], "hashes": 3}', "[" * 100_000):
        trial.put(STATE, text)
        assert trial.take_in() == inbox.TakenIn()
        assert trial.rows() == {"run_7.tsv": ("used", "pattern", "run_7")}


class Killed(BaseException):
    """Stands for SIGKILL: nothing of ours runs afterwards."""


NAMES = st.sampled_from(["run_1.tsv", "run_2.tsv", "a/run_1.tsv", "other.txt"])
LEFT = st.dictionaries(NAMES, st.sampled_from(["x", "y", "z"]), max_size=4)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(nights=st.lists(LEFT, min_size=1, max_size=4), kills=st.lists(st.integers(0, 12), max_size=3))
def test_killed_at_any_step_nothing_is_lost_or_counted_twice(
    nights: list[dict[str, str]], kills: list[int], tmp_path_factory: pytest.TempPathFactory
) -> None:
    trial = Trial(tmp_path_factory.mktemp("trial"))
    seen: set[str] = set()
    ever: set[tuple[str, str]] = set()
    with pytest.MonkeyPatch.context() as patch:
        left = [0]
        for module, name in ((inbox, "_read"), (inbox, "_keep"), (inbox, "_put"), (inbox, "write_whole")):
            patch.setattr(module, name, _killing(getattr(module, name), left))
        for night, files in enumerate(nights):
            for name, text in files.items():
                trial.leave(name, text)
            seen |= set(files.values())
            left[0] = kills[night] if night < len(kills) else 10_000
            try:
                trial.take_in()
            except Killed:
                left[0] = 10_000
                # What stands there after a kill can be planned, too.
                _check(trial, seen, ever)
                trial.take_in()
            _check(trial, seen, ever)
            sources = trial.folder / "left/qpcr"
            newest = {p.read_text() for p in sources.rglob("*") if p.is_file()}
            assert newest <= set(trial.stored().values())
    shutil.rmtree(trial.folder)


def _killing(function: Callable[..., Any], left: list[int]) -> Callable[..., Any]:
    """Return a function that dies before or after its work, when so many steps are done."""

    def wrapped(*arguments: Any) -> Any:
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        done = function(*arguments)
        left[0] -= 1
        if left[0] == 0:
            raise Killed
        return done

    return wrapped


def _check(trial: Trial, seen: set[str], ever: set[tuple[str, str]]) -> None:
    """Nothing that was ever stored is lost, no file is half, and no content counts twice."""
    stored = trial.stored()
    assert set(stored.values()) <= seen
    ever |= set(stored.items())
    kept = trial.folder / "data/inbox/.superseded/qpcr"
    older = {
        (p.relative_to(kept).as_posix().partition("/")[2], p.read_text())
        for p in kept.rglob("*")
        if p.is_file()
    }
    assert ever <= set(stored.items()) | older
    used = [f.sha256 for f in trial.plan().files.values()]
    assert len(used) == len(set(used))


def test_a_store_that_a_link_leads_out_is_an_error_and_links_in_a_circle_hold_nothing(trial: Trial) -> None:
    trial.leave("run_7.tsv")
    (trial.folder / "data/inbox").mkdir()
    link = trial.folder / "data/inbox/qpcr"
    link.symlink_to(trial.folder / "sheets")
    with pytest.raises(InputError, match="leads out of the data folder"):
        trial.plan()
    link.unlink()
    link.symlink_to(link)
    assert trial.take_in().taken_in == ()
    assert trial.plan().files == {}
