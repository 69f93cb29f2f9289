"""Calibration: tests of a calibrated model, intervals of its errors, and advice that is false."""

from collections.abc import Callable
from functools import cache

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit, softmax

from auditor.domain.readings import ConfidenceInterval
from auditor.domain.tasks import Floats
from auditor.metrics.stats.binned_calibration import (
    brier_parts,
    classwise_calibration_error,
    debiased_calibration_error,
    equal_mass_bins,
    top_label_calibration_error,
)
from auditor.metrics.stats.recalibration import (
    CorrectionSplit,
    advise_platt,
    advise_temperature,
    recalibrate,
    recalibrate_clustered,
    spiegelhalter,
)
from auditor.metrics.stats.smooth_calibration import smooth_calibration_error
from simulations.claims import LEVEL, Draw, Random, Simulation, covering, covers, seldom

MANY = 2_000_000
Flags = NDArray[np.bool_]
Error = Callable[[Floats, Flags], ConfidenceInterval]


def calibration() -> tuple[Simulation, ...]:
    """Stated probabilities from Beta(2, 3) whose truth is cooler by a temperature."""
    rejects, advice = "rejects a calibrated model", "advises a calibrated model to change"
    sizes = (200, 1000)
    return (
        *(seldom("recalibrate", f"{n} rows, p-value", rejects, 1500, _line(n)) for n in sizes),
        *(seldom("spiegelhalter", f"{n:,} rows", rejects, 4000, _z(n)) for n in (*sizes, 5000)),
        seldom(
            "recalibrate_clustered",
            "200 people of 5 equal rows, p-value",
            rejects,
            1500,
            _clustered_test,
        ),
        covering(
            "recalibrate_clustered",
            "200 people of 5 equal rows, slope",
            0.94,
            1500,
            _clustered_slope,
        ),
        *(
            covering("debiased_l2", f"{n} rows, temperature {t}", 0.94, 3000, _covers_l2(n, t))
            for n in (150, 1000)
            for t in (1.2, 1.6, 2.5)
        ),
        *(
            covering(
                "smooth_error", f"{n} rows, temperature {t:g}", 0.94, 600, _covers_smooth(n, t)
            )
            for n in (150, 1000)
            for t in (1.0, 1.6)
        ),
        seldom("smooth_error", "300 rows, null band", rejects, 300, _null),
        covering("brier_parts", "300 rows, resolution", 0.94, 3000, _resolution),
        seldom("classwise_l2", "300 rows, 5 classes", rejects, 500, _classes(whole=True)),
        seldom("top_label_l2", "300 rows, 5 classes", rejects, 2000, _classes(whole=False)),
        *(seldom("temper", f"{n} rows, or platt", advice, 400, _advised(n)) for n in (60, *sizes)),
    )


def _tempered(rng: Random, rows: int, temperature: float) -> tuple[Floats, Floats]:
    stated = rng.beta(2, 3, rows)
    return stated, expit(logit(stated) / temperature)


def _sample(rng: Random, rows: int, temperature: float = 1.0) -> tuple[Floats, Flags]:
    stated, chances = _tempered(rng, rows, temperature)
    return stated, rng.random(rows) < chances


def _line(rows: int) -> Draw:
    def draw(rng: Random) -> float:
        found = recalibrate(*_sample(rng, rows), LEVEL)
        return float(found is None or found.p_value <= 1 - LEVEL)

    return draw


def _z(rows: int) -> Draw:
    def draw(rng: Random) -> float:
        found = spiegelhalter(*_sample(rng, rows))
        return float(found is None or found[1] <= 1 - LEVEL)

    return draw


def _people(rng: Random) -> tuple[Floats, Flags, NDArray[np.int64]]:
    """Five equal rows of each of 200 people."""
    people = np.repeat(np.arange(200), 5)
    stated, happened = _sample(rng, 200)
    return stated[people], happened[people], people


def _clustered_test(rng: Random) -> float:
    found = recalibrate_clustered(*_people(rng), LEVEL)
    return float(found is None or found.p_value <= 1 - LEVEL)


def _clustered_slope(rng: Random) -> float:
    found = recalibrate_clustered(*_people(rng), LEVEL)
    return covers(found.slope if found else None, 1.0)


@cache
def _l2(temperature: float) -> float:
    stated, chances = _tempered(np.random.default_rng(1), MANY, temperature)
    placed = equal_mass_bins(stated)
    errors = np.bincount(placed, stated - chances) / np.bincount(placed)
    return float(np.sqrt(np.mean(errors**2)))


def _covers_l2(rows: int, temperature: float) -> Draw:
    def draw(rng: Random) -> float:
        found = debiased_calibration_error(*_sample(rng, rows, temperature), LEVEL)
        return covers(found, _l2(temperature))

    return draw


@cache
def _smooth(temperature: float) -> float:
    if temperature == 1:
        return 0.0
    return smooth_calibration_error(
        *_sample(np.random.default_rng(2), MANY, temperature), LEVEL, 0
    ).interval.value


def _covers_smooth(rows: int, temperature: float) -> Draw:
    def draw(rng: Random) -> float:
        sample, seed = _sample(rng, rows, temperature), int(rng.integers(1 << 32))
        return covers(smooth_calibration_error(*sample, LEVEL, seed).interval, _smooth(temperature))

    return draw


def _null(rng: Random) -> float:
    found = smooth_calibration_error(*_sample(rng, 300), LEVEL, int(rng.integers(1 << 32)))
    return float(found.null.p_value <= 1 - LEVEL)


@cache
def _spread() -> float:
    _, chances = _tempered(np.random.default_rng(3), MANY, 1.6)
    placed = equal_mass_bins(chances)
    return float(np.var(np.bincount(placed, chances) / np.bincount(placed)))


def _resolution(rng: Random) -> float:
    return covers(brier_parts(*_sample(rng, 300, 1.6), LEVEL).resolution, _spread())


def _classes(*, whole: bool) -> Draw:
    def draw(rng: Random) -> float:
        stated = softmax(rng.normal(size=(300, 5)) * 2, axis=1)
        labels = (stated.cumsum(axis=1) > rng.random((300, 1))).argmax(axis=1)
        if whole:
            return float(classwise_calibration_error(stated, labels, LEVEL)[0].low > 0)
        answered = stated.argmax(axis=1)
        found = top_label_calibration_error(stated.max(axis=1), answered == labels, answered, LEVEL)
        return float(found.low > 0)

    return draw


def _advised(rows: int) -> Draw:
    halves = CorrectionSplit(np.arange(rows) % 2 == 0)

    def draw(rng: Random) -> float:
        stated, happened = _sample(rng, rows)
        both = np.stack([1 - stated, stated], axis=1)
        line = advise_platt(stated, happened, halves, LEVEL)
        warm = advise_temperature(both, happened.astype(np.int64), halves, LEVEL)
        return float(warm.advised or (line is not None and line.advised))

    return draw
