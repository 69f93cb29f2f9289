"""Labelled rows in batches, and what is known at each look at them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.tasks import Floats
from auditor.stats.restarts import restarted_evidence
from auditor.stats.sequential import Tally, rate_sequence
from auditor.surveying.periods import periods

MOST_LOOKS = 104
"""Two years of weeks: evidence that may start at any batch is summed over all of them."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Labelled rows in batches: the ``names`` of the batches in order, and what each counts."""

    names: tuple[str, ...]
    batches: tuple[Tally, ...]

    @classmethod
    def of(cls, told: Sequence[Mapping[str, Json]]) -> "Looks":
        """Read evidence back."""
        counts = [(cast("int", item["n"]), cast("int", item["wrong"])) for item in told]
        return cls(tuple(str(item["at"]) for item in told), tuple(Tally(*of) for of in counts))

    def to_json(self) -> list[Json]:
        """Return the evidence form."""
        return [
            {"at": name, "n": batch.trials, "wrong": batch.successes}
            for name, batch in zip(self.names, self.batches, strict=True)
        ]

    def known(self, limit: float, confidence: float) -> list[Json]:
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
