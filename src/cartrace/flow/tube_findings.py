"""What is odd in one tube: rows of qc, and the flags that they raise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from cartrace.flow.tube_rows import path_text
from cartrace.intake.sheets import quote
from cartrace.problems import redact_dates

if TYPE_CHECKING:
    import pandas as pd

    from cartrace.flow.acceptance import Rules
    from cartrace.flow.compensation import CompensationCheck
    from cartrace.flow.engine import Path
    from cartrace.flow.fcs import FcsData
    from cartrace.flow.quality import Acquisition
    from cartrace.flow.tube_rows import AppliedGates


class Findings:
    """Rows of qc of one tube, and the flags that they raise."""

    def __init__(self, tube: str, rules: Rules) -> None:
        self._tube = tube
        self._rules = rules
        self.rows: list[dict[str, object]] = []

    def _say(self, check: str, verdict: str, message: str, **more: object) -> None:
        self.rows.append(
            {
                "check": check,
                "verdict": verdict,
                "source_file": self._tube,
                "message": redact_dates(message),
                **more,
            }
        )

    def _judge(self, name: str, value: float | None, message: str) -> set[str]:
        if value is None:
            return set()
        self.rows.append(self._rules.finding(name, value, self._tube, message))
        return {name} if self._rules.broken(name, value) else set()

    def of_file(
        self, data: FcsData, remark: str, unreadable: Mapping[str, str], left_out: Sequence[str] = ()
    ) -> set[str]:
        """Tell what was mended on reading, what is odd in the compensation, and what can't be read.

        ``left_out`` are the markers that a control leaves out: they are not there to be read.
        """
        for text in data.remarks:
            self._say("fcs_file", "note", text)
        if remark:
            self._say("compensation", "warn", remark)
        if left_out:
            self._say(
                "left_out",
                "note",
                f"no channel for {', '.join(map(quote, left_out))}, which this tube leaves out",
            )
        for marker, reason in unreadable.items():
            if marker in left_out:
                continue
            self._say(
                "unreadable_staining",
                "warn",
                f"{quote(marker)} can't be read: {reason}; populations that rest on it have no count",
                source_column=marker,
            )
        return set()

    def of_controls(self, moved: Mapping[str, str]) -> None:
        """Tell controls (file_id -> marker, or empty) that measure a marker in another channel than the tube."""
        for control, marker in moved.items():
            if marker:
                what = f"{quote(control)} has {quote(marker)} in another channel: it sets no threshold and no background"
                self._say("control", "warn", what, source_column=marker)

    def of_acquisition(self, acquisition: Acquisition, n_events: int, total: int, removes: bool) -> set[str]:
        """Judge what was left out, and what is left."""
        for remark in acquisition.remarks:
            self._say("acquisition", "note", remark)
        unstable = int(acquisition.unstable.sum())
        margin = int((acquisition.margin & ~acquisition.unstable).sum())
        what = f"{unstable} events in unstable stretches, {margin} more at the margin of a scatter channel"
        if not removes:
            if unstable or margin:
                self._say("acquisition", "note", f"{what}; the drawn gates count them all the same")
            return self._judge("events", total, f"{total} events were gated")
        gone = 100 * (1 - total / n_events) if n_events else 0.0
        flags = self._judge("removed_percent", gone, f"{what}: {gone:.3g} % left out before gating")
        return flags | self._judge("events", total, f"{total} of {n_events} events were gated")

    def of_compensation(self, check: CompensationCheck) -> set[str]:
        """Judge the spillover that is left."""
        if check.over is None and check.under is None:
            self._say("compensation", "note", "no channel has enough bright events to check the compensation")
        flags: set[str] = set()
        for name, value, pair, does in (
            ("over_compensation", check.over, check.over_pair, "pulls"),
            ("under_compensation", check.under, check.under_pair, "lifts"),
        ):
            bright, other = (quote(p) for p in pair)
            share = 0.0 if value is None else value
            flags |= self._judge(name, value, f"bright {bright} {does} {other} by {share:.3f} of itself")
        return flags

    def of_gates(
        self,
        applied: AppliedGates,
        thresholds: pd.DataFrame,
        vendor: Mapping[Path, int],
        *,
        is_sample: bool,
        unreadable: Mapping[str, str],
    ) -> set[str]:
        """Tell gates without a count and thresholds by second choice; compare with FlowJo's own counts.

        A control's own gates count nothing, and a gate of a marker that can't be read is told with the marker.
        """
        if is_sample:
            told = tuple(f"{marker} can't be read" for marker in unreadable)
            for path in applied.order:
                reason = applied.not_set.get(path, "")
                if reason and path[:-1] not in applied.not_set and not reason.startswith(told):
                    # No more than a note: populations that rest on it are told when they are counted.
                    self._say("gate_not_set", "note", f"{quote(path_text(path))}: {reason}")
            self._of_thresholds(thresholds)
        flags: set[str] = set()
        events = applied.events
        for path, count in vendor.items():
            if path in events:
                what = f"{quote(path_text(path))}: {events[path]} events, {count} in the workspace"
                percent = _apart(events[path], count)
                flags |= self._judge("flowjo_difference_percent", percent, what)
        return flags

    def _of_thresholds(self, thresholds: pd.DataFrame) -> None:
        """Tell in one row which thresholds were set by second choice, or with a remark."""
        second = thresholds[thresholds["reason"].notna() & thresholds["method"].notna()]
        what = [
            f"{quote(row['threshold'])} by {row['method']} ({row['reason'].removeprefix(row['method'] + ': ')})"
            for row in second.to_dict("records")
        ]
        if what:
            self._say("threshold_fallback", "note", f"thresholds: {'; '.join(what)}")


def _apart(events: int, vendor: int) -> float:
    """Return the difference in % of the vendor's count; one event on the edge of a gate is none."""
    if abs(events - vendor) <= 1:
        return 0.0
    return 100 * abs(events - vendor) / vendor if vendor else 100.0
