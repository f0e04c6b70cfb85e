from __future__ import annotations

import base64
import dataclasses
import hashlib
import json
import re
from html.parser import HTMLParser
from typing import Any

import pandas as pd
import pytest
from tests.unit.report.full_trial import AQP4, B_CELLS, IGG, full_trial
from tests.unit.report.small_trial import REGISTRY, measurement, metric, trial

from cartrace import tables
from cartrace.config import Config, load
from cartrace.problems import holds_date
from cartrace.report import page
from cartrace.report.families import course_label, readable
from cartrace.report.page import ReportData, payload, render

HOSTILE = '</script><script>alert(1)</script><img src=x onerror="alert(2)">'


class Reader(HTMLParser):
    """Collects tags, links and the text of each script, as a browser would see them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[str] = []
        self.inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "script":
            self.inside = True
            self.scripts.append("")

    def handle_endtag(self, tag: str) -> None:
        self.inside = self.inside and tag != "script"

    def handle_data(self, data: str) -> None:
        if self.inside:
            self.scripts[-1] += data


def read(html: str) -> Reader:
    reader = Reader()
    reader.feed(html)
    return reader


@pytest.fixture(scope="module")
def html() -> str:
    return render(trial(), load({"trial": {"title": "A trial"}}))


def test_a_score_has_no_specimen_and_assays_read_as_words() -> None:
    frame = pd.DataFrame([{"lloq": float("nan"), "lod": float("nan"), "status": "accepted"}])
    frame[["matrix", "analyte", "assay", "unit"]] = ["other", "edss", "examination", "points"]
    frame["position"] = 0.0
    label = page._type_label(("other", "edss", "examination", "points"), frame)
    assert (label["label"], label["place"], label["method"]) == ("EDSS, points", "", "")
    assert label["linear"]
    assert readable("EDSS (other, examination, points)") == "EDSS (points)"
    assert readable("EDSS (other, video, points)") == "EDSS (video, points)"
    assert (
        readable("Cmax, CAR transgene (csf, qpcr, copies/ug)") == "Cmax, CAR transgene (CSF, qPCR, copies/ug)"
    )
    assert course_label("blood", "neutrophils", "cell_counter") == "Neutrophils in blood, cell counter"


def course_of(data: dict[str, Any], subject: str, infusion: int = 1, t: int = 0) -> dict[str, Any]:
    number = next(i for i, s in enumerate(data["subjects"]) if s["id"] == subject)
    return next(c for c in data["courses"] if (c["s"], c["i"], c["t"]) == (number, infusion, t))


def test_the_page_refers_to_nothing_outside_itself(html: str) -> None:
    for tag, attributes in read(html).tags:
        for name in ("src", "href", "action", "data", "srcset", "poster"):
            target = attributes.get(name) or ""
            assert not re.match(r"(https?:)?//", target), (tag, target)
        assert not (tag == "script" and "src" in attributes)
        assert tag not in {"iframe", "object", "embed", "base"}
    assert "@import" not in html.split("</style>", maxsplit=1)[0]


def test_the_policy_allows_the_two_scripts_by_hash_and_no_request(html: str) -> None:
    reader = read(html)
    policy = next(
        a["content"]
        for t, a in reader.tags
        if t == "meta" and a.get("http-equiv") == "Content-Security-Policy"
    )
    assert policy is not None
    assert policy.startswith("default-src 'none'")
    assert "unsafe-inline" not in policy.split("script-src")[1].split(";")[0]
    hashes = [base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in reader.scripts[1:]]
    assert len(hashes) == 2
    assert all(f"'sha256-{h}'" in policy for h in hashes)


def test_patients_results_can_t_be_uploaded_from_a_figure(html: str) -> None:
    own = read(html).scripts[-1]
    assert "showSendToCloud: false" in own
    assert 'plotlyServerURL: ""' in own
    assert "modeBarButtons: [[picture]" in own


def test_hostile_text_stays_text() -> None:
    data = full_trial(hostile=HOSTILE)
    config = load({"trial": {"title": f"T{HOSTILE}", "description": HOSTILE}})
    reader = read(render(data, config))
    assert len(reader.scripts) == 3
    assert not [t for t, a in reader.tags if t == "img" or any(k.startswith("on") for k in a)]
    embedded = json.loads(reader.scripts[0])
    assert embedded["subjects"][0]["id"] == f"P01{HOSTILE}"
    assert any(HOSTILE in t for t in embedded["texts"])


def test_no_calendar_date_reaches_the_page() -> None:
    data = trial()
    measurements = data.measurements.assign(visit="drawn 04.03.2021")
    qc = data.qc.assign(message="found 2021-03-04", value="4 Mar 2021", suggestion="20210304")
    dated = dataclasses.replace(data, measurements=measurements, qc=qc)
    html = render(dated, load({"trial": {"title": "Trial of 2021-03-04", "description": "since 4/3/21"}}))
    reader = read(html)
    without_library = html.replace(reader.scripts[1], "").replace(reader.scripts[0], "")
    assert not holds_date(without_library)
    assert not any(holds_date(t) for t in json.loads(reader.scripts[0])["texts"])
    assert "<date>" in json.loads(reader.scripts[0])["title"]


def test_the_usual_course_comes_first_and_matrices_stay_apart(data: ReportData, config: Config) -> None:
    types = payload(data, config)["types"]
    assert types[0]["key"] == ["blood", "transgene", "qpcr", "copies/ug"]
    assert [t["key"][0] for t in types if t["name"] == "CAR transgene"] == ["blood", "csf"]
    assert len({tuple(t["key"]) for t in types}) == len(types) == 3


def test_each_course_holds_its_own_results_and_metrics(data: ReportData, config: Config) -> None:
    out = payload(data, config)
    course = course_of(out, "P03", infusion=2)
    first, last = course["p"]
    assert out["points"]["day"][first:last] == [7, 14, 28, 60]
    assert out["points"]["study"][first:last] == [407, 414, 428, 460]
    names = [out["metric_names"][i]["name"] for i in out["metrics"]["name"][slice(*course["m"])]]
    assert names == ["cmax"]
    assert out["courses"][-1]["p"][1] == len(data.measurements)
    assert out["courses"][-1]["m"][1] == len(data.metrics)


def test_a_censored_result_is_a_mark_at_its_limit_not_a_value(config: Config) -> None:
    rows = [measurement("P1", 7, 900.0), measurement("P1", 14, 20.0), measurement("P1", 28, 1.0)]
    data = dataclasses.replace(
        trial(1),
        measurements=tables.rows(rows, tables.MEASUREMENTS),
        metrics=tables.empty(tables.METRICS),
        subjects=tables.empty(tables.SUBJECTS),
    )
    out = payload(data, config)
    assert out["points"]["kind"] == [0, 1, 2]
    assert out["points"]["y"] == [900, 50, 10]
    assert out["spans"] == [[[7, 7]]]
    assert out["types"][0]["floor"] == 5


def test_limits_that_differ_from_result_to_result_are_drawn_as_lowest_and_highest() -> None:
    assert page._limits(pd.Series([50.0, 50.00000000000001, 10.0, None])) == [50, 10]
    assert page._limits(pd.Series([0.5, 0.2, 0.9])) == [0.2, 0.9, None]
    assert page._limits(pd.Series([], dtype=float)) == []


def test_a_metric_pattern_gives_the_label_of_the_concrete_metric(data: ReportData, config: Config) -> None:
    names = payload(data, config)["metric_names"]
    assert [n["name"] for n in names][:3] == ["cmax", "tmax", "auc_0_28"]
    assert names[2]["label"] == "AUC 0-28"
    assert names[2]["definition"] == "Area over days 0 to 28."


def test_windows_of_one_metric_are_listed_by_number_not_by_letter() -> None:
    names = page._metric_names(["auc_0_180", "auc_0_28", "auc_0_7", "odd", "cmax"], REGISTRY)
    assert [n["name"] for n in names] == ["cmax", "auc_0_7", "auc_0_28", "auc_0_180", "odd"]


def test_not_estimable_keeps_its_reason(data: ReportData, config: Config) -> None:
    out = payload(data, config)
    m = out["metrics"]
    hit = [
        i
        for i, s in enumerate(m["status"])
        if s == 4 and out["metric_names"][m["name"][i]]["name"] == "half_life"
    ]
    assert len(hit) == 3
    assert {out["texts"][m["reason"][i]] for i in hit} == {"fewer than 3 quantifiable results after Tmax"}
    assert {m["value"][i] for i in hit} == {None}


def test_rejected_results_enter_neither_median_nor_stretch(config: Config) -> None:
    rows = [measurement(f"P{i}", 14, 100.0 * (i + 1)) for i in range(3)]
    rows.append(measurement("P3", 14, 1e6, status="rejected"))
    data = dataclasses.replace(
        trial(1),
        measurements=tables.rows(rows, tables.MEASUREMENTS),
        metrics=tables.empty(tables.METRICS),
        subjects=tables.empty(tables.SUBJECTS),
    )
    out = payload(data, config)
    assert out["medians"][0]["median"] == [200]
    assert out["medians"][0]["n"] == [3]
    assert out["spans"][-1] == []


def test_key_numbers_count_subjects_samples_and_verdicts(data: ReportData, config: Config) -> None:
    counts = payload(data, config)["counts"]
    assert counts["subjects"] == 12
    assert counts["infusions"] == 13
    assert counts["results"] == len(data.measurements)
    assert (counts["qc_warn"], counts["qc_note"], counts["qc_fail"]) == (1, 1, 0)


def test_a_trial_without_a_single_result_still_gives_a_page() -> None:
    nothing = {n: tables.empty(tables.TABLES[n]) for n in ("measurements", "metrics", "qc", "cohort_summary", "survival", "subjects", "infusions")}  # fmt: skip
    out = json.loads(read(render(ReportData(**nothing), Config())).scripts[0])
    assert out["types"] == []
    assert out["counts"]["subjects"] == 0


def test_definitions_of_every_registered_metric_are_on_the_methods_page(html: str) -> None:
    for m in REGISTRY.values():
        assert f"<code>{m.name}</code>" in html
        assert m.cdisc in html


def test_a_script_that_could_end_its_element_is_refused() -> None:
    with pytest.raises(ValueError, match="can't be embedded"):
        page._script("document.write('</SCRIPT>')")


@pytest.fixture(scope="module")
def full() -> dict[str, Any]:
    return payload(full_trial(), Config())


def type_number(data: dict[str, Any], course: dict[str, Any]) -> int:
    return next(i for i, t in enumerate(data["types"]) if t["key"][1] == course["analyte"])


def test_course_types_are_grouped_by_family_in_the_order_of_the_panels(full: dict[str, Any]) -> None:
    order = [name for name, _ in full["families"]]
    found = [order.index(t["family"]) for t in full["types"]]
    assert found == sorted(found)
    assert [t["family"] for t in full["types"] if not t["subset"]][-4:] == ["cells", "antibody", "immunoglobulin", "bcma"]  # fmt: skip
    assert [t["name"] for t in full["types"] if t["subset"]] == ["Memory B cells"]


def test_a_result_after_an_immunoglobulin_dose_is_marked_and_enters_no_median(full: dict[str, Any]) -> None:
    course = course_of(full, "P02", t=type_number(full, IGG))
    points = full["points"]
    part = slice(*course["p"])
    masked = [d for d, s in zip(points["day"][part], points["status"][part], strict=True) if s == 3]
    assert masked == [84]
    assert "masked_ivig" in {full["texts"][i] for i in points["flags"][part] if i >= 0}
    median = next(m for m in full["medians"] if m["t"] == type_number(full, IGG) and m["cohort"] == "all")
    assert median["n"][median["day"].index(84)] == 11


def test_a_rejected_result_stays_rejected_under_a_mask() -> None:
    data = full_trial()
    data.measurements.loc[data.measurements["analyte"] == "igg", "status"] = "rejected"
    out = payload(data, Config())
    course = course_of(out, "P02", t=type_number(out, IGG))
    assert set(out["points"]["status"][slice(*course["p"])]) == {2}


def test_titres_carry_the_next_dilution_and_other_results_none(full: dict[str, Any]) -> None:
    points = full["points"]
    part = slice(*course_of(full, "P01", t=type_number(full, AQP4))["p"])
    assert points["y"][part] == [640, 160, 40, 10, 10]
    assert points["top"][part] == [1280, 320, 80, 20, None]
    cells = slice(*course_of(full, "P01", t=type_number(full, B_CELLS))["p"])
    assert set(points["top"][cells]) == {None}


def test_episodes_name_their_course_and_keep_open_ends_open(full: dict[str, Any]) -> None:
    episodes = full["episodes"]
    course = full["courses"].index(course_of(full, "P06", t=type_number(full, B_CELLS)))
    row = episodes["c"].index(course)
    assert episodes["end_lower"][row] == 365
    assert episodes["end_upper"][row] is None
    assert len(episodes["c"]) == 11
    begun_low = full["courses"].index(course_of(full, "P07", t=type_number(full, B_CELLS)))
    assert episodes["start_lower"][episodes["c"].index(begun_low)] is None


def test_events_stand_with_their_patient_in_order(full: dict[str, Any]) -> None:
    second = next(s for s in full["subjects"] if s["id"] == "P02")
    assert [e["kind"] for e in second["events"]] == ["drug", "adverse_event", "ivig", "response", "infection"]
    assert second["events"][2]["mask"] == {"analytes": ["igg"], "days": 28}
    assert second["events"][0]["mask"] is None


def test_the_three_questions_have_an_answer_for_each_patient(full: dict[str, Any]) -> None:
    fell, stayed, relapsed = (q["verdict"] for q in full["questions"])
    assert fell == [1, 1, -1, 1, 0, 1, 1, 1, 1, 1, 1, 1]
    assert stayed == [-1, 0, 0] * 4
    assert relapsed == [0, 0, 0, 1, *[0] * 8]


def test_the_caution_about_titres_is_in_the_page_and_in_the_methods() -> None:
    reader = read(render(full_trial(1), Config()))
    assert "Akaishi 2020" in json.loads(reader.scripts[0])["caution"]
    assert 'list.some((t) => D.types[t].family === "antibody")) box.append(caution())' in reader.scripts[-1]


def test_tables_of_issue_three_that_are_empty_leave_their_panels_out(
    data: ReportData, config: Config
) -> None:
    out = payload(data, config)
    for name in ("episodes", "models", "antibody_means", "associations", "characteristics"):
        assert not any(out[name].values()), name
    assert out["waterfalls"] == []
    assert [q["text"] for q in out["questions"]] == ["Were the cells still there at 6 months?"]


def test_no_calendar_date_of_an_event_or_an_association_reaches_the_page() -> None:
    data = full_trial()
    events = data.events.assign(label="given 04.03.2021", dose_unit="since 2021-03-04")
    associations = data.associations.assign(reason="since 4 Mar 2021", x="Peak on 20210304")
    dated = dataclasses.replace(data, events=events, associations=associations)
    reader = read(render(dated, Config()))
    assert not holds_date(json.dumps(json.loads(reader.scripts[0])["subjects"]))
    assert not any(holds_date(t) for t in json.loads(reader.scripts[0])["texts"])


@pytest.mark.slow
def test_a_hundred_patients_with_six_courses_stay_below_nine_megabytes() -> None:
    days = [1, 3, 5, 7, 10, 14, 17, 21, 28, 35, 42, 56, 70, 84, 112, 140, 180, 270, 365, 540]
    kinds = [("blood", "qpcr"), ("blood", "ddpcr"), ("csf", "qpcr"), ("marrow", "qpcr"), ("pbmc", "qpcr"), ("pbmc", "ddpcr")]  # fmt: skip
    rows, metrics = [], []
    for k in range(100):
        for matrix, assay in kinds:
            rows += [
                measurement(
                    f"S{k:03d}",
                    d,
                    1e5 / (d + k / 7),
                    matrix=matrix,
                    assay=assay,
                    visit=f"Day {d}",
                    sample_id=f"S{k}{matrix}{d}",
                )
                for d in days
            ]
            metrics += [metric(f"S{k:03d}", f"metric_{j}", k / (j + 3), matrix=matrix, assay=assay, unit="day", reason="a plain remark", method="a rule") for j in range(45)]  # fmt: skip
    large = dataclasses.replace(
        trial(1),
        measurements=tables.rows(rows, tables.MEASUREMENTS),
        metrics=tables.rows(metrics, tables.METRICS),
    )
    assert len(render(large, Config()).encode()) < 9e6


@pytest.mark.slow
def test_a_hundred_patients_with_every_panel_stay_below_nine_megabytes() -> None:
    assert len(render(full_trial(100), Config()).encode()) < 9e6
