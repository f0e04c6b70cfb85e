"""Acceptance rules of flow tubes: a number inside its allowed range, or a finding that says otherwise."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from cartrace.config import FlowAcceptance

if TYPE_CHECKING:
    from cartrace.config import AcceptanceRule, Flow
    from cartrace.flow.panel import Panel

QUANTITIES = {
    "removed_percent": "events left out, %",
    "events": "events that were gated",
    "beads": "counting beads acquired",
    "count_agreement": "cells/uL by one way over those by the next",
    "pre_infusion_car_percent": "CAR+ events before the first infusion, % of their parent",
    "over_compensation": "pull of a bright channel on another one",
    "under_compensation": "lift of negative events by a bright channel",
    "flowjo_difference_percent": "difference from FlowJo's own count, %",
}
"""What each rule of flow.acceptance looks at."""

ROUNDING = 1e-9
"""Relative error of floating point that no rule may be broken by."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The acceptance rules of one panel: the configuration's, with the panel file's changes over them."""

    limits: FlowAcceptance
    changed: frozenset[str] = frozenset()

    def __getitem__(self, name: str) -> AcceptanceRule:
        """Return the allowed range and the consequence of a rule."""
        rule: AcceptanceRule = getattr(self.limits, name)
        return rule

    def broken(self, name: str, value: float | None) -> bool:
        """Say whether ``value`` lies outside the range of a rule; what is not known breaks none."""
        rule = self[name]
        if value is None or rule.consequence == "ignore":
            return False
        slack = ROUNDING * abs(value)
        return (rule.lower is not None and value < rule.lower - slack) or (
            rule.upper is not None and value > rule.upper + slack
        )

    def allowed(self, name: str) -> str:
        """Write the allowed range of a rule."""
        lower, upper = self[name].lower, self[name].upper
        if lower is not None and upper is not None:
            return f"{lower:g} to {upper:g}"
        return (
            f"at least {lower:g}"
            if lower is not None
            else f"at most {upper:g}"
            if upper is not None
            else "any"
        )

    def source(self, name: str) -> str:
        """Say where the range of a rule comes from."""
        return f"panel file, acceptance.{name}" if name in self.changed else f"flow.acceptance.{name}"

    def finding(self, name: str, value: float, tube: str, message: str, **more: object) -> dict[str, object]:
        """Return the row of qc of a rule that was looked at: pass, warn (flag) or fail (reject)."""
        verdict = "pass"
        if self.broken(name, value):
            verdict = "fail" if self[name].consequence == "reject" else "warn"
        return {
            "check": name,
            "verdict": verdict,
            "source_file": tube,
            "value": f"{value:.4g}",
            "limit": self.allowed(name),
            "limit_source": self.source(name),
            "message": message,
            **more,
        }


def rules_of(panel: Panel, settings: Flow) -> Rules:
    """Return the acceptance rules of a panel."""
    return Rules(FlowAcceptance.over(settings.acceptance, panel.acceptance), frozenset(panel.acceptance))


def verdict_of(flags: set[str], rules: Rules, rejecting: frozenset[str]) -> str:
    """Return accepted, flagged or rejected; ``rejecting`` names the flags that are no rules and reject."""
    rejects = {f for f in flags if f in QUANTITIES and rules[f].consequence == "reject"} | (flags & rejecting)
    return "rejected" if rejects else "flagged" if flags else "accepted"
