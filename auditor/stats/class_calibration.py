"""Calibration of many classes: of each class's probability, and of the answer, class by class."""

import math
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from auditor.domain.intervals import Interval
from auditor.domain.tasks import Floats
from auditor.stats.binning import BINS, LEAST_ROWS, binned_l2, debiased_l2, equal_mass

ROWS_A_BIN = 20
JOINT = "root mean square over classes, joint by bonferroni: "
TOP_LABEL = "debiased over equal-mass bins within each answered class, noncentral chi-squared"


def classwise_l2(
    stated: Floats, labels: NDArray[np.int64], confidence: float
) -> tuple[Interval, tuple[Interval, ...]]:
    """Return the error over all classes and that of each, for ``stated`` ``[n, classes]``.

    The marginal calibration error of Kumar, Liang and Ma (2019), NeurIPS, with equal weights. The
    classes' intervals hold jointly (Bonferroni), and the whole one within them. Raises
    ``ValueError`` for fewer than 150 rows.
    """
    count = stated.shape[1]
    level = 1 - (1 - confidence) / count
    each = tuple(debiased_l2(stated[:, at], labels == at, level) for at in range(count))
    value, low, high = (
        math.sqrt(sum(end * end for end in ends) / count)
        for ends in zip(*((item.value, item.low, item.high) for item in each), strict=True)
    )
    whole = Interval(value, low, high, confidence, JOINT + each[0].method, len(labels))
    return whole, tuple(replace(item, confidence=confidence) for item in each)


def top_label_l2(
    stated: Floats, happened: NDArray[np.bool_], answered: NDArray[np.int64], confidence: float
) -> Interval:
    """Return the error of the probability ``stated`` ``[n]`` of the class ``answered`` ``[n]``.

    Gupta and Ramdas (2022), ICLR, Top-label calibration: what is meant holds for each answer by
    itself, so that a class stated too boldly is not made good by one stated too timidly. Each
    class has a bin for every 20 rows, 15 at most; classes with fewer rows share theirs. Raises
    ``ValueError`` for fewer than 150 rows.
    """
    if len(stated) < LEAST_ROWS:
        message = f"the top-label calibration error needs {LEAST_ROWS} rows"
        raise ValueError(message)
    counts = np.bincount(answered)
    own = np.where(counts >= ROWS_A_BIN, np.arange(counts.size), counts.size)[answered]
    placed = np.zeros(len(stated), dtype=np.int64)
    for one in np.unique(own):
        mine = own == one
        bins = min(BINS, max(1, int(mine.sum()) // ROWS_A_BIN))
        placed[mine] = equal_mass(stated[mine], bins) + one * BINS
    return binned_l2(stated, happened, placed, confidence, TOP_LABEL)
