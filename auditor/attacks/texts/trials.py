"""Which texts are attacked, and the evidence of what came of them."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.arenas import REPEATS, clean_probabilities, truth_of
from auditor.attacks.goals import Goal, Harm, concerned
from auditor.attacks.texts.judging import Judge
from auditor.attacks.texts.threats import TextThreat
from auditor.attacks.trials import write_goal
from auditor.domain.canonical import Json
from auditor.domain.datasets import Dataset, Role
from auditor.domain.evidence import Evidence, Item
from auditor.domain.readings import Gap
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Floats
from auditor.errors import PolicyError


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The attacked texts before their judge; ``sample`` are their rows in ``dataset``."""

    judge: Judge
    dataset: Dataset
    sample: NDArray[np.int64]
    clean: Floats


def gather(subject: Subject, threat: TextThreat, goal: Goal, rows: int, most_queries: int) -> Trial:
    """Take the first ``rows`` texts of the audit's permutation that the goal is about.

    Raises ``TypeError`` where a need is not met: the frame asks for needs first. Raises
    ``PolicyError`` where the data have no row for the goal.
    """
    dataset = subject.datasets[Role.EVALUATION]
    truth = truth_of(dataset, subject.task)
    if isinstance(subject.model, Gap) or dataset.inputs is None or truth is None:
        message = "the frame asks for needs first"
        raise TypeError(message)
    order = subject.sample(Role.EVALUATION, len(truth))
    sample = order[concerned(goal, truth[order])][:rows]
    if not len(sample):
        raise PolicyError(
            "no row of the evaluation data has a label that the goal is about",
            cure="Name a label that the evaluation data hold, or leave label and decision empty.",
        )
    clean = clean_probabilities(subject, sample)
    judge = Judge(
        model=subject.model,
        goal=goal,
        threat=threat,
        texts=[str(text) for text in dataset.inputs[sample]],
        labels=truth[sample],
        probabilities=clean,
        most_queries=most_queries,
        repeats=1 if subject.model.deterministic else REPEATS,
    )
    return Trial(judge, dataset, sample, clean)


def describe(trial: Trial, movable: tuple[int, ...], most_examples: int) -> Evidence:
    """Return what was seen of the attacked texts: enough to count again without any model.

    Of a broken row the changes are kept, and the digest of the text that broke it, but no text: up
    to ``most_examples`` are kept clean and crafted, so ask for none where the owner's texts must
    not leave.
    """
    judge, dataset = trial.judge, trial.dataset
    columns = dataset.groups.items()
    return {
        "settings": _settings(judge, movable),
        "ids": [dataset.ids[row] for row in trial.sample],
        "labels": judge.labels,
        "groups": {name: [values[row] for row in trial.sample] for name, values in columns},
        "clean_probabilities": trial.clean,
        "adversarial_probabilities": judge.probabilities,
        "queries": judge.asked,
        "crafted": _crafted(judge),
        **_examples(trial, most_examples),
    }


def _settings(judge: Judge, movable: tuple[int, ...]) -> dict[str, Json]:
    threat = judge.threat
    return {
        "edits": threat.edits,
        "synonyms": {word: list(others) for word, others in threat.synonyms.items()},
        "goal": write_goal(judge.goal),
        "movable": list(movable),
        "refused": judge.refused,
        "repeats": judge.repeats,
        "deterministic": judge.model.deterministic,
    }


def _crafted(judge: Judge) -> list[Json]:
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


def _examples(trial: Trial, most: int) -> dict[str, Item]:
    """Return broken texts, clean and crafted, those of the fewest changed words first."""
    judge, dataset = trial.judge, trial.dataset
    sizes = {row: change.words for row, change in enumerate(judge.changes) if change is not None}
    chosen = sorted(sizes, key=lambda row: sizes[row])[:most]
    if not chosen or not isinstance(judge.goal, Harm):
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
