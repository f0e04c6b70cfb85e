"""What FlowKit itself finds: the standard for gates."""

from __future__ import annotations

from typing import Any

import numpy as np


def flowkit_memberships(sample: Any, gating: Any) -> dict[tuple[str, ...], np.ndarray]:
    """Membership of each gate and quadrant of a flowkit.GatingStrategy, by path."""
    with np.errstate(all="ignore"):
        results = gating.gate_sample(sample)
    out: dict[tuple[str, ...], np.ndarray] = {}
    for (name, path), found in results._raw_results.items():
        whole = (*path.split("/")[1:], name)
        if "events" in found:
            out[whole] = found["events"]
        else:
            out |= {(*whole, quadrant): one["events"] for quadrant, one in found.items()}
    return out
