"""Input screening for backdoor triggers by SCALE-UP and STRIP, with its readings.

A triggered input keeps its decision under changes that would flip a clean input's decision.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.stats import hypergeom

from auditor.attacks.poisoning.training_scan import ALIKE, NeighbourCodes
from auditor.domain.evidence import Evidence, explain_dependence
from auditor.domain.gaps import NOT_SEEN, OPEN, SHOWN, VERDICT, read_gap
from auditor.domain.json import Json
from auditor.domain.readings import (
    BiasDirection,
    BoundKind,
    ConfidenceInterval,
    Measurement,
    Reading,
    Unit,
)
from auditor.domain.tasks import Array, Floats, InputSpace
from auditor.metrics.stats.p_values import conformal_p_values
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.metrics.stats.share_differences import share_difference

SCALE_UP, STRIP = "scale_up", "strip"
FACTORS = tuple(range(2, 12))
MOST_ASKED = 4096
"""Changed copies that are sent at a time."""
Ask = Callable[[Array], Floats]
Say = Callable[[int], None]


@dataclass(frozen=True, slots=True, eq=False)
class TriggerScreen:
    """Whom to ask for ``[n, classes]`` probabilities, how they decide, and where inputs live.

    ``say`` is told of rows when they have been asked, and may raise ``CancelledError``.
    """

    ask: Ask
    decide: Callable[[Floats], NeighbourCodes]
    space: InputSpace
    say: Say

    def scale_up(self, rows: Array) -> Floats:
        """Return ``[n]``: the share of ten brighter copies that are decided as the row itself is.

        Each coordinate less its least value is multiplied by 2 to 11, and cut off at its greatest
        (Guo, Li, Chen, Guo, Sun and Liu 2023, ICLR, "SCALE-UP", equation 2, without data). A
        trigger outlives that; what a clean picture shows does not. Only decisions are used.
        """
        first = self.decide(self.ask(rows))
        same = np.zeros(len(rows))
        for part in self._parts(len(rows), len(FACTORS)):
            copies = np.concatenate([self._scaled(rows[part], factor) for factor in FACTORS])
            decided = self.decide(self.ask(copies)).reshape(len(FACTORS), -1)
            same[part] = (decided == first[part]).mean(axis=0)
        return same

    def strip(self, rows: Array, overlays: Array) -> Floats:
        """Return ``[n]``: minus the mean entropy (nat) of a row's copies, one under each overlay.

        A copy is the sum of both above the least value, cut off at the greatest (Gao, Xu, Wang,
        Chen, Ranasinghe and Nepal 2019, ACSAC, "STRIP", equations 3 and 4). A decision that no
        overlay makes unsure is a trigger's.
        """
        low = self.space.low
        found = np.zeros(len(rows))
        for part in self._parts(len(rows), len(overlays)):
            mine = rows[part].astype(np.float64)
            copies = np.concatenate([self._kept(mine + one - low, rows) for one in overlays])
            chances = np.clip(self.ask(copies), 1e-12, 1.0)
            entropy = -(chances * np.log(chances)).sum(axis=1)
            found[part] = -entropy.reshape(len(overlays), -1).mean(axis=0)
        return found

    def _parts(self, rows: int, copies: int) -> Iterator[slice]:
        """Yield parts of the rows, and say of each that it is done once the next is wanted."""
        step = max(1, MOST_ASKED // max(1, copies))
        for at in range(0, rows, step):
            yield slice(at, at + step)
            self.say(min(at + step, rows) - at)

    def _scaled(self, rows: Array, factor: int) -> Array:
        low = self.space.low
        return self._kept(low + factor * (rows.astype(np.float64) - low), rows)

    def _kept(self, copies: Floats, like: Array) -> Array:
        """Cut copies off at the edges, and put them on the steps in which inputs come."""
        low, high, quantum = self.space.low, self.space.high, self.space.quantum
        steps = np.where(quantum > 0, quantum, 1.0)
        placed = np.where(quantum > 0, low + np.round((copies - low) / steps) * steps, copies)
        return np.clip(placed, low, high).astype(like.dtype)


METHODS = (SCALE_UP, STRIP)
FLAGGED, ALARMS, EXCESS = "flagged_share", "false_alarm_rate", "excess_share"
DIFFERS = "the screened inputs as a whole are not like the clean ones: a shift, or triggers in many"
BLIND = "so many clean rows have the highest score there is that no limit has this false alarm rate"
PLANTED = (0.001, 0.002, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3)


@dataclass(frozen=True, slots=True)
class ScreenLimits:
    """The false alarm rate that a limit is set for, the level of a verdict, and a list's length."""

    false_alarms: float
    level: float
    listed: int


@dataclass(frozen=True, slots=True, eq=False)
class ScreenScores:
    """One method's scores: of screened inputs ``[n]``, of clean rows that set the limit ``[a]``,
    and of clean rows that try it ``[b]``.
    """

    inputs: Floats
    setting: Floats
    trying: Floats

    def flagged(self, scores: Floats, rate: float) -> NDArray[np.bool_]:
        """Return which scores ``[k]`` at most the share ``rate`` of the clean rows reach."""
        return np.asarray(conformal_p_values(scores, self.setting) <= rate)

    def differs(self) -> bool:
        """Whether the inputs as a whole score higher than clean rows."""
        return bool((self.inputs > np.median(self.setting)).mean() > ALIKE)

    def blind(self, rate: float) -> bool:
        """Whether no score there is would be flagged."""
        highest = max(float(part.max()) for part in (self.inputs, self.setting, self.trying))
        return not self.flagged(np.array([highest]), rate)[0]

    def p_value(self, rate: float) -> float:
        """Return how likely so many more flagged inputs are, if they are like clean rows.

        Fisher's exact test, one-sided, against the clean rows that had no part in the limit.
        """
        hits, clean = (int(self.flagged(part, rate).sum()) for part in (self.inputs, self.trying))
        total = len(self.inputs) + len(self.trying)
        return float(hypergeom.cdf(clean, total, len(self.trying), hits + clean))

    def least_share(self, rate: float, level: float) -> float | None:
        """Return the smallest share of inputs with triggers that would have been shown, if every
        one of them were flagged.
        """
        rows, known = len(self.inputs), len(self.trying)
        for share in PLANTED:
            poison = max(1, round(share * rows))
            hits, clean = poison + round(rate * (rows - poison)), round(rate * known)
            if hypergeom.cdf(clean, rows + known, known, hits + clean) <= level:
                return share
        return None


def screen_readings(
    evidence: Evidence, limits: ScreenLimits, confidence: float
) -> tuple[Reading, ...]:
    """Return the shares of each method that had scores, and the verdict of all."""
    about = cast("Mapping[str, Json]", evidence["about"])
    gaps = cast("Mapping[str, Json]", about["gaps"])
    ids, half = (
        cast("NDArray[np.str_]", evidence["ids"]),
        cast("NDArray[np.bool_]", evidence["half"]),
    )
    clustered = bool(about["clustered"])
    said: list[Reading] = []
    found: dict[str, ScreenScores] = {}
    for name in METHODS:
        if name in gaps:
            said += [read_gap(gaps[name], it, {"method": name}) for it in (FLAGGED, ALARMS, EXCESS)]
            continue
        scores = cast("Floats", evidence[name])
        clean = scores[len(ids) :]
        found[name] = ScreenScores(scores[: len(ids)], clean[half], clean[~half])
        said += _method(name, found[name], ids, limits, confidence, clustered=clustered)
    level, rate = limits.level / max(1, len(found)), limits.false_alarms
    chances = {name: item.p_value(rate) for name, item in found.items()}
    sure = {} if clustered else {name: it for name, it in found.items() if not it.differs()}
    shown = [name for name in sure if chances[name] <= level]
    blind = bool(found) and all(item.blind(rate) for item in found.values())
    reasons = [DIFFERS] * any(it.differs() for it in found.values()) + [BLIND] * blind
    reasons += [explain_dependence("the test")] * clustered
    verdict = SHOWN if shown else OPEN if reasons else NOT_SEEN
    least = [share for it in found.values() if (share := it.least_share(rate, level)) is not None]
    details: dict[str, Json] = {
        "level": limits.level,
        "shown_by": [*shown],
        "p_values": {**chances},
        "power": {"least_share": min(least, default=None), "if": "every trigger is flagged"},
        **({"reason": "; ".join(reasons)} if verdict == OPEN else {}),
    }
    return (
        *said,
        Measurement(
            metric=VERDICT,
            bound=BoundKind.AT_LEAST,
            value=verdict,
            method="fisher's exact test, bonferroni",
            n=max((len(item.inputs) for item in found.values()), default=0),
            details=details,
        ),
    )


def _method(  # noqa: PLR0913 -- what a list of flagged rows is made of
    name: str,
    found: ScreenScores,
    ids: NDArray[np.str_],
    limits: ScreenLimits,
    confidence: float,
    *,
    clustered: bool,
) -> list[Reading]:
    hits = found.flagged(found.inputs, limits.false_alarms)
    alarms = found.flagged(found.trying, limits.false_alarms)
    counts = (int(hits.sum()), len(hits)), (int(alarms.sum()), len(alarms))
    worst = np.argsort(-found.inputs, kind="stable")[: limits.listed]
    doubts = [DIFFERS] * found.differs() + [explain_dependence()] * clustered
    details: dict[str, Json] = {
        "p_value": found.p_value(limits.false_alarms),
        "false_alarms": limits.false_alarms,
        "worst_rows": [str(ids[row]) for row in worst if hits[row]],
        **({"doubt": "; ".join(doubts)} if doubts else {}),
    }
    excess = share_difference(*counts, confidence)
    if clustered:  # nothing is shown: there may as well be no excess
        excess = replace(excess, low=min(0.0, excess.low))
    return [
        _measured(clopper_pearson(*counts[0], confidence), FLAGGED, name, details),
        _measured(clopper_pearson(*counts[1], confidence), ALARMS, name, {}),
        _measured(excess, EXCESS, name, details),
    ]


def _measured(
    share: ConfidenceInterval, metric: str, method: str, details: dict[str, Json]
) -> Measurement:
    return Measurement.of(
        share,
        metric,
        Unit.SHARE,
        bound=BoundKind.AT_LEAST if metric == EXCESS else BoundKind.ESTIMATE,
        params={"method": method},
        doubted="doubt" in details,
        astray=BiasDirection.TOO_HIGH if DIFFERS in str(details.get("doubt")) else None,
        details=details,
    )
