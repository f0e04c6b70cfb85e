"""Damaged files: a clear error, or a plate whose other rows are as they were; never anything else.

CARTRACE_FUZZ_EXAMPLES sets how many damages are tried for each kind of file.
"""

from __future__ import annotations

import os
from functools import cache

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.unit.pcr.readers import made_up_files as made
from tests.unit.pcr.readers.mutations import assert_untouched_rows_agree, edits, outcome

EXAMPLES = int(os.environ.get("CARTRACE_FUZZ_EXAMPLES", "40"))
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=EXAMPLES <= 40,
)

TEXTS = {"quantstudio_txt": b"\t", "cfx_csv": b",", "lightcycler_include": b"\t", "lightcycler_types": b"\t"}
"""Kind of text -> what stands between its cells."""
ODD: list[object] = [
    None,
    "",
    "x",
    "27,35",
    -1.0,
    0.0,
    1e9,
    float("inf"),
    True,
    "UNKNOWN",
    "UNDETERMINED",
    "A1",
]


@cache
def whole(kind: str) -> tuple[bytes, pd.DataFrame]:
    """The undamaged file and its wells; made once, since a workbook holds the time at which it was made."""
    content = made.WRITERS[kind](made.PLATE)
    wells = outcome(content)
    assert wells is not None
    return content, wells


@pytest.mark.parametrize("kind", TEXTS)
@bounded
@given(data=st.data())
def test_a_damaged_text_is_refused_or_keeps_its_other_rows(kind: str, data: st.DataObject) -> None:
    content, before = whole(kind)
    damaged = data.draw(edits(content, TEXTS[kind]))
    after = outcome(damaged)
    if after is not None:
        assert_untouched_rows_agree(before, content, damaged, after)


@bounded
@given(data=st.data())
def test_a_damaged_rdml_document_is_refused_or_keeps_its_other_wells(data: st.DataObject) -> None:
    content = made.rdml_document().replace("<react", "\n<react").encode()
    before = outcome(content)
    assert before is not None
    damaged = data.draw(edits(content, b"<"))
    after = outcome(damaged)
    first = content.index(b"\n<react")
    if after is None or content[:first] != damaged[:first] or len(after) != len(before):
        return
    same = [a == b for a, b in zip(content.split(b"\n"), damaged.split(b"\n"), strict=False)][1:]
    if len(same) == len(before):
        for i in (i for i, kept in enumerate(same) if kept):
            assert before.iloc[i][["well", "task"]].tolist() == after.iloc[i][["well", "task"]].tolist()
            assert before["cq"].iloc[i : i + 1].equals(after["cq"].iloc[i : i + 1])


@pytest.mark.parametrize("kind", ["quantstudio_xlsx", "cfx_xlsx", "rdml"])
@bounded
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_reads_as_before(kind: str, data: st.DataObject) -> None:
    content, before = whole(kind)
    at = data.draw(st.integers(0, len(content) - 1))
    damaged = data.draw(
        st.sampled_from(
            [
                content[:at],
                content[:at] + bytes([content[at] ^ 0x15]) + content[at + 1 :],
                content[:at] + content,
            ]
        )
    )
    after = outcome(damaged)
    if after is not None:
        assert after.equals(before)


@bounded
@given(row=st.integers(0, 5), column=st.integers(0, 13), cell=st.sampled_from(ODD))
def test_an_odd_cell_of_a_workbook_is_refused_or_leaves_the_other_rows(
    row: int, column: int, cell: object
) -> None:
    sheets = {"s": made.quantstudio_sheets()["Standard Curve Result"]}
    before = outcome(made.workbook(sheets))
    assert before is not None
    top = len(made.DA_TOP) + 1
    cells = list(sheets["s"][top + row])
    cells[column] = cell
    sheets["s"][top + row] = cells
    after = outcome(made.workbook(sheets))
    if after is not None:
        others = before["source_row"] != top + row + 1
        kept = after[after["source_row"] != top + row + 1]
        assert kept.reset_index(drop=True).equals(before[others].reset_index(drop=True))
