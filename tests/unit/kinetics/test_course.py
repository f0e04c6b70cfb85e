import pandas as pd
import pytest

from cartrace.kinetics.course import compute_metrics
from cartrace.metrics import find
from cartrace.registry import MODULES, load_all
from cartrace.tables import INFUSIONS, MEASUREMENTS, conform, empty


def infusions(vector):
    return conform(
        pd.DataFrame(
            [{"subject_id": "S1", "infusion": 1, "study_day": 0.0, "product": "P", "vector": vector}]
        ),
        INFUSIONS,
    )


def test_every_registered_metric_has_a_row_for_every_course(measurements, settings):
    table = pd.concat(
        [
            measurements([7, 14, 28], [900, 500, "BLQ"]),
            measurements([-3], ["BLD"], subject_id="S2"),
            measurements([7], ["BLD"], subject_id="S3"),
        ]
    )
    metrics = compute_metrics(table, None, settings())
    expected = {
        m.name
        for m in load_all().values()
        if m.group in {"peak", "area", "terminal", "persistence", "expansion"}
    }
    assert len(MODULES) >= 3
    for _, course in metrics.groupby("subject_id"):
        assert {find(name).name for name in course["metric"]} >= expected
        assert course["metric"].is_unique
    assert metrics["subject_id"].drop_duplicates().tolist() == ["S1", "S2", "S3"]


def test_an_mrna_product_has_no_transgene_metrics(measurements, settings):
    table = pd.concat(
        [
            measurements([7, 14, 28], [900, 500, 100]),
            measurements([7, 14, 28], [90, 50, 60], analyte="car_t_cells", assay="flow", unit="cells/uL"),
        ]
    )
    metrics = compute_metrics(table, infusions("mrna"), settings())
    transgene = metrics[metrics["analyte"] == "transgene"]
    assert set(transgene["status"]) == {"not_estimable"}
    assert set(transgene["reason"]) == {"mRNA product: no integrated transgene"}
    assert transgene[["value", "lower", "upper"]].isna().all(axis=None)
    flow = metrics[(metrics["analyte"] == "car_t_cells") & (metrics["metric"] == "cmax")]
    assert flow["value"].tolist() == [90]
    viral = compute_metrics(table, infusions("lentiviral"), settings())
    assert (viral["status"] == "estimated").sum() > (metrics["status"] == "estimated").sum()


def test_infusions_and_matrices_are_never_integrated_across(measurements, settings):
    table = pd.concat(
        [
            measurements([7, 14], [900, 500]),
            measurements([7, 14], [300, 100], infusion=2),
            measurements([7, 14], [60, 70], matrix="csf"),
        ]
    )
    metrics = compute_metrics(table, None, settings())
    cmax = metrics[metrics["metric"] == "cmax"]
    assert cmax[["infusion", "matrix", "value"]].to_numpy().tolist() == [
        [1, "blood", 900],
        [1, "csf", 70],
        [2, "blood", 300],
    ]


@pytest.mark.parametrize("given", [None, "lentiviral"])
def test_an_empty_table_gives_an_empty_table(settings, given):
    table = compute_metrics(empty(MEASUREMENTS), infusions(given) if given else None, settings())
    assert len(table) == 0
