"""Intervals of the ratio and of the difference of two medians."""

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.quantiles import quantile

METHOD = "order statistics of two medians (binomial), joint by bonferroni"


def ratio_of_medians(above: Floats, below: Floats, confidence: float) -> Interval | None:
    """Return the median of positive ``above`` over that of ``below``, two independent samples.

    The ends are those of two order-statistic intervals, each at the level at which both hold
    together; ``None`` where there are too few samples for one of them.
    """
    each = 1 - (1 - confidence) / 2
    top, bottom = quantile(above, 0.5, each), quantile(below, 0.5, each)
    if top is None or bottom is None or bottom.low <= 0:
        return None
    return Interval(
        top.value / bottom.value,
        top.low / bottom.high,
        top.high / bottom.low,
        confidence,
        METHOD,
        min(top.n, bottom.n),
    )


def difference_of_medians(above: Floats, below: Floats, confidence: float) -> Interval | None:
    """Return the median of ``above`` less that of ``below``, two independent samples.

    Joined as in ``ratio_of_medians``; ``None`` where there are too few samples for one of them.
    """
    each = 1 - (1 - confidence) / 2
    top, bottom = quantile(above, 0.5, each), quantile(below, 0.5, each)
    if top is None or bottom is None:
        return None
    return Interval(
        top.value - bottom.value,
        top.low - bottom.high,
        top.high - bottom.low,
        confidence,
        METHOD,
        min(top.n, bottom.n),
    )
