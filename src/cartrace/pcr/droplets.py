"""Amplitudes of partitions, binned: a picture needs counts, not twenty thousand points a well."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from cartrace.pcr.tables import DROPLETS
from cartrace.tables import conform, empty

BINS = 64
"""Bins of one well and channel; a strip of the picture is no taller."""


def bin_amplitudes(
    amplitudes: pd.DataFrame,
    targets: Mapping[tuple[str, str], str],
    thresholds: Mapping[tuple[str, str], float],
    file_id: str,
    bins: int = BINS,
) -> pd.DataFrame:
    """Count the partitions of each well and channel in bins of equal width.

    All wells of a channel share the same edges, from its smallest to its largest
    amplitude on the plate, so that the strips of the picture stand side by side.

    Parameters
    ----------
    amplitudes
        Contract AMPLITUDES.
    targets
        Target by (well, channel); the channel's own name where it is not listed.
    thresholds
        Threshold by (well, target); nan or absent where nobody set one.
    file_id
        Plate.
    bins
        Bins of one well and channel.

    Returns
    -------
    DataFrame
        Contract DROPLETS: bins without partitions are left out, and the counts of a
        well and target add up to its amplitudes that are numbers.
    """
    parts = []
    known = amplitudes[np.isfinite(amplitudes["amplitude"])]
    for channel, of_channel in known.groupby("channel", sort=True):
        # A channel whose amplitudes are all the same still has a bin with a width.
        edges = np.histogram_bin_edges(of_channel["amplitude"], bins)
        for well, mine in of_channel.groupby("well", sort=True):
            counts, _ = np.histogram(mine["amplitude"], edges)
            filled = counts > 0
            target = targets.get((str(well), str(channel)), str(channel))
            parts.append(
                pd.DataFrame(
                    {
                        "plate": file_id,
                        "well": well,
                        "target": target,
                        "low": edges[:-1][filled],
                        "high": edges[1:][filled],
                        "count": counts[filled],
                        "threshold": thresholds.get((str(well), target), np.nan),
                    }
                )
            )
    return conform(pd.concat(parts, ignore_index=True), DROPLETS) if parts else empty(DROPLETS)
