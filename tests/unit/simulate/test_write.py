from __future__ import annotations

import io
import re
import zipfile
from functools import cache
from pathlib import Path

import pytest
import yaml

from cartrace.problems import InputError
from cartrace.simulate import write
from cartrace.simulate.trial import Trial, simulate_trial
from cartrace.simulate.write import MARKER, files, write_trial


@cache
def made(seed: int, n_subjects: int = 12) -> Trial:
    """Simulate a trial once for all tests here: writing changes nothing of it."""
    return simulate_trial(seed, n_subjects, libraries=False)


def tree(folder: Path) -> dict[str, bytes]:
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    write_trial(simulate_trial(7, 7, libraries=False), tmp_path / "one")
    write_trial(simulate_trial(7, 7, libraries=False), tmp_path / "two")
    assert tree(tmp_path / "one") == tree(tmp_path / "two")


def test_another_seed_gives_other_results() -> None:
    assert files(made(1, 2))["truth/samples.tsv"] != files(made(2, 2))["truth/samples.tsv"]


def test_a_workbook_carries_no_time_of_its_making() -> None:
    content = files(made(7, 2))["data/pcr/pcr_batch_01.xlsx"]
    with zipfile.ZipFile(io.BytesIO(content)) as book:
        assert {i.date_time for i in book.infolist()} == {(1980, 1, 1, 0, 0, 0)}
        core = book.read("docProps/core.xml")
    assert core.count(b"2000-01-01T00:00:00Z") == 2


def test_a_panel_file_is_one_to_copy_commented_and_without_anchors() -> None:
    trial = made(7)
    content = files(trial)
    text = content["mappings/flow_panel.yaml"].decode()
    assert "  CD3: {method: [valley, fixed], value: 1500}\n" in text
    assert "  car_t: {parent: t_cells, where: {CAR: above}}\n" in text
    assert all(re.search(rf"^# .+\n{key}:", text, re.MULTILINE) for key in trial.mappings["flow_panel"])
    assert max(map(len, text.splitlines())) <= 120
    for name, wanted in {"config": trial.config, **trial.mappings}.items():
        path = "config.yaml" if name == "config" else f"mappings/{name}.yaml"
        assert not re.search(rb"[&*]id\d", content[path])
        assert yaml.safe_load(content[path]) == wanted


def test_a_trial_folder_holds_what_the_files_sheet_names(tmp_path: Path) -> None:
    write_trial(made(7), tmp_path / "demo")
    lines = (tmp_path / "demo/sheets/files.tsv").read_text().splitlines()
    header = lines[0].split("\t")
    for line in lines[1:]:
        row = dict(zip(header, line.split("\t"), strict=True))
        assert (tmp_path / "demo/data" / row["path"]).is_file()
        assert (tmp_path / "demo" / row["mapping"]).is_file()
        assert not row["plate_map"] or (tmp_path / "demo" / row["plate_map"]).is_file()
        assert not row["amplitudes"] or list((tmp_path / "demo/data" / row["amplitudes"]).iterdir())
    assert sorted(p.name for p in (tmp_path / "demo/truth").iterdir()) == [
        "antibodies.tsv",
        "counts.tsv",
        "depletion.tsv",
        "flow_tubes.tsv",
        "immunoassay_samples.tsv",
        "pcr_samples.tsv",
        "planted_bedside_faults.tsv",
        "planted_errors.tsv",
        "planted_flow_faults.tsv",
        "planted_immunoassay_faults.tsv",
        "planted_pcr_failures.tsv",
        "samples.tsv",
        "scores.tsv",
        "simulation.json",
        "toxicity.tsv",
        "truth.tsv",
    ]


def test_a_trial_without_csf_writes_no_mapping_for_it() -> None:
    assert not [name for name in files(made(7, 3)) if "csf" in name]


def test_the_same_trial_again_leaves_the_results_of_a_run(tmp_path: Path) -> None:
    trial = made(7, 2)
    assert write_trial(trial, tmp_path / "demo")
    (tmp_path / "demo/results").mkdir()
    assert not write_trial(trial, tmp_path / "demo")
    assert (tmp_path / "demo/results").is_dir()


def test_another_trial_replaces_the_folder_whole(tmp_path: Path) -> None:
    write_trial(made(7, 3), tmp_path / "demo")
    (tmp_path / "demo/results").mkdir()
    assert write_trial(made(8, 2), tmp_path / "demo")
    assert tree(tmp_path / "demo") == files(made(8, 2))
    assert [p.name for p in tmp_path.iterdir()] == ["demo"]


def test_an_edited_file_is_written_anew(tmp_path: Path) -> None:
    trial = made(7, 2)
    write_trial(trial, tmp_path / "demo")
    (tmp_path / "demo/config.yaml").write_text("edited")
    assert write_trial(trial, tmp_path / "demo")
    assert tree(tmp_path / "demo") == files(trial)


def test_an_empty_folder_is_used(tmp_path: Path) -> None:
    (tmp_path / "demo").mkdir()
    assert write_trial(made(7, 1), tmp_path / "demo")


@pytest.mark.parametrize("marker", [None, "no json", "[]", '{"made_by": "somebody"}'])
def test_a_folder_of_somebody_else_is_never_overwritten(tmp_path: Path, marker: str | None) -> None:
    folder = tmp_path / "real"
    (folder / "truth").mkdir(parents=True)
    (folder / "results.tsv").write_text("precious")
    if marker is not None:
        (folder / MARKER).write_text(marker)
    before = tree(folder)
    with pytest.raises(InputError, match="no simulated trial"):
        write_trial(made(7, 1), folder)
    assert tree(folder) == before


def test_a_link_to_a_trial_is_not_followed(tmp_path: Path) -> None:
    write_trial(made(7, 1), tmp_path / "demo")
    (tmp_path / "link").symlink_to(tmp_path / "demo")
    with pytest.raises(InputError):
        write_trial(made(8, 1), tmp_path / "link")


def test_a_failure_half_way_leaves_the_old_trial_and_no_rest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_trial(made(7, 1), tmp_path / "demo")
    before = tree(tmp_path / "demo")
    original = Path.rename

    def fails(self: Path, target: Path) -> Path:
        if self.name == "new":
            raise OSError("no space left")
        return original(self, target)

    monkeypatch.setattr(write.Path, "rename", fails)
    with pytest.raises(OSError, match="no space"):
        write_trial(made(8, 1), tmp_path / "demo")
    monkeypatch.undo()
    assert tree(tmp_path / "demo") == before
    assert [p.name for p in tmp_path.iterdir()] == ["demo"]
