"""P-values: multiple-testing correction, permutation tests and conformal outlier tests."""

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import hypergeom

from auditor.domain.tasks import Floats


def holm(p_values: ArrayLike) -> Floats:
    """Return adjusted p-values ``[k]``: those at most alpha hold jointly at level alpha.

    The chance of even one false finding is at most alpha, however the tests depend on each other
    (Holm 1979, Scandinavian Journal of Statistics 6). Raises ``ValueError`` for what is no p-value.
    """
    given = _checked(p_values)
    order = np.argsort(given, kind="stable")
    left = np.arange(given.size, 0, -1)
    return _unsorted(np.maximum.accumulate(given[order] * left), order)


def benjamini_hochberg(p_values: ArrayLike) -> Floats:
    """Return adjusted p-values ``[k]``: of those at most alpha, at most that share is false.

    The share is meant on average over audits. Benjamini and Hochberg (1995), JRSS B 57: for tests
    that are independent, or positively dependent (Benjamini and Yekutieli 2001). Raises
    ``ValueError`` for what is no p-value.
    """
    return _step_up(_checked(p_values), 1.0)


def benjamini_yekutieli(p_values: ArrayLike) -> Floats:
    """Return adjusted p-values ``[k]`` as ``benjamini_hochberg``, for any dependence of the tests.

    Benjamini and Yekutieli (2001), Annals of Statistics 29, theorem 1.3: larger by the harmonic
    number of ``k``. Raises ``ValueError`` for what is no p-value.
    """
    given = _checked(p_values)
    return _step_up(given, float(np.sum(1 / np.arange(1, given.size + 1))))


def _step_up(given: Floats, penalty: float) -> Floats:
    order = np.argsort(given, kind="stable")
    ranks = np.arange(1, given.size + 1)
    scaled = given[order] * (penalty * given.size) / ranks
    return _unsorted(np.minimum.accumulate(scaled[::-1])[::-1], order)


def _unsorted(adjusted: Floats, order: np.ndarray[tuple[int], np.dtype[np.intp]]) -> Floats:
    found = np.empty_like(adjusted)
    found[order] = np.minimum(adjusted, 1.0)
    return found


def _checked(p_values: ArrayLike) -> Floats:
    given = np.asarray(p_values, dtype=np.float64)
    wrong = given[~((given >= 0) & (given <= 1))]
    if given.ndim != 1 or wrong.size:
        message = f"p-values are a list of numbers within 0..1, not {wrong[:1]} in {given.shape}"
        raise ValueError(message)
    return given


def permutation_p_value(seen: float, by_chance: Floats) -> float:
    """Return the share of chances at least as large as ``seen``, itself counted as one.

    Phipson and Smyth (2010), Statistical Applications in Genetics 9: never 0, and valid.
    """
    return float((1 + np.count_nonzero(by_chance >= seen)) / (1 + by_chance.size))


def shuffle_statistic(
    statistic: Callable[[NDArray[np.int64]], float],
    labels: NDArray[np.int64],
    rounds: int,
    generator: np.random.Generator,
) -> Floats:
    """Return a statistic of labels ``[n]`` under ``rounds`` random orders of them."""
    return np.array([statistic(generator.permutation(labels)) for _ in range(rounds)])


def swap_within_pairs(pairs: Floats, rounds: int, generator: np.random.Generator) -> Floats:
    """Return the mean difference of ``pairs`` ``[n, 2]`` when members of each change at random."""
    signs = generator.choice(np.array([-1.0, 1.0]), size=(rounds, len(pairs)))
    chances: Floats = signs @ (pairs[:, 0] - pairs[:, 1]) / len(pairs)
    return chances


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


def conformal_p_values(scores: Floats, reference: Floats) -> Floats:
    """Return ``[n]``: the share of ``reference`` scores at least as great, each row counted itself.

    The reference must have no part in how rows are scored. Then a row from the same law has a
    value of at most u with probability u, and the values of all rows depend on each other
    positively, so that Benjamini and Hochberg's adjustment holds (Bates, Candes, Lei, Romano and
    Sesia 2023, Annals of Statistics 51, "Testing for outliers with conformal p-values"). Raises
    ``ValueError`` for an empty reference.
    """
    if not reference.size:
        message = "conformal p-values need a reference"
        raise ValueError(message)
    ordered = np.sort(reference)
    as_strange = reference.size - np.searchsorted(ordered, scores, side="left")
    return np.asarray((1 + as_strange) / (1 + reference.size))


def fewest_detectable_rows(rows: int, reference: int, level: float) -> int:
    """Return how many rows must stand beyond the whole reference for any of them to be found.

    The least p-value there is, 1 / (1 + ``reference``), has to come to ``level`` times their share
    of all ``rows``.
    """
    return int(np.ceil(rows / (level * (1 + reference)) - 1e-9))


TAIL_SHARE = 0.1
LEAST_TAIL = 5
LEAST_VALUE = 1e-100


def tail_p_values(scores: Floats, reference: Floats) -> Floats:
    """Return ``[n]``: conformal p-values, carried on beyond the greatest of ``reference``.

    Conformal p-values end at 1 / (1 + m), so that among many rows none could be told. The upper
    tenth of the reference is taken for exponential beyond its limit, or, where its excesses scatter
    more than such ones, for a generalised Pareto law (Pickands 1975, Annals of Statistics 3). The
    mean of k excesses is itself uncertain, and a new excess over it follows an F law with 2 and 2k
    degrees of freedom, which is what is used: (1 + f / k) ** -k. Up to the greatest reference score
    the values are the conformal ones. Beyond it they rest on the tail's law: of a lognormal one,
    rows come at 0.001 twice and at 0.0002 three times as often as the values say. Raises
    ``ValueError`` for an empty reference.
    """
    found = conformal_p_values(scores, reference)
    count = max(LEAST_TAIL, int(TAIL_SHARE * reference.size))
    if reference.size <= count:
        return found
    ordered = np.sort(reference)
    limit, excesses = ordered[-count - 1], ordered[-count:] - ordered[-count - 1]
    mean = float(excesses.mean())
    if not mean > 0:
        return found
    # The power at which the tail falls off: infinity of an exponential or lighter one
    scatter = float(excesses.var())
    shape = 0.5 * (1 - mean**2 / scatter) if scatter > 0 else 0.0
    power = min(float(count), np.inf if shape <= 0 else 1 / shape)
    beyond = np.maximum(scores - limit, 0.0) / mean
    width = power - 1 if power < count else power
    carried = (count + 1) / (reference.size + 1) * (1 + beyond / width) ** -power
    carried = np.maximum(carried, LEAST_VALUE)
    return np.where(scores > ordered[-1], np.minimum(found, carried), found)
