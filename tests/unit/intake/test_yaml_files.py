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
