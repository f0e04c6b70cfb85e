"""Real files, damaged at random: a clear error, or a plate whose other rows are as they were.

CARTRACE_FUZZ_EXAMPLES sets how many damages are tried for each file; the default
keeps all of them together within some 20 seconds of one core.
"""

from __future__ import annotations

import os
from functools import cache

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.real.conftest import real_data
from tests.unit.pcr.readers.mutations import assert_untouched_rows_agree, edits, outcome

pytestmark = pytest.mark.real

EXAMPLES = int(os.environ.get("CARTRACE_FUZZ_EXAMPLES", "8"))
bounded = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    derandomize=EXAMPLES <= 8,
)

TAB, COMMA = b"\t", b","
ROWS = {
    "allotropy_qpcr/appbio_quantstudio_example01.txt": TAB,
    "allotropy_qpcr/appbio_quantstudio_example06.txt": TAB,
    "allotropy_qpcr/appbio_quantstudio_example07.txt": TAB,
    "allotropy_qpcr/example_quantsudio_results_only.txt": TAB,
    "allotropy_qpcr/example01.csv": COMMA,
    "ddpcr_daattali/small.csv": COMMA,
    "ddpcr_daattali/quant.csv": COMMA,
    "allotropy_dpcr/qiacuity_dpcr_example01.csv": COMMA,
    "allotropy_dpcr/qiacuity_dpcr_example03.csv": COMMA,
    "allotropy_dpcr/qiacuity_dpcr_example04.csv": COMMA,
    "allotropy_dpcr/Appbio_AbsoluteQ_example01.csv": COMMA,
    "allotropy_dpcr/Appbio_AbsoluteQ_summary.csv": COMMA,
}
"""Texts with one row for each target of a well, and what stands between their cells."""
SUMS = {
    "allotropy_dpcr/Appbio_AbsoluteQ_fluorescence_columns.csv": COMMA,
    "allotropy_dpcr/Appbio_AbsoluteQ_multichannel.csv": COMMA,
    "ddpcr_daattali/quant_A01_Amplitude.csv": COMMA,
}
"""Texts in which many rows make one well, so that a lost row may change a count."""
ARCHIVES = (
    "allotropy_qpcr/appbio_quantstudio_design_quantity_test.xlsx",
    "rdml_examples/BioRad_qPCR_melt.rdml",
    "rdml_examples/stepone_std.rdml",
    "rdml14_examples/test_mca_1_raw_data.rdml",
)


@cache
def whole(name: str) -> tuple[bytes, pd.DataFrame]:
    """The undamaged file and its wells."""
    path = real_data() / "assays" / name
    if not path.is_file():
        pytest.skip(f"the real file {path.name} is not here: set CARTRACE_REAL_DATA")
    content = path.read_bytes()
    wells = outcome(content, name=path.name)
    assert wells is not None
    return content, wells


@pytest.mark.parametrize("name", ROWS)
@bounded
@given(data=st.data())
def test_a_damaged_text_is_refused_or_keeps_its_other_rows(name: str, data: st.DataObject) -> None:
    content, before = whole(name)
    damaged = data.draw(edits(content, ROWS[name]))
    after = outcome(damaged)
    if after is not None:
        assert_untouched_rows_agree(before, content, damaged, after)


@pytest.mark.parametrize("name", SUMS)
@bounded
@given(data=st.data())
def test_a_damaged_text_of_partitions_is_refused_or_counted(name: str, data: st.DataObject) -> None:
    content, _ = whole(name)
    after = outcome(data.draw(edits(content, SUMS[name])), name=name.rpartition("/")[2])
    if after is not None:
        counted = after.dropna(subset=["partitions", "positives"])
        assert (counted["positives"] <= counted["partitions"]).all()


@pytest.mark.parametrize("name", ARCHIVES)
@bounded
@given(data=st.data())
def test_a_damaged_archive_is_refused_or_reads_as_before(name: str, data: st.DataObject) -> None:
    content, before = whole(name)
    at = data.draw(st.integers(0, len(content) - 1))
    flipped = content[:at] + bytes([content[at] ^ data.draw(st.integers(1, 255))]) + content[at + 1 :]
    after = outcome(data.draw(st.sampled_from([flipped, content[:at]])))
    if after is not None:
        assert after.equals(before)
