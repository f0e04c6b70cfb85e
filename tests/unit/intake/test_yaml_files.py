from pathlib import Path

import pytest

from cartrace.intake.mapping import read_yaml
from cartrace.problems import InputError


def test_text_nested_without_end_is_told_and_not_followed(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 100_000)
    with pytest.raises(
        InputError, match=r"deep\.yaml: found text that is nested too deep; allowed: a mapping file"
    ):
        read_yaml(path, "deep.yaml", "mapping")


def test_a_key_that_stands_twice_is_told_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "panel.yaml"
    path.write_text("gates:\n  CD4: {parent: T}\n  CD8: {parent: T}\n  CD4: {parent: B}\n")
    with pytest.raises(InputError) as caught:
        read_yaml(path, "panel.yaml", "panel")
    assert "row 4" in str(caught.value)
    assert "'CD4' stands twice" in str(caught.value)


def test_anchors_and_merged_keys_are_read(tmp_path: Path) -> None:
    path = tmp_path / "panel.yaml"
    path.write_text("a: &x {k: 1, m: 2}\nb: {<<: *x, k: 3}\n")
    assert read_yaml(path, "panel.yaml", "panel") == {"a": {"k": 1, "m": 2}, "b": {"k": 3, "m": 2}}
