"""How often a stand-in decides as the target does, and what of that the answers gave."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import cast

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from auditor.domain.absences import without_labels
from auditor.domain.canonical import Json
from auditor.domain.clusters import read_clusters
from auditor.domain.conclusions import NOT_SEEN, OPEN, SHOWN, WEAK
from auditor.domain.datasets import Role
from auditor.domain.evidence import Evidence
from auditor.domain.intervals import Interval
from auditor.domain.readings import Bound, Measurement, Reading, Unit
from auditor.stats.clusters import clustered_mean
from auditor.stats.differences import share
from auditor.stats.paired import paired_difference

POWER = 0.8
WHY = (
    "there are no labels to teach a copy by without asking, or the least gain that would be shown "
    f"is above {WEAK}"
)
METRICS = ("fidelity", "gain_over_labels")
Decisions = NDArray[np.int16]


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """Whether two stand-ins decide as the target does, a held-out row: the one taught by the
    target's ``answers``, and the most faithful one that true ``labels`` of as many queries or fewer
    taught, by whatever strategy, if there is one; or a guesser who knows the commonest label.
    """

    strategy: str
    queries: int
    answers: NDArray[np.bool_]
    labels: NDArray[np.bool_] | None
    clusters: NDArray[np.int64] | None

    @property
    def params(self) -> dict[str, str | int]:
        """The coordinates of its readings."""
        return {"strategy": self.strategy, "queries": self.queries}

    def fidelity(self, confidence: float) -> Interval:
        """Return the share of rows on which the stand-in agrees with the target."""
        return share(self.answers, self.clusters, confidence)

    def gain(self, confidence: float, family: int) -> Interval | None:
        """Return the fidelity less that of the stand-in which the labels taught.

        The intervals of a family hold jointly; ``None`` where there are no labels.
        """
        if self.labels is None:
            return None
        level = 1 - (1 - confidence) / family
        if self.clusters is not None:
            gains = self.answers.astype(np.float64) - self.labels
            found = clustered_mean(gains, self.clusters, level)
            found = replace(found, low=max(-1.0, found.low), high=min(1.0, found.high))
        else:
            more = int((self.answers & ~self.labels).sum())
            less = int((~self.answers & self.labels).sum())
            found = paired_difference(more, less, self.answers.size, level)
        return replace(found, confidence=confidence, method=f"{found.method}, joint by bonferroni")

    def smallest(self, level: float, family: int) -> float:
        """Return the least gain that would be shown four times in five, at these rows."""
        found = self.gain(1 - 2 * level, family)
        if found is None:
            return 1.0
        z = float(ndtri(1 - level / family))
        return min(1.0, (found.value - found.low) * (1 + float(ndtri(POWER)) / z))


def copies(evidence: Evidence) -> Iterator[Copy]:
    """Yield what each stand-in did, from the evidence."""
    target = cast("Decisions", evidence["target"])
    cells = cast("list[Mapping[str, Json]]", evidence["cells"])
    budgets = np.array([cast("int", cell["queries"]) for cell in cells])
    answers = cast("Decisions", evidence["answers"]) == target
    labels = cast("Decisions | None", evidence.get("labels"))
    alike = None if labels is None else labels == target
    guess = target == cast("Mapping[str, Json]", evidence["about"])["commonest_label"]
    clusters = read_clusters(evidence)
    for at, cell in enumerate(cells):
        name = str(cell["strategy"])
        told = None if alike is None else _best(np.vstack([guess, alike[budgets <= budgets[at]]]))
        yield Copy(name, int(budgets[at]), answers[at], told, clusters)


def _best(alike: NDArray[np.bool_]) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = alike[int(alike.sum(axis=1).argmax())]
    return found


def commonest(evidence: Evidence) -> float:
    """Return the share of the decision that the target takes most often: what a guess agrees on."""
    target = cast("Decisions", evidence["target"])
    return float(np.bincount(target).max() / target.size)


def readings(
    copy: Copy, confidence: float, family: int, about: Mapping[str, Json]
) -> list[Reading]:
    """Return the fidelity of one copy, and what the answers gave it; both say ``about`` too."""
    details = dict(about)
    if copy.labels is not None:
        details["taught_by_labels"] = float(copy.labels.mean())
    gain = copy.gain(confidence, family)
    found: Reading = replace(without_labels(Role.EVALUATION, METRICS[1]), params={**copy.params})
    if gain is not None:
        found = _measured(METRICS[1], gain, copy, details)
    return [_measured(METRICS[0], copy.fidelity(confidence), copy, details), found]


def _measured(metric: str, found: Interval, copy: Copy, details: dict[str, Json]) -> Measurement:
    return Measurement.of(
        found, metric, Unit.SHARE, bound=Bound.AT_LEAST, params=copy.params, details=details
    )


def conclusion(found: Sequence[Copy], level: float) -> Measurement:
    """Return the verdict: shown where the answers of some strategy gave more than labels do."""
    compared = [it for it in found if it.labels is not None]
    family = len(found)
    gains = {_name(it): it.gain(1 - 2 * level, family) for it in compared}
    shown = [name for name, gain in gains.items() if gain is not None and gain.low > 0]
    smallest = {_name(it): it.smallest(level, family) for it in compared}
    weak = min(smallest.values(), default=1.0) > WEAK
    value = SHOWN if shown else OPEN if weak else NOT_SEEN
    details: dict[str, Json] = {
        "shown_by": list(shown),
        "level": level,
        "power": dict(smallest),
        **({"reason": WHY} if value == OPEN else {}),
    }
    method = "one-sided intervals, joint by bonferroni"
    rows = found[0].answers.size
    return Measurement(
        metric="verdict",
        value=value,
        bound=Bound.AT_LEAST,
        method=method,
        n=rows,
        details=details,
    )


def _name(copy: Copy) -> str:
    return f"{copy.strategy} of {copy.queries}"
