"""The CAR+ fraction of T cells of one library, with an interval that counts everything not known."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from cartrace.cells import car_model as model_of
from cartrace.cells.ambient import AmbientEvidence, Counted, usual_ambient
from cartrace.cells.car_detection import Detection, detect_cars
from cartrace.cells.car_model import BOUNDS, CarModel, Histogram, Priors
from cartrace.cells.posterior import Draws, Floats, quantile, sample

if TYPE_CHECKING:
    from cartrace.cells.settings import CarCalls

WORTH = 0.25
"""Independent draws that a posterior shall be worth, as a share of the draws of one round."""
FEWEST_EFFECTIVE = 50.0
"""Fewest with which limits are told."""
ROUNDS = 8
KEPT = 400
"""Draws that limits of detection and posteriors of cells are averaged over."""
MOST_LOGIT = 7.6
"""Flow fractions are taken as 0.05 to 99.95 %."""


@dataclass(frozen=True, slots=True)
class Interval:
    """A posterior median with its limits."""

    value: float
    lower: float
    upper: float


@dataclass(frozen=True, slots=True)
class FractionEstimate:
    """What the cells of one library say of CAR+ T cells."""

    model: CarModel
    draws: Draws
    points: Floats
    """(m, d) draws of equal weight."""
    fraction: Interval
    """0 to 1."""
    mean: Interval
    """Molecules of a CAR+ cell of median depth."""
    dispersion: float
    """Square of the spread of expression: 1 / size of the negative binomial distribution."""
    false_rate: Interval
    """CAR molecules in a CAR- T cell of median depth."""
    detection: Detection
    prior_decides: bool
    """Whether the mean of CAR+ cells is rather believed than seen."""

    @property
    def settled(self) -> bool:
        """Whether the sampler found enough draws."""
        return self.draws.effective >= FEWEST_EFFECTIVE


def estimate_fraction(
    cells: Histogram,
    *,
    empties: Counted | None,
    before: Counted | None,
    evidence: str,
    flow_fraction: float | None,
    settings: CarCalls,
    confidence: float,
    rng: np.random.Generator,
) -> FractionEstimate:
    """Estimate the CAR+ fraction, the expression of CAR+ cells and the rate of false molecules together.

    Parameters
    ----------
    cells
        T cells and cells that cannot carry the CAR, by depth and molecules.
    empties, before
        CAR molecules in empty droplets, and in T cells from before any infusion.
    evidence
        molecules or counts.
    flow_fraction
        CAR+ fraction of the same T cells by flow cytometry, 0 to 1; None: not known, or not to be used.
    """
    molecules, depth = _totals(cells)
    ambient = AmbientEvidence(
        usual_ambient(molecules, depth, settings.ambient_share, settings.ambient_share_spread),
        empties,
        before,
    )
    model = CarModel(cells, ambient, _priors(settings, evidence, flow_fraction))
    draws = _sample(model, settings, rng)
    blank = _sample(
        CarModel(cells.without_t_cells(), ambient, _priors(settings, evidence, None)), settings, rng
    )
    points = draws.thinned(KEPT, rng)
    tails = ((1 - confidence) / 2, 0.5, (1 + confidence) / 2)

    def interval(values: Floats) -> Interval:
        lower, value, upper = quantile(values, draws.weights, tails)
        return Interval(float(value), float(lower), float(upper))

    logit, location = draws.points[:, model_of.FRACTION], draws.points[:, model_of.LOCATION]
    spread = math.sqrt(draws.weights @ (location - draws.weights @ location) ** 2)
    return FractionEstimate(
        model=model,
        draws=draws,
        points=points,
        fraction=interval(1 / (1 + np.exp(-logit - settings.model_error * rng.standard_normal(len(logit))))),
        mean=interval(model.mean_of_positive(draws.points)),
        dispersion=float(np.exp(2 * quantile(draws.points[:, model_of.SPREAD], draws.weights, (0.5,))[0])),
        false_rate=interval(model.false_rate(draws.points)),
        detection=detect_cars(
            model,
            blank.thinned(KEPT, rng),
            points,
            probability=settings.detection_probability,
            min_cells=settings.min_cells,
        ),
        prior_decides=spread > 0.7 * settings.mean_molecules_spread,
    )


def _priors(settings: CarCalls, evidence: str, flow_fraction: float | None) -> Priors:
    misassigned = settings.misassigned_molecules if evidence == "molecules" else settings.misassigned_counts
    flow = None
    if flow_fraction is not None:
        inside = min(max(flow_fraction, 1e-9), 1 - 1e-9)
        logit = min(max(math.log(inside / (1 - inside)), -MOST_LOGIT), MOST_LOGIT)
        flow = (logit, settings.flow_spread)
    return Priors(
        location=(math.log(settings.mean_molecules), settings.mean_molecules_spread),
        spread=(math.log(settings.expression_spread), settings.expression_spread_spread),
        variation=(math.log(settings.ambient_variation), settings.ambient_variation_spread),
        misassigned=(math.log(misassigned), settings.misassigned_spread),
        dim_share=(1.0, 1 / settings.dim_share - 1),
        dim_ratio=(math.log(settings.dim_ratio), settings.dim_ratio_spread),
        hidden=(1.0, 1 / settings.hidden_t_cells - 1),
        flow=flow,
    )


def _sample(model: CarModel, settings: CarCalls, rng: np.random.Generator) -> Draws:
    return sample(
        model.log_posterior,
        _starts(model),
        bounds=BOUNDS,
        draws=settings.draws,
        effective=WORTH * settings.draws,
        rounds=ROUNDS,
        rng=rng,
    )


def _starts(model: CarModel) -> Floats:
    """Return two starts: the fraction as counted, and many dim cells."""
    cells, priors = model.cells, model.priors
    t_cells = int(cells.t_cells.sum())
    above = int(cells.t_cells[cells.category > 0].sum())
    counted = (above + 0.5) / (t_cells + 1)
    usual = [
        math.log(counted / (1 - counted)),
        priors.location[0],
        priors.spread[0],
        0.0,
        math.log(priors.dim_share[0] / priors.dim_share[1]),
        priors.dim_ratio[0],
        model.ambient.usual[0],
        priors.variation[0],
        math.log(priors.hidden[0] / priors.hidden[1]),
        priors.misassigned[0],
    ]
    if t_cells == 0:
        return np.array([usual])
    dim = [min(usual[0] + 1.5, 4.0), priors.location[0] - 1, *usual[2:]]
    starts: Floats = np.clip(np.array([usual, dim]), *np.array(BOUNDS).T)
    return starts


def _totals(cells: Histogram) -> tuple[float, float]:
    """Return the CAR molecules of all cells that count, and their depth."""
    n = cells.t_cells + cells.other_cells
    return float(n @ model_of.counts_of(cells.category)), float(n @ cells.depth[cells.bin])
