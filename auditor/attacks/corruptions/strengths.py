"""How strong a corruption is: published tables for two sizes, and a rule for all others."""

import math

from auditor.domain.tasks import Floats

SMALL, LARGE = 32, 224
"""Sides, in pixels, for which CIFAR-10-C and ImageNet-C were tuned."""
SEVERITIES = (1, 2, 3, 4, 5)

Five = tuple[float, float, float, float, float]
"""One number a severity, the mildest first."""


def side_of(pictures: Floats) -> int:
    """Return the shorter side of ``[n, height, width, channels]``, in pixels."""
    return int(min(pictures.shape[1:3]))


def between(small: Five, large: Five, severity: int, side: int) -> float:
    """Return the strength for pictures of ``side`` pixels.

    ``small`` is CIFAR-10-C's table and holds up to 32 pixels, ``large`` ImageNet-C's and holds
    from 224 (Hendrycks & Dietterich 2019, arXiv 1903.12261, with the code published beside it);
    between them the strength is linear in the logarithm of the side.
    """
    share = math.log(side / SMALL) / math.log(LARGE / SMALL)
    share = min(1.0, max(0.0, share))
    return (1 - share) * small[severity - 1] + share * large[severity - 1]


def length(small: Five, large: Five, severity: int, side: int) -> float:
    """Return a length in pixels, as ``between``, which goes on to grow and shrink outside.

    Above 224 pixels a length grows with the side. Below 32 it shrinks with the side's square
    root: in proportion it would vanish below a pixel and corrupt nothing, and unscaled it would
    cover what the picture shows. That rule is ours; no published table is for so few pixels.
    """
    known = between(small, large, severity, side)
    return known * max(1.0, side / LARGE) * min(1.0, math.sqrt(side / SMALL))
