"""An interval: the figure, how sure it is, and how it was found."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Interval:
    """A point estimate with a confidence interval around it.

    ``method`` names the procedure in the field's words (``clopper-pearson``), ``n`` is the sample
    size, ``confidence`` the level at which ``[low, high]`` covers the truth.
    """

    value: float
    low: float
    high: float
    confidence: float
    method: str
    n: int
