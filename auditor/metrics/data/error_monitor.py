"""Watching labelled errors against a limit, as readings that hold at every look."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

from auditor.domain.canonical import Json
from auditor.domain.clusters import doubts
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason, Unit
from auditor.stats.proportions import clopper_pearson
from auditor.stats.sequential import Tally, rate_sequence
from auditor.surveying.looks import Looks

METHOD = "e-process of a rate, restarted at every batch (robbins; ville)"
SILENT = "that nothing was proven proves nothing: more rows may raise an alarm"
WATCHED = ("error", "log_evidence", "alarm")
NO_LIMIT = Gap(
    reason=Reason.NEEDS_REFERENCE_DATA,
    detail="No accuracy is claimed, and no labelled reference says how often the model erred.",
    cure="Name claims.accuracy, or a labelled sample under data.reference in the audit file.",
)


@dataclass(frozen=True, slots=True)
class Watched:
    """What errors are watched against: a claimed rate, else as many errors of a reference, and
    what more of them is harmless.
    """

    claimed: float | None
    before: Tally
    harm: float

    @classmethod
    def of(cls, told: Mapping[str, Json], harm: float) -> "Watched":
        """Read evidence back."""
        rows, wrong = cast("int", told["rows"]), cast("int", told["wrong"])
        return cls(cast("float | None", told["claimed"]), Tally(rows, wrong), harm)

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

    def readings(self, looks: Looks, confidence: float, *, clustered: bool) -> Iterator[Reading]:
        """Yield the error so far, the most evidence that there was at any look, and the alarm."""
        limit = self.limit(confidence)
        error = rate_sequence(list(looks.so_far())[-1], confidence)
        details = doubts(clustered, "evidence")
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
            bound=Bound.AT_LEAST,
            n=error.n,
            unit=Unit.NAT,
            doubted=clustered,
            details=details,
        )
        yield told
        yield _alarm(told, first)

    @property
    def against(self) -> str:
        """Say what the limit is from."""
        return "the claimed accuracy" if self.claimed is not None else "the reference's error"


def _alarm(told: Measurement, first: str | None) -> Measurement:
    """Return whether there was an alarm; that there was none is doubted."""
    more: dict[str, Json] = {"doubt": SILENT} if first is None else {"first_at": first}
    return replace(
        told,
        metric="alarm",
        value=first is not None,
        bound=Bound.ESTIMATE,
        unit=Unit.NONE,
        doubted=told.doubted or first is None,
        details={**told.details, **more},
    )


def _within(rate: float) -> float:
    return min(max(rate, 1e-6), 1 - 1e-6)
