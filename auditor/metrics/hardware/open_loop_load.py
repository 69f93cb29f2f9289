"""Open-loop load: requests that arrive at their times whether or not the last has ended."""

import numpy as np
from numpy.typing import NDArray

from auditor.domain.model_instrumentation import RequestArrivals
from auditor.domain.tasks import Floats


def poisson_arrivals(count: int, rate: float, seed: int) -> Floats:
    """Return when ``count`` requests are due (s): a Poisson process of ``rate`` a second."""
    gaps = np.random.default_rng(seed).exponential(1.0 / rate, size=count)
    due: Floats = np.cumsum(gaps) - gaps[0]
    return due


def stack_request_times(seen: RequestArrivals) -> Floats:
    """Return ``[3, n]``: when requests were due, began and ended."""
    return np.stack([seen.due, seen.began, seen.ended])


def response_times(rows: Floats) -> Floats:
    """Return what each request took from when it was due, which leaves no waiting out."""
    latency: Floats = rows[2] - rows[0]
    return latency


def find_busy_periods(rows: Floats) -> NDArray[np.int64]:
    """Return each request's bunch, from 0: one ends where the next request finds nobody waiting.

    Requests of one bunch wait for each other, so that their times are not independent.
    """
    idle = np.concatenate([[False], rows[0][1:] >= rows[2][:-1]])
    numbered: NDArray[np.int64] = np.cumsum(idle)
    return numbered


def offered_load(rows: Floats) -> float:
    """Return the work that arrives in a second, in seconds of the target; 1 is all it can do."""
    count = rows.shape[1]
    if count < 2:  # noqa: PLR2004 -- one request has no rate
        return 0.0
    between: float = (rows[0][-1] - rows[0][0]).item() / (count - 1)
    served: float = (rows[2] - rows[1]).mean().item()
    return served / max(between, 1e-12)
