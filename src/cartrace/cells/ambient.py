"""What is known of false CAR molecules beside the cells themselves.

Empty droplets tell which share of the soup is CAR; how much soup a droplet with a cell holds is known
less well, so the rate that they predict carries a spread. Libraries of the subject from before any
infusion tell how many molecules of T cells are assigned to the CAR although there is none.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from cartrace.cells.posterior import Floats


@dataclass(frozen=True, slots=True)
class Counted:
    """Molecules counted in something that holds ``exposure`` times the rate, known up to a factor."""

    molecules: float
    exposure: float
    """Molecules that a rate of 1 predicts."""
    spread: float
    """Coefficient of variation of the factor, which is gamma distributed with mean 1."""

    def log_likelihood(self, log_rate: Floats) -> Floats:
        """Return the log probability of the count for each rate: negative binomial, without constants."""
        size = self.spread**-2
        expected = np.exp(log_rate) * self.exposure
        found: Floats = self.molecules * log_rate - (self.molecules + size) * np.log1p(expected / size)
        return found


@dataclass(frozen=True, slots=True)
class AmbientEvidence:
    """What is known of the rates of ambient and of misassigned molecules in a cell of median depth."""

    usual: tuple[float, float]
    """Logarithm of the rate that would be usual in a library with so many CAR molecules, and its spread."""
    empties: Counted | None = None
    before: Counted | None = None
    """T cells from before any infusion."""

    def log_likelihood(self, log_ambient: Floats, log_misassigned: Floats) -> Floats:
        """Return what this says of pairs of rates (m,)."""
        total = -0.5 * ((log_ambient - self.usual[0]) / self.usual[1]) ** 2
        if self.empties is not None:
            total = total + self.empties.log_likelihood(log_ambient)
        if self.before is not None:
            total = total + self.before.log_likelihood(log_misassigned)
        return total


def empty_droplets(
    *,
    car_molecules: float,
    umis: float,
    droplets: int,
    median_umis: float,
    ambient_share: float | None,
    spread_known: float,
    spread_unknown: float,
) -> Counted | None:
    """Return what empty droplets say of the ambient CAR molecules in a cell of median depth.

    With the share of a cell's UMIs that is ambient, the cell holds that many UMIs of the soup; without it,
    as many as the mean empty droplet.

    Parameters
    ----------
    car_molecules, umis, droplets
        CAR molecules and UMIs in the empty droplets, and how many droplets there are.
    median_umis
        UMIs of the median T cell.
    ambient_share
        Estimated share of a cell's UMIs that is ambient, 0 to 1; None when it is not known.
    spread_known, spread_unknown
        Coefficient of variation of the soup in a cell, with and without that share.
    """
    if umis <= 0 or droplets <= 0 or median_umis <= 0:
        return None
    if ambient_share is not None and ambient_share > 0:
        return Counted(car_molecules, umis / (ambient_share * median_umis), spread_known)
    return Counted(car_molecules, float(droplets), spread_unknown)


def usual_ambient(molecules: float, depth: float, share: float, spread: float) -> tuple[float, float]:
    """Return the prior of the ambient rate: the usual share of the soup, with the cells' own content of CAR.

    Half a molecule is added, so that a library without any still has a rate.
    """
    return math.log(share * (molecules + 0.5) / depth), spread
