"""Selection of texts to attack, the evidence of the attack, and the readings from it.

Readings recount every success from the evidence.
"""

import hashlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.evasion.attack_setup import REPEATS, clean_probabilities, true_targets
from auditor.attacks.evasion.evidence import Mask, RowOutcomes, read_goal, write_goal
from auditor.attacks.evasion.goals import AttackGoal, HarmfulDecisionGoal, find_concerned_rows
from auditor.attacks.evasion.readings import (
    class_coordinates,
    describe_success,
    median_interval,
    robust_accuracy_by_class,
    robust_accuracy_by_group,
)
from auditor.attacks.evasion.row_evidence import SHARED, select_attack_evidence
from auditor.attacks.text.judge import TextJudge, find_wrong_rows
from auditor.attacks.text.threat_model import TextThreat
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Evidence, Item
from auditor.domain.json import Json
from auditor.domain.readings import (
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.domain.row_evidence import RowEvidence, RowFigures
from auditor.domain.tasks import Floats
from auditor.errors import PolicyError
from auditor.metrics.stats.proportions import clopper_pearson

MOST_NAMED = 8
NO_WORD = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="There is nothing to change in any of the texts: no word is long enough to be misspelt, "
    "and none has a synonym.",
    cure="Lower least_letters, or list synonyms, under checks: evasion.text in the policy.",
)

NO_RIGHT_ROW = Gap(
    reason=GapReason.NOT_DEFINED,
    detail="The model is right about none of the attacked texts, so that none can be broken.",
    cure="Look at the accuracy of the model, and at the order of task.classes, first.",
    metric="words_changed",
)


def build_text_readings(
    evidence: Evidence, budgets: Sequence[int], confidence: float, effort: Mapping[str, Json]
) -> tuple[Reading, ...]:
    """Return clean accuracy, robust accuracy at each number of words, and what half of them take.

    ``effort`` says how hard the attack tried, and joins the details.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if not any(cast("Sequence[int]", settings["movable"])):
        return (NO_WORD,)
    seen = _TextEvidence(evidence, settings, recount_texts(evidence, budgets), confidence)
    shared = {**effort, **seen.shared(), **describe_success(seen.outcomes, evidence)}
    curve = [seen.robust(index, shared) for index in range(len(budgets))]
    return (seen.share(~seen.outcomes.wrong, "clean_accuracy"), *curve, seen.words_changed(shared))


def recount_texts(evidence: Evidence, budgets: Sequence[int]) -> RowOutcomes:
    """Count again which rows the target got wrong, and how many words that took.

    Where both texts are at hand, the changes themselves are counted anew. Raises ``ValueError``
    where the evidence contradicts itself.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    goal = read_goal(cast("Mapping[str, Json]", settings["goal"]))
    labels = cast("NDArray[np.int64]", evidence["labels"])
    wrong = find_wrong_rows(goal, cast("Floats", evidence["clean_probabilities"]), labels)
    reached = goal.reached(cast("Floats", evidence["adversarial_probabilities"]), labels)
    words = np.full(len(labels), np.inf)
    for told in _crafted(evidence):
        if cast("int", told["edits"]) <= cast("int", settings["edits"]):
            words[cast("int", told["place"])] = max(1, cast("int", told["words"]))
    # Raise `ValueError` where texts that are at hand are not what was said of them
    if "example_clean" in evidence:
        listed = cast("Mapping[str, Sequence[str]]", settings["synonyms"])
        synonyms = {word: tuple(others) for word, others in listed.items()}
        threat = TextThreat(max(budgets), cast("int", settings["edits"]), synonyms)
        examples_told = {cast("int", item["place"]): item for item in _crafted(evidence)}
        places = cast("NDArray[np.int64]", evidence["example_places"]).tolist()
        clean = cast("Sequence[str]", evidence["example_clean"])
        crafted = cast("Sequence[str]", evidence["example_adversarial"])
        for place, one, other in zip(places, clean, crafted, strict=True):
            changes = threat.examine(one, other)
            same = hashlib.sha256(other.encode()).hexdigest() == examples_told[place]["sha256"]
            if changes is None or changes.words != words[place] or not same:
                message = f"the example of row {place} is not the text that was counted"
                raise ValueError(message)
    breaking = np.where(wrong, 0.0, np.where(reached, words, np.inf))
    return RowOutcomes(goal, labels, tuple(float(item) for item in budgets), wrong, breaking)


def _crafted(evidence: Evidence) -> Sequence[Mapping[str, Json]]:
    return cast("Sequence[Mapping[str, Json]]", evidence["crafted"])


@dataclass(frozen=True, slots=True, eq=False)
class _TextEvidence:
    evidence: Evidence
    settings: Mapping[str, Json]
    outcomes: RowOutcomes
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
            "by_class": robust_accuracy_by_class(seen, kept, self.confidence),
            "by_group": robust_accuracy_by_group(groups, kept, self.confidence),
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
        # Name rows that break by the fewest words, and count how words were changed
        named_seen, ids = self.outcomes, cast("Sequence[str]", self.evidence["ids"])
        order = np.argsort(named_seen.breaking, kind="stable")
        worst = [int(row) for row in order if named_seen.broken[-1, row]][:MOST_NAMED]
        kinds: Counter[str] = Counter()
        for told in _crafted(self.evidence):
            kinds.update(cast("Mapping[str, int]", told["kinds"]))
        return Measurement.of(
            interval, "words_changed", Unit.COUNT, bound=BoundKind.AT_MOST,
            details={**shared,
            "worst_rows": [ids[row] for row in worst],
            "examples": list(cast("Sequence[str]", self.evidence.get("example_rows", ()))),
            "changed_words_by_kind": dict(kinds),
            "unbroken_share": float(named_seen.right[-1].mean())
        }, params=class_coordinates(self.settings),
            repeat=self._repeat, doubted=self._doubted,
        )  # fmt: skip

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
            bound=BoundKind.AT_MOST if robust else BoundKind.ESTIMATE,
            params={**(params or {}), **class_coordinates(self.settings)},
            repeat=self._repeat,
            doubted=self._doubted,
            details=details or {},
        )

    @property
    def _repeat(self) -> Repeatability:
        return Repeatability.EXACT if self.settings["deterministic"] else Repeatability.INTERVAL

    @property
    def _doubted(self) -> bool:
        return not self.settings["deterministic"]


@dataclass(frozen=True, slots=True, eq=False)
class TextRun:
    """The attacked texts before their judge; ``sample`` are their rows in ``dataset``."""

    judge: TextJudge
    dataset: Dataset
    sample: NDArray[np.int64]
    clean: Floats


def prepare_text_run(
    subject: Subject, threat: TextThreat, goal: AttackGoal, rows: int, most_queries: int
) -> TextRun:
    """Take the first ``rows`` texts of the audit's permutation that the goal is about.

    Raises ``TypeError`` where a need is not met: the frame asks for needs first. Raises
    ``PolicyError`` where the data have no row for the goal.
    """
    dataset = subject.datasets[DatasetRole.EVALUATION]
    truth = true_targets(dataset, subject.task)
    if isinstance(subject.model, Gap) or dataset.inputs is None or truth is None:
        message = "the frame asks for needs first"
        raise TypeError(message)
    order = subject.sample(DatasetRole.EVALUATION, len(truth))
    sample = order[find_concerned_rows(goal, truth[order])][:rows]
    if not len(sample):
        raise PolicyError(
            "no row of the evaluation data has a label that the goal is about",
            cure="Name a label that the evaluation data hold, or leave label and decision empty.",
        )
    clean = clean_probabilities(subject, sample)
    judge = TextJudge(
        model=subject.model,
        goal=goal,
        threat=threat,
        texts=[str(text) for text in dataset.inputs[sample]],
        labels=truth[sample],
        probabilities=clean,
        most_queries=most_queries,
        repeats=1 if subject.model.deterministic else REPEATS,
    )
    return TextRun(judge, dataset, sample, clean)


def describe_text_run(trial: TextRun, movable: tuple[int, ...], most_examples: int) -> Evidence:
    """Return what was seen of the attacked texts: enough to count again without any model.

    Of a broken row the changes are kept, and the digest of the text that broke it, but no text: up
    to ``most_examples`` are kept clean and crafted, so ask for none where the owner's texts must
    not leave.
    """
    judge, dataset = trial.judge, trial.dataset
    columns = dataset.groups.items()
    threat = judge.threat
    return {
        "settings": {
            "edits": threat.edits,
            "synonyms": {word: list(others) for word, others in threat.synonyms.items()},
            "goal": write_goal(judge.goal),
            "movable": list(movable),
            "refused": judge.refused,
            "repeats": judge.repeats,
            "deterministic": judge.model.deterministic,
        },
        "ids": [dataset.ids[row] for row in trial.sample],
        "labels": judge.labels,
        "groups": {name: [values[row] for row in trial.sample] for name, values in columns},
        "clean_probabilities": trial.clean,
        "adversarial_probabilities": judge.probabilities,
        "queries": judge.asked,
        "crafted": _crafted_trials(judge),
        **_examples(trial, most_examples),
    }


def _crafted_trials(judge: TextJudge) -> list[Json]:
    """Return each broken row by its place: what was changed, and which text it became."""
    found: list[Json] = []
    for row, (text, changes) in enumerate(zip(judge.crafted, judge.changes, strict=True)):
        if text is not None and changes is not None:
            told: Mapping[str, Json] = {
                "place": row,
                "words": changes.words,
                "edits": changes.edits,
                "kinds": dict(changes.kinds),
                "sha256": hashlib.sha256(text.encode()).hexdigest(),
            }
            found.append(dict(told))
    return found


def _examples(trial: TextRun, most: int) -> dict[str, Item]:
    """Return broken texts, clean and crafted, those of the fewest changed words first."""
    judge, dataset = trial.judge, trial.dataset
    sizes = {row: change.words for row, change in enumerate(judge.changes) if change is not None}
    chosen = sorted(sizes, key=lambda row: sizes[row])[:most]
    if not chosen or not isinstance(judge.goal, HarmfulDecisionGoal):
        return {}
    task = judge.goal.task
    before, after = task.decide(trial.clean), task.decide(judge.probabilities)
    return {
        "example_clean": [judge.texts[row] for row in chosen],
        "example_adversarial": [judge.crafted[row] for row in chosen],
        "example_places": np.array(chosen, dtype=np.int64),
        "example_rows": [dataset.ids[trial.sample[row]] for row in chosen],
        "example_clean_class": [task.classes[before[row]] for row in chosen],
        "example_adversarial_class": [task.classes[after[row]] for row in chosen],
        "example_budget": [f"{sizes[row]} word{'s' * (sizes[row] > 1)}" for row in chosen],
    }


MOST_WORDS = 32
"""Numbers of changed words at which rows are told: evidence does not say what was asked for."""


def _curve(evidence: Evidence, params: Mapping[str, Scalar]) -> Iterator[RowFigures]:
    seen = recount_texts(evidence, range(1, MOST_WORDS + 1))
    place = class_coordinates(cast("Mapping[str, Json]", evidence["settings"]))
    yield RowFigures("clean_accuracy", ~seen.wrong, place)
    for words, right in zip(seen.budgets, seen.right, strict=True):
        yield RowFigures("robust_accuracy", right, {**params, "words": int(words), **place})


def _recipes(evidence: Evidence) -> tuple[RowFigures, ...]:
    """Return what rows add under each recipe that ran to its end."""
    runs = cast("Mapping[str, Mapping[str, Json]]", evidence["runs"])
    return tuple(
        added
        for name, run in runs.items()
        if not run["failure"]
        for added in _curve(select_attack_evidence(evidence, f"{name}."), {"attack": name})
    )


READ = RowEvidence(
    each=SHARED | {"adversarial_probabilities", "queries"},
    adds=lambda evidence: tuple(_curve(evidence, {})),
)
"""Settings say how many words each text has that can be changed: they are withheld whole."""
REREAD = RowEvidence(each=SHARED, apart=frozenset({"library"}), adds=_recipes)
"""The same of several recipes; what each made of the texts bears its name, and is withheld."""
