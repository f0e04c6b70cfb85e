"""Reading inputs; writing whole files is tested with the tables."""

from __future__ import annotations

from pathlib import Path

import pytest

from cartrace.files import read_bytes, read_text
from cartrace.problems import InputError


def test_text_is_utf8_with_or_without_its_mark(tmp_path: Path) -> None:
    path = tmp_path / "map.tsv"
    for mark in (b"", b"\xef\xbb\xbf"):
        path.write_bytes(mark + "µ\n".encode())
        assert read_text(path) == "µ\n"
        assert read_bytes(path) == mark + b"\xc2\xb5\n"


def test_what_cannot_be_read_is_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"gone\.tsv.*no file that can be read"):
        read_text(tmp_path / "gone.tsv")
    with pytest.raises(InputError, match="no file that can be read"):
        read_bytes(tmp_path)
    (tmp_path / "old.tsv").write_bytes(b"\xb5")
    with pytest.raises(InputError, match=r"old\.tsv.*text that is not UTF-8"):
        read_text(tmp_path / "old.tsv")
