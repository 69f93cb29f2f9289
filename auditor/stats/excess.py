"""Whether more rows of one sample lie high than exchangeable samples allow."""

import numpy as np
from scipy.stats import hypergeom

from auditor.domain.tasks import Floats

SHARES = (0.01, 0.02, 0.05, 0.1)
"""The upper parts of both samples together in which rows are counted."""


def excess_p_value(scores: Floats, reference: Floats) -> float:
    """Return how likely so few of ``reference`` ``[m]`` are among the highest, if all are alike.

    Of rows that are exchangeable every set of m is as likely the reference one, so that the count
    among the highest hundredth, fiftieth, twentieth and tenth of both samples together follows a
    hypergeometric law (Fisher's exact test, one-sided). The least of the four, four times over
    (Bonferroni). Of equal scores the reference's are taken for the higher ones, which errs towards
    saying nothing. Raises ``ValueError`` for an empty sample.
    """
    total = scores.size + reference.size
    if not scores.size or not reference.size:
        message = "an excess needs rows on both sides"
        raise ValueError(message)
    values = np.concatenate((reference, scores))
    known = np.arange(total) < reference.size
    ranked = known[np.argsort(-values, kind="stable")]
    chances = [
        hypergeom.cdf(int(ranked[:top].sum()), total, reference.size, top)
        for top in (max(1, round(share * total)) for share in SHARES)
    ]
    return min(1.0, len(SHARES) * float(min(chances)))
