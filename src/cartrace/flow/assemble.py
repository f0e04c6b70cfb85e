"""All tubes together: percentages and cells/uL with their limits, reviews, and what speaks against a count."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from cartrace.flow.checks import exchanged_tubes, judge_before_infusion, read_twice, tubes_of_one_sample
from cartrace.flow.populations import CountedTube, TubeTables
from cartrace.flow.tables import ACQUISITION, BACKGROUND, GATES, PLOTS, POPULATIONS, THRESHOLDS, TUBES
from cartrace.intake.results import RESULTS
from cartrace.intake.sheets import Sample
from cartrace.intake.tube_controls import before_infusion
from cartrace.tables import QC, concat, records, rows

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.config import Flow
    from cartrace.intake.tubes import GateReview, Tube


@dataclass(frozen=True, slots=True)
class Assembled:
    """All tubes: results for measurements, and the evidence behind them."""

    results: pd.DataFrame
    tubes: pd.DataFrame
    gates: pd.DataFrame
    thresholds: pd.DataFrame
    background: pd.DataFrame
    acquisition: pd.DataFrame
    plots: pd.DataFrame
    populations: pd.DataFrame
    qc: pd.DataFrame


def assemble_tubes(
    tubes: Sequence[TubeTables],
    sheet: Mapping[str, Tube],
    reviews: Mapping[str, GateReview],
    samples: pd.DataFrame,
    settings: Flow,
    *,
    post_infusion_visits: str,
) -> Assembled:
    """Count the populations of all tubes.

    Parameters
    ----------
    tubes
        In the order of the files sheet.
    sheet
        Row of the tubes sheet of each file.
    reviews
        Row of the gate review sheet of each file that has one.
    samples
        The contract SAMPLES.
    settings
        Section ``flow`` of the configuration.
    post_infusion_visits
        Regular expression: a sample of study day 0 whose visit matches was taken after the infusion.

    Returns
    -------
    Assembled
        Tables that keep their contracts. A population without a number has no row in ``results``, and a
        reason in ``populations`` and ``qc``.
    """
    known = {str(s["sample_id"]): s for s in records(samples)}
    early = before_infusion([Sample(**s) for s in known.values()], post_infusion_visits)
    made = [
        CountedTube(
            tables,
            sheet[tables.file_id],
            reviews.get(tables.file_id),
            known.get(sheet[tables.file_id].sample_id or "", {}),
            before=sheet[tables.file_id].sample_id in early,
            settings=settings,
        )
        for tables in tubes
    ]
    findings = [finding for tube in made for finding in tube.findings]
    findings += _before_infusion(made, settings)
    for tube in made:
        tube.finish()
        findings += tube.later_findings()
    shown = [
        {**c.row, "panel": t.acquired["panel"], "study_day": t.sample.get("study_day"), "before": t.before}
        | {"of_name": str(c.row["of"] or "").rpartition(" / ")[2]}
        for t in made
        if t.is_sample
        for c in t.counted
    ]
    findings += [*exchanged_tubes(shown), *tubes_of_one_sample(shown), *read_twice(t.acquired for t in made)]
    results = rows([r for t in made if t.is_sample for r in t.results()], RESULTS)
    results = results.sort_values(["source_file", "source_column"], kind="stable", ignore_index=True)
    qc = concat([*(t.qc for t in tubes), rows(findings, QC)], QC)
    # Whose tube a finding is about, so that it is shown with the subject.
    for column in ("sample_id", "subject_id"):
        of_tube = {t.acquired["tube"]: t.sample.get(column) for t in made if t.is_sample}
        qc[column] = qc[column].fillna(qc["source_file"].map(of_tube).astype("string"))
    return Assembled(
        results,
        rows([t.tube_row() for t in made], TUBES),
        concat([t.gates for t in tubes], GATES),
        concat([t.thresholds for t in tubes], THRESHOLDS),
        concat([t.background for t in tubes], BACKGROUND),
        concat([t.acquisition for t in tubes], ACQUISITION),
        concat([t.plots for t in tubes], PLOTS),
        rows([c.row for t in made for c in t.counted], POPULATIONS),
        qc,
    )


def _before_infusion(made: Sequence[CountedTube], settings: Flow) -> list[dict[str, object]]:
    """Judge the CAR gates in tubes from before the infusion; a broken rule falls on panel and batch."""
    name = "pre_infusion_car_percent"
    findings: list[dict[str, object]] = []
    bad: set[tuple[Any, Any]] = set()
    for tube in made:
        if not (tube.is_sample and tube.before):
            continue
        for gate in tube.car_gates:
            finding = judge_before_infusion(gate, tube.rules, settings.confidence)
            findings.append(finding)
            if finding["verdict"] != "pass":
                bad.add((tube.acquired["panel"], tube.sheet.batch))
    for tube in made:
        if (tube.acquired["panel"], tube.sheet.batch) in bad:
            for counted in tube.counted:
                if counted.population.is_car:
                    counted.flags.add(name)
    return findings
