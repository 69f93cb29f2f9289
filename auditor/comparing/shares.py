"""A share of rows to which something happened, as a reading."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement, Scalar, Unit
from auditor.stats.proportions import clopper_pearson


def share_of(
    metric: str,
    happened: NDArray[np.bool_],
    confidence: float,
    *,
    params: Mapping[str, Scalar] | None = None,
    details: Mapping[str, Json] | None = None,
) -> Measurement:
    """Return the share of ``[n]`` rows, at least one, with the interval of Clopper and Pearson."""
    interval = clopper_pearson(int(happened.sum()), len(happened), confidence)
    return Measurement.of(interval, metric, Unit.SHARE, params=params, details=details)
