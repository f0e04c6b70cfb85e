"""Generated files equal what the code says now; `make fix` writes them anew."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml

from cartrace import config, generated, registry, tables
from cartrace.immunoassay import acceptance as immunoassay_acceptance
from cartrace.immunoassay import assay as elisa
from cartrace.immunoassay import vocabulary as immunoassay_vocabulary
from cartrace.pcr import assay
from cartrace.pcr.acceptance import OTHER_FLAGS, RULES
from cartrace.pcr.vocabulary import PLATFORMS

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("name", list(generated.files()))
def test_a_generated_file_is_up_to_date(name: str) -> None:
    assert (ROOT / name).read_text(encoding="utf-8") == generated.files()[name], "run `make fix`"


def test_the_default_yaml_holds_exactly_the_defaults() -> None:
    assert config.load(yaml.safe_load(generated.default_yaml())) == config.Config()


def test_the_schema_refuses_unknown_keys_at_every_level() -> None:
    schema = json.loads(generated.files()["workflow/schemas/config.schema.json"])
    assert schema["additionalProperties"] is False
    assert all(part["additionalProperties"] is False for part in schema["$defs"].values())


def test_every_table_and_every_metric_has_its_row() -> None:
    page = generated.tables_page()
    assert all(f"`{c.name}`" in page for t in tables.TABLES.values() for c in t.columns)
    page = generated.metrics_page()
    assert all(f"`{name}`" in page for name in registry.load_all())


def test_every_key_flag_and_partition_volume_of_an_assay_file_has_its_row() -> None:
    page = generated.assay_page()
    for model in (assay.Assay, assay.SampleNames, assay.Target, assay.CurveChoice, assay.Limits):
        assert all(f.description is None or f"{name}` |" in page for name, f in model.model_fields.items())
    assert all(f"| `{name}` |" in page for name in (*RULES, *OTHER_FLAGS, *PLATFORMS))


def test_every_key_and_flag_of_an_immunoassay_has_its_row() -> None:
    page = generated.immunoassay_page()
    for model in (elisa.Assay, elisa.Target, elisa.Calibration, elisa.Limits, elisa.Titre, elisa.Control):
        assert all(f.description is None or f"{name}` |" in page for name, f in model.model_fields.items())
    assert all(
        f"| `{name}` |" in page for name in (*immunoassay_acceptance.RULES, *immunoassay_vocabulary.FLAGS)
    )


def test_every_metric_says_what_it_is_and_where_that_comes_from() -> None:
    for metric in registry.load_all().values():
        assert metric.definition.endswith("."), metric.name
        assert metric.source, metric.name
        assert metric.label, metric.name


def test_the_metrics_of_a_group_come_from_one_module_so_that_their_order_is_fixed() -> None:
    import subprocess
    import sys

    def order(modules: tuple[str, ...]) -> str:
        code = f"import {', '.join(modules)}; from cartrace import registry; print(list(registry.load_all()))"
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        return done.stdout

    assert order(registry.MODULES) == order(registry.MODULES[::-1])
