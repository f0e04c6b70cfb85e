"""What Snakemake says, line by line: cleaned for the log of a run, counted for its record."""

from __future__ import annotations

import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from cartrace.problems import redact_dates


@dataclass(slots=True)
class RunLog:
    """What Snakemake said, line by line: cleaned for the log, counted for the record."""

    hide: Callable[[str], str] = str
    """Takes the places of this machine out of a line (:func:`placeless`)."""
    started: float = field(default_factory=time.monotonic)
    started_jobs: Counter[str] = field(default_factory=Counter)
    failed_jobs: Counter[str] = field(default_factory=Counter)
    planned: dict[str, int] = field(default_factory=dict)
    """Jobs by rule, as Snakemake counts them before the first."""
    reasons: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    """What jobs said of inputs that they could not read: each once, as a log names it."""
    rule: str = ""
    in_problems: bool = False
    in_plan: bool = False
    log_named: bool = False
    logs: list[str] = field(default_factory=list)
    """The lines above the logs that are being shown, the innermost last."""

    _TIME = re.compile(r"^\[[A-Z][a-z]{2} [A-Z][a-z]{2} +\d{1,2} \d\d:\d\d:\d\d \d{4}\]")
    # Snakemake's own heading, which names who started it, where and when.
    _HEADING = re.compile(
        r"^( {2}(?:Date|Host|User|Platform|Python version|Command|Snakefile|Base directory|Run directory"
        r"|Working directory|Config file\(s\)): ).+$"
    )
    _JOB = re.compile(r"^(?:local)?(?:rule|checkpoint) (\w+):$")
    _REASON = re.compile(r"^    reason: (.+)$")
    _ERROR = re.compile(r"^Error in rule (\w+)[:,]")
    _ROUND = re.compile(r"; (?=[A-Z])")
    _PLANNED = re.compile(r"^(\w+) +(\d+)$")
    # As InputError prints them, into the log of a job that failed.
    _PROBLEMS = re.compile(r"^\d+ problems? in the input; nothing was written\.$")
    _PROBLEM = re.compile(r"^ +\d+\. (.+)$")
    # Above the log of a failed job. On Slurm it is that of a Snakemake of the job's own, which names rules too.
    _LOG = re.compile(r"^Logfile .*:$")
    _RULER = re.compile(r"^=+$")

    def take(self, line: str) -> str:
        """Note what ``line`` tells and return it without calendar dates, names and places of this machine."""
        line = self.hide(self._HEADING.sub(r"\1-", line))
        if self.log_named and self._RULER.match(line):
            self.logs.append(line)
        elif self.logs and line == self.logs[-1]:
            self.logs.pop()
        self.log_named = self._LOG.match(line) is not None
        if self.logs:
            pass
        elif job := self._JOB.match(line):
            self.rule = job[1]
            self.started_jobs[self.rule] += 1
        elif (reason := self._REASON.match(line)) and self.rule:
            for part in self._ROUND.split(reason[1]):
                kind, _, detail = part.partition(": ")
                self.reasons.setdefault(self.rule, {}).setdefault(kind.strip(), []).append(detail.strip())
        elif error := self._ERROR.match(line):
            self.failed_jobs[error[1]] += 1
        elif line == "Job stats:":
            self.in_plan = not self.planned
        elif self.in_plan and (planned := self._PLANNED.match(line)):
            self.in_plan = planned[1] != "total"
            self.planned |= {planned[1]: int(planned[2])} if self.in_plan else {}
        problem = self._PROBLEM.match(line) if self.in_problems else None
        self.in_problems = problem is not None or self._PROBLEMS.match(line) is not None
        if problem and (told := redact_dates(problem[1])) not in self.problems:
            self.problems.append(told)
        return redact_dates(self._TIME.sub(f"[{self.elapsed():.1f} s]", line))

    def elapsed(self) -> float:
        """Seconds since the run began."""
        return time.monotonic() - self.started

    def rules(self) -> dict[str, Any]:
        """Return, for each rule, the jobs started and failed, and why they ran."""
        return {
            rule: {
                "jobs": jobs,
                "failed": self.failed_jobs[rule],
                "reasons": {
                    kind: {"jobs": len(details), "for_example": redact_dates(details[0])[:300]}
                    for kind, details in self.reasons.get(rule, {}).items()
                },
            }
            for rule, jobs in self.started_jobs.items()
        }
