"""What is known of a model's accuracy on current data: estimates without labels, and evidence."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.tasks import Floats
from auditor.stats.logistic import fit
from auditor.stats.restarts import restarted_evidence
from auditor.stats.sequential import Tally, rate_sequence
from auditor.stats.unlabelled import GROUPS
from auditor.surveying.drifting import features
from auditor.surveying.periods import periods
from auditor.surveying.tables import Shared

MOST_LOOKS = 104
"""Two years of weeks: evidence that may start at any batch is summed over all of them."""
Flags = NDArray[np.bool_]


def density_ratios(columns: Sequence[Shared], rows: tuple[int, int]) -> Floats:
    """Return how much more frequent rows like each reference row have become, up to a factor.

    The odds that a row is current, by logistic regression (Bickel, Brueckner and Scheffer 2009,
    Journal of Machine Learning Research 10); ``rows`` are those of reference and current.
    """
    given = features(columns, rows[0])
    weights = fit(given, np.arange(len(given)) >= rows[0])
    odds = given[: rows[0]] @ weights
    ratios: Floats = np.exp(odds - odds.max())
    return ratios


def jackknife_groups(rows: int, clusters: NDArray[np.int32] | None, seed: int) -> NDArray[np.int64]:
    """Return the group of each row: whole clusters, where rows hang together."""
    generator = np.random.default_rng(seed)
    if clusters is None:
        return generator.permutation(rows).astype(np.int64) % GROUPS
    units = int(clusters.max()) + 1
    return (generator.permutation(units).astype(np.int64) % GROUPS)[clusters]


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Labelled rows in batches: the ``names`` of the batches in order, and what each counts."""

    names: tuple[str, ...]
    batches: tuple[Tally, ...]

    def to_json(self, limit: float, confidence: float) -> list[Json]:
        """Return what was known at each look: the rate so far, its interval, the evidence."""
        evidence = restarted_evidence(self.batches, limit)
        return [
            {
                "at": name,
                "n": tally.trials,
                "error": interval.value,
                "low": interval.low,
                "high": interval.high,
                "log_evidence": float(log),
            }
            for name, log, tally in zip(self.names, evidence, self.so_far(), strict=True)
            for interval in [rate_sequence(tally, confidence)]
        ]

    def so_far(self) -> Iterator[Tally]:
        """Yield all that is known after each batch."""
        trials = successes = 0
        for batch in self.batches:
            trials, successes = trials + batch.trials, successes + batch.successes
            yield Tally(trials, successes)


def in_batches(wrong: Flags, times: Floats | None, batch: int) -> Looks:
    """Return batches of rows ``[n]``, at least one, by when they happened, else in their order.

    Few distinct times are a batch each; else a batch has ``batch`` rows, or more where there would
    be too many batches.
    """
    most = max(1, min(MOST_LOOKS, wrong.size // batch))
    if times is None:
        codes = np.arange(wrong.size) * most // wrong.size
        ends = [int((codes <= part).sum()) for part in range(most)]
        names = tuple(f"row {end}" for end in ends)
    else:
        several = np.unique(times).size <= MOST_LOOKS
        placed = periods(times, MOST_LOOKS if several else most)
        codes, names = placed.codes.astype(np.int64), placed.names
    rows = np.bincount(codes, minlength=len(names))
    hits = np.bincount(codes[wrong], minlength=len(names))
    return Looks(names, tuple(Tally(int(n), int(k)) for n, k in zip(rows, hits, strict=True)))
