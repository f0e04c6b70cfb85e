"""When things happen: a few eventful nights, and a year of mostly quiet ones."""

from __future__ import annotations

import random
from collections.abc import Mapping

from tests.nights.events import Event, File, What
from tests.workflow.test_reruns import LAST

Calendar = dict[int, list[Event]]
"""Night, from 1, to what happened before its run; other nights are quiet."""

TITLE = Event("set", option=("trial", "title"), value="Another title", rules=("render_report",))


def few_nights(files: Mapping[str, File]) -> Calendar:
    """Return some nights of which each is another kind of event, or several."""
    plate, elisa, table = files["qpcr_run_03"], files["aqp4_elisa_02"], files["elisa"]
    return {
        1: [Event("left", plate)],
        2: [Event("half", elisa), Event("again", plate), Event("left", table), Event("touched", plate)],
        3: [Event("left", elisa), Event("listed", table), Event("broken", plate)],
        4: [Event("joins", subject="NMO-004"), Event("corrected", plate, value=1)],
        5: [Event("touched", plate)],
    }


def year(files: Mapping[str, File], *, nights: int = 365, seed: int = 9) -> Calendar:
    """Draw a year in which a cohort of three grows to six, and its laboratories make their usual mistakes."""
    draw = random.Random(seed)
    calendar: Calendar = {}
    taken: set[int] = set()

    def free(first: int, last: int, *, alone: int = 0) -> int:
        """Return a night; with ``alone`` nights that nothing else shall happen on from then."""
        while True:
            night = draw.randint(first, last)
            wanted = set(range(night, night + max(alone, 1)))
            if not wanted & taken and not (alone and wanted & calendar.keys()):
                taken.update(range(night, night + alone))
                return night

    def on(night: int, *events: Event) -> None:
        calendar.setdefault(night, []).extend(events)

    end = nights - 20
    for n in range(3):  # a killed run, alone, since its clock is the real one
        subject, night = f"NMO-00{n + 1}", free(30, end, alone=1)
        on(night, Event("killed", subject=subject, value=50 + n))
    came: dict[str, int] = {}
    for name in ("flow_s02_01", "flow_s02_03", "flow_s02_04"):  # the control first
        came[name] = free(max(came.values(), default=70), 130)
        on(came[name], Event("left", files[name]))
    joined = min(came.values()) - 5
    while joined in taken:
        joined -= 1
    on(joined, Event("joins", subject="NMO-004"))
    for subject in ("NMO-005", "NMO-006"):
        on(free(140, end), Event("joins", subject=subject))
    for n, name in enumerate(name for name in ARRIVE if name not in came):
        file, night = files[name], free(2, end - 60)
        if file.by_pattern:
            while night in taken or night + 1 in taken:
                night = free(2, end - 60)
            came[name] = night + n % 2
            on(night, Event("half" if n % 2 else "left", file))
            if n % 2:
                on(night + 1, Event("left", file))
        else:
            came[name] = night + 7
            while came[name] in taken:
                came[name] += 1
            order: tuple[What, What] = ("listed", "left") if n % 2 else ("left", "listed")
            on(night, Event(order[0], file))
            on(came[name], Event(order[1], file))
    for n, name in enumerate(sorted(CORRECTED)):
        file = files[name]
        for k in range(2):
            on(free(came[name] + 1, nights - 10), Event("corrected", file, value=2 * n + k + 1))
        on(free(came[name] + 1, nights), Event("touched", file))
    for name in ("qpcr_run_02", "sbcma_elisa_01", "elisa"):
        on(free(came[name] + 1, nights), Event("again", files[name]))
    for n, name in enumerate(BROKEN):
        night = free(max(came[name] + 1, 280), end, alone=4)
        on(night, Event("broken", files[name]))
        on(night + 3, Event("corrected", files[name], value=20 + n))
    for n in range(4):
        on(free(10, nights), Event("recorded", subject=f"NMO-00{n % 3 + 1}", value=60 + n))
    for n in range(3):
        on(free(10, nights), Event("set", option=TITLE.option, value=f"Title {n}", rules=TITLE.rules))
    for n in range(2):
        option = ("kinetics", "half_life", "min_adj_r2")
        on(
            free(10, nights),
            Event("set", option=option, value=0.9 + n / 20, rules=("compute_kinetics", *LAST)),
        )
    return calendar


ARRIVE = (
    *("flow_batch_01", "b_cells_batch_01", "immunoglobulins", "elisa", "serology"),
    *("qpcr_run_01", "qpcr_run_02", "qpcr_run_03"),
    *(
        "sbcma_elisa_01",
        "sbcma_elisa_02",
        "aqp4_elisa_01",
        "aqp4_elisa_02",
        "srp_elisa_01",
        "cytokines_luminex_01",
    ),
    *("flow_s02_01", "flow_s02_03", "flow_s02_04"),
)
CORRECTED = ("elisa", "immunoglobulins", "qpcr_run_02", "aqp4_elisa_01", "sbcma_elisa_01")
BROKEN = ("qpcr_run_01", "sbcma_elisa_02")
