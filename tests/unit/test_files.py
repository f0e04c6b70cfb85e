"""Reading inputs; writing whole files is tested with the tables."""

from __future__ import annotations

import errno
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from cartrace import files
from cartrace.files import NotWritten, read_bytes, read_text
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


@pytest.mark.parametrize(
    ("number", "words"), [(errno.ENOSPC, "No space left on device"), (errno.EROFS, "Read-only file system")]
)
def test_a_program_that_can_not_write_an_output_says_so_in_one_line_and_leaves_nothing(
    tmp_path, number, words
):
    code = (
        "import sys\n"
        "from cartrace.files import replacing\n"
        "with replacing(sys.argv[1]) as temporary:\n"
        f"    temporary.write_text('half'); raise OSError({number}, 'of a library')"
    )
    path = tmp_path / "pcr/wells.parquet"
    done = subprocess.run(
        [sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stderr == f"cartrace: pcr/wells.parquet could not be written: {words}\n"
    assert list(path.parent.iterdir()) == []


def test_a_library_that_does_not_say_why_it_failed_is_understood_on_a_full_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(files.shutil, "disk_usage", lambda _: SimpleNamespace(free=4096))
    with (
        pytest.raises(NotWritten, match="No space left on device"),
        files.replacing(tmp_path / "cartrace.duckdb"),
    ):
        raise RuntimeError("IO Error")
    monkeypatch.undo()
    with pytest.raises(RuntimeError, match="IO Error"), files.replacing(tmp_path / "cartrace.duckdb"):
        raise RuntimeError("IO Error")


def test_an_output_in_a_folder_that_can_not_be_made_is_not_written(tmp_path):
    (tmp_path / "pcr").write_text("a file")
    with pytest.raises(NotWritten) as told, files.replacing(tmp_path / "pcr/wells.parquet"):
        pytest.fail("nothing to write to")
    assert told.value.filename == "pcr/wells.parquet"
