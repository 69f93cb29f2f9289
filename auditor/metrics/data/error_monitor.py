"""Sequential monitoring of labelled errors against a limit.

The readings hold at every look at once.
"""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import describe_cluster_doubt
from auditor.domain.json import Json
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading, Unit
from auditor.domain.tasks import Floats
from auditor.metrics.data.period_performance import split_periods
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.sequential import SuccessCount, rate_sequence, restarted_evidence

MOST_LOOKS = 104
"""Two years of weeks: evidence that may start at any batch is summed over all of them."""
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True, eq=False)
class LabelledBatches:
    """Labelled rows in batches: the ``names`` of the batches in order, and what each counts."""

    names: tuple[str, ...]
    batches: tuple[SuccessCount, ...]

    @classmethod
    def of(cls, told: Sequence[Mapping[str, Json]]) -> "LabelledBatches":
        """Read evidence back."""
        counts = [(cast("int", item["n"]), cast("int", item["wrong"])) for item in told]
        return cls(
            tuple(str(item["at"]) for item in told), tuple(SuccessCount(*of) for of in counts)
        )

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

    def so_far(self) -> Iterator[SuccessCount]:
        """Yield all that is known after each batch."""
        trials = successes = 0
        for batch in self.batches:
            trials, successes = trials + batch.trials, successes + batch.successes
            yield SuccessCount(trials, successes)


def split_batches(wrong: Flags, times: Floats | None, batch: int) -> LabelledBatches:
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
        placed = split_periods(times, MOST_LOOKS if several else most)
        codes, names = placed.codes.astype(np.int64), placed.names
    rows = np.bincount(codes, minlength=len(names))
    hits = np.bincount(codes[wrong], minlength=len(names))
    return LabelledBatches(
        names, tuple(SuccessCount(int(n), int(k)) for n, k in zip(rows, hits, strict=True))
    )


METHOD = "e-process of a rate, restarted at every batch (robbins; ville)"
SILENT = "that nothing was proven proves nothing: more rows may raise an alarm"
WATCHED = ("error", "log_evidence", "alarm")
NO_LIMIT = Gap(
    reason=GapReason.NEEDS_REFERENCE_DATA,
    detail="No accuracy is claimed, and no labelled reference says how often the model erred.",
    cure="Name claims.accuracy, or a labelled sample under data.reference in the audit file.",
)


@dataclass(frozen=True, slots=True)
class ErrorMonitor:
    """What errors are watched against: a claimed rate, else as many errors of a reference, and
    what more of them is harmless.
    """

    claimed: float | None
    before: SuccessCount
    harm: float

    @classmethod
    def of(cls, told: Mapping[str, Json], harm: float) -> "ErrorMonitor":
        """Read evidence back."""
        rows, wrong = cast("int", told["rows"]), cast("int", told["wrong"])
        return cls(cast("float | None", told["claimed"]), SuccessCount(rows, wrong), harm)

    def limit(self, confidence: float) -> tuple[float, float] | None:
        """Return the rate to watch, and the log evidence that raises an alarm; ``None`` for none.

        A claim is held at its word. A reference's rate is known up to its upper limit only, which
        may be missed with half of the risk and leaves half to the alarm (Podkopaev and Ramdas 2022,
        ICLR, tracking the risk of a deployed model and detecting harmful distribution shifts).
        """
        risk = 1 - confidence
        if self.claimed is not None:
            return _within(self.claimed + self.harm), -math.log(risk)
        if not self.before.trials:
            return None
        # An interval at the confidence misses above with half of the risk.
        upper = clopper_pearson(self.before.successes, self.before.trials, confidence).high
        return _within(upper + self.harm), -math.log(risk / 2)

    def readings(
        self, looks: LabelledBatches, confidence: float, *, clustered: bool
    ) -> Iterator[Reading]:
        """Yield the error so far, the most evidence that there was at any look, and the alarm."""
        limit = self.limit(confidence)
        error = rate_sequence(list(looks.so_far())[-1], confidence)
        details = describe_cluster_doubt(clustered, "evidence")
        if limit is None:
            yield Measurement.of(error, "error", Unit.SHARE, doubted=clustered, details=details)
            yield from (replace(NO_LIMIT, metric=metric) for metric in WATCHED[1:])
            return
        rate, enough = limit
        details |= {"limit": rate, "alarm_at": enough, "against": self.against}
        every = looks.known(rate, confidence)
        yield Measurement.of(
            error, "error", Unit.SHARE, doubted=clustered, details={**details, "looks": every}
        )
        logs = [cast("float", cast("Mapping[str, Json]", look)["log_evidence"]) for look in every]
        named = zip(looks.names, logs, strict=True)
        first = next((name for name, log in named if log >= enough), None)
        told = Measurement(
            metric="log_evidence",
            value=max(logs),
            method=METHOD,
            bound=BoundKind.AT_LEAST,
            n=error.n,
            unit=Unit.NAT,
            doubted=clustered,
            details=details,
        )
        yield told
        # Whether there was an alarm; that there was none is doubted
        more: dict[str, Json] = {"doubt": SILENT} if first is None else {"first_at": first}
        yield replace(
            told,
            metric="alarm",
            value=first is not None,
            bound=BoundKind.ESTIMATE,
            unit=Unit.NONE,
            doubted=told.doubted or first is None,
            details={**told.details, **more},
        )

    @property
    def against(self) -> str:
        """Say what the limit is from."""
        return "the claimed accuracy" if self.claimed is not None else "the reference's error"


def _within(rate: float) -> float:
    return min(max(rate, 1e-6), 1 - 1e-6)
