"""From the evidence of an attack on texts to readings, every success counted again."""

import hashlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.breakdowns import by_class, by_group
from auditor.attacks.curves import median_interval
from auditor.attacks.outlays import asked, counted
from auditor.attacks.tallies import Mask, Outcomes
from auditor.attacks.texts.judging import wrong_from_the_start
from auditor.attacks.texts.threats import TextThreat
from auditor.attacks.trials import read_goal
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Bound, Gap, Measurement, Reading, Reason, Repeat, Scalar, Unit
from auditor.domain.tasks import Floats
from auditor.stats.proportions import clopper_pearson

MOST_NAMED = 8
NO_WORD = Gap(
    reason=Reason.NOT_DEFINED,
    detail="There is nothing to change in any of the texts: no word is long enough to be misspelt, "
    "and none has a synonym.",
    cure="Lower least_letters, or list synonyms, under checks: evasion.text in the policy.",
)

NO_RIGHT_ROW = Gap(
    reason=Reason.NOT_DEFINED,
    detail="The model is right about none of the attacked texts, so that none can be broken.",
    cure="Look at the accuracy of the model, and at the order of task.classes, first.",
    metric="words_changed",
)


def readings(
    evidence: Evidence, budgets: Sequence[int], confidence: float, effort: Mapping[str, Json]
) -> tuple[Reading, ...]:
    """Return clean accuracy, robust accuracy at each number of words, and what half of them take.

    ``effort`` says how hard the attack tried, and joins the details.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if not any(cast("Sequence[int]", settings["movable"])):
        return (NO_WORD,)
    seen = _Told(evidence, settings, recount(evidence, budgets), confidence)
    shared = {**effort, **seen.shared(), **counted(seen.outcomes, evidence)}
    curve = [seen.robust(index, shared) for index in range(len(budgets))]
    return (seen.share(~seen.outcomes.wrong, "clean_accuracy"), *curve, seen.words_changed(shared))


def recount(evidence: Evidence, budgets: Sequence[int]) -> Outcomes:
    """Count again which rows the target got wrong, and how many words that took.

    Where both texts are at hand, the changes themselves are counted anew. Raises ``ValueError``
    where the evidence contradicts itself.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    goal = read_goal(cast("Mapping[str, Json]", settings["goal"]))
    labels = cast("NDArray[np.int64]", evidence["labels"])
    wrong = wrong_from_the_start(goal, cast("Floats", evidence["clean_probabilities"]), labels)
    reached = goal.reached(cast("Floats", evidence["adversarial_probabilities"]), labels)
    words = np.full(len(labels), np.inf)
    for told in _crafted(evidence):
        if cast("int", told["edits"]) <= cast("int", settings["edits"]):
            words[cast("int", told["place"])] = max(1, cast("int", told["words"]))
    _hold_to_examples(evidence, words, max(budgets))
    breaking = np.where(wrong, 0.0, np.where(reached, words, np.inf))
    return Outcomes(goal, labels, tuple(float(item) for item in budgets), wrong, breaking)


def _crafted(evidence: Evidence) -> Sequence[Mapping[str, Json]]:
    return cast("Sequence[Mapping[str, Json]]", evidence["crafted"])


def _hold_to_examples(evidence: Evidence, words: Floats, most: int) -> None:
    """Raise ``ValueError`` where texts that are at hand are not what was said of them."""
    if "example_clean" not in evidence:
        return
    settings = cast("Mapping[str, Json]", evidence["settings"])
    listed = cast("Mapping[str, Sequence[str]]", settings["synonyms"])
    synonyms = {word: tuple(others) for word, others in listed.items()}
    threat = TextThreat(most, cast("int", settings["edits"]), synonyms)
    told = {cast("int", item["place"]): item for item in _crafted(evidence)}
    places = cast("NDArray[np.int64]", evidence["example_places"]).tolist()
    clean = cast("Sequence[str]", evidence["example_clean"])
    crafted = cast("Sequence[str]", evidence["example_adversarial"])
    for place, one, other in zip(places, clean, crafted, strict=True):
        changes = threat.examine(one, other)
        same = hashlib.sha256(other.encode()).hexdigest() == told[place]["sha256"]
        if changes is None or changes.words != words[place] or not same:
            message = f"the example of row {place} is not the text that was counted"
            raise ValueError(message)


@dataclass(frozen=True, slots=True, eq=False)
class _Told:
    evidence: Evidence
    settings: Mapping[str, Json]
    outcomes: Outcomes
    confidence: float

    def shared(self) -> dict[str, Json]:
        """Return details that every reading carries."""
        queries = cast("NDArray[np.int64]", self.evidence["queries"])
        names = ("edits", "deterministic", "repeats", "refused")
        return {
            **{name: self.settings[name] for name in names},
            "rows": len(self.outcomes.wrong),
            "queries": int(queries.sum()),
            "most_queries_a_row": int(queries.max(initial=0)),
        }

    def robust(self, index: int, shared: Mapping[str, Json]) -> Measurement:
        """Return the share of rows that no change of so many words was found to break."""
        seen, kept = self.outcomes, self.outcomes.right[index]
        groups = cast("Mapping[str, Sequence[str]]", self.evidence["groups"])
        details: dict[str, Json] = {
            **shared,
            "wrong_without_attack": int(seen.wrong.sum()),
            "broken": int(seen.broken[index].sum()),
            "by_class": by_class(seen, kept, self.confidence),
            "by_group": by_group(groups, kept, self.confidence),
        }
        return self.share(kept, "robust_accuracy", {"words": int(seen.budgets[index])}, details)

    def words_changed(self, shared: Mapping[str, Json]) -> Reading:
        """Return how many words break the median row that was right.

        A row that nothing broke counts as all words that there was something to make of.
        """
        seen, right = self.outcomes, ~self.outcomes.wrong
        if not right.any():
            return NO_RIGHT_ROW
        movable = np.maximum(np.array(self.settings["movable"], dtype=np.float64), 1.0)
        most = float(max(movable.max(), seen.budgets[-1]))
        found = np.where(np.isfinite(seen.breaking), seen.breaking, movable)
        interval = median_interval(found[right], self.confidence, most)
        return Measurement.of(
            interval, "words_changed", Unit.COUNT, bound=Bound.AT_MOST,
            details={**shared, **self._named()}, params=asked(self.settings),
            repeat=self._repeat, doubted=self._doubted,
        )  # fmt: skip

    def _named(self) -> dict[str, Json]:
        """Name rows that break by the fewest words, and count how words were changed."""
        seen, ids = self.outcomes, cast("Sequence[str]", self.evidence["ids"])
        order = np.argsort(seen.breaking, kind="stable")
        worst = [int(row) for row in order if seen.broken[-1, row]][:MOST_NAMED]
        kinds: Counter[str] = Counter()
        for told in _crafted(self.evidence):
            kinds.update(cast("Mapping[str, int]", told["kinds"]))
        return {
            "worst_rows": [ids[row] for row in worst],
            "examples": list(cast("Sequence[str]", self.evidence.get("example_rows", ()))),
            "changed_words_by_kind": dict(kinds),
            "unbroken_share": float(seen.right[-1].mean()),
        }

    def share(
        self,
        kept: Mask,
        metric: str,
        params: Mapping[str, Scalar] | None = None,
        details: Mapping[str, Json] | None = None,
    ) -> Measurement:
        """Return a share of rows with its exact interval."""
        robust = metric == "robust_accuracy"
        return Measurement.of(
            clopper_pearson(int(kept.sum()), len(kept), self.confidence),
            metric,
            Unit.SHARE,
            bound=Bound.AT_MOST if robust else Bound.ESTIMATE,
            params={**(params or {}), **asked(self.settings)},
            repeat=self._repeat,
            doubted=self._doubted,
            details=details or {},
        )

    @property
    def _repeat(self) -> Repeat:
        return Repeat.EXACT if self.settings["deterministic"] else Repeat.INTERVAL

    @property
    def _doubted(self) -> bool:
        return not self.settings["deterministic"]
