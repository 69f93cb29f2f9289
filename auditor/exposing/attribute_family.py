"""Readings of several secret columns at once, and what may be said of all of them."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import cast

from auditor.domain.canonical import Json
from auditor.domain.conclusions import NOT_SEEN, OPEN, SHOWN, VERDICT, WEAK
from auditor.domain.readings import Astray, Bound, Measurement, Reading, Scalar, Unit
from auditor.exposing.attribute_gaps import TOO_FEW, UNLIKE, WHY
from auditor.exposing.attribute_readings import Contest, bounded


@dataclass(frozen=True, slots=True)
class Family:
    """How many contests are looked at together, and the ``level`` at which a leak is shown."""

    size: int
    level: float

    def advantage(
        self,
        contest: Contest,
        params: Mapping[str, Scalar],
        confidence: float,
        about: Mapping[str, Json],
    ) -> Reading:
        """Return the smaller of both gains of one contest, or a Gap where rows are too few."""
        if not contest.enough:
            return replace(TOO_FEW, metric="advantage", params=params)
        unlike = contest.unlike(self.level, self.size)
        details = {
            **contest.rates(),
            "smallest_shown": contest.smallest(self.level, self.size),
            "known_rows": about["known_rows"],
            "copies": about["copies"],
            **({"doubt": UNLIKE} if unlike else {}),
        }
        return Measurement.of(
            bounded(contest.leak(confidence, self.size)),
            "advantage",
            Unit.SHARE,
            bound=Bound.AT_LEAST,
            params=params,
            doubted=unlike,
            astray=Astray.EITHER if unlike else None,
            details=details,
        )

    def conclusion(
        self, contests: Mapping[str, Contest], params: Mapping[str, Scalar] | None = None
    ) -> Measurement:
        """Fold the columns: shown where one is, inconclusive where none could say anything."""
        usable = {
            name: it
            for name, it in contests.items()
            if it.enough and not it.unlike(self.level, self.size)
        }
        one_sided = 1 - 2 * self.level
        leaking = sorted(
            name for name, it in usable.items() if it.leak(one_sided, self.size).low > 0
        )
        smallest = {name: it.smallest(self.level, self.size) for name, it in usable.items()}
        weak = not usable or min(smallest.values()) > WEAK
        value = SHOWN if leaking else OPEN if weak else NOT_SEEN
        details: dict[str, Json] = {
            "columns": cast("Json", leaking),
            "level": self.level,
            "power": cast("Json", smallest),
            **({"reason": WHY} if value == OPEN else {}),
        }
        return Measurement(
            metric=VERDICT,
            value=value,
            bound=Bound.AT_LEAST,
            method="one-sided intervals, joint by bonferroni",
            n=max((int(it.members.size) for it in contests.values()), default=0),
            params=dict(params or {}),
            details=details,
        )
