"""Finds the order of the classes, and the scale of pixels, by scoring rows of the data."""

from contextlib import suppress
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from auditor._resources import scratch_folder
from auditor.domain.check_subject import seeded_permutation
from auditor.domain.datasets import DatasetRole
from auditor.domain.guesses import Confidence
from auditor.domain.tasks import Array, ClassificationTask
from auditor.errors import AuditorError
from auditor.inputs.auditfile.draft import FROM_LABELS, DraftFacts
from auditor.inputs.datasets.hoped_class import guess_favourable
from auditor.inputs.datasets.schema_draft import USUAL_DOMAINS, find_other_scale, write_schema
from auditor.metrics.performance.classification import (
    BETTER,
    BEYOND_CHANCE,
    AlternativeClassOrder,
    find_better_class_order,
)
from auditor.metrics.stats.proportions import clopper_pearson
from auditor.targets.model import OpenedModel
from auditor.targets.session import open_model
from auditor.workflows.draft_session import CPU, MOST_SCORED, DraftSession, load_draft

TWO = 2
OWN_ORDER = "the labels' own order"
SURE, LEAST_GAIN = 0.999, 0.01
"""How sure it must be that the other scale of pixels is better, and by what share of the rows."""


@dataclass(frozen=True, slots=True)
class ScoredDraft:
    """What scoring rows by a draft showed, and the order that would be far better than drafted.

    ``always`` is how often one answer, the commonest label, would be right.
    """

    rows: int = 0
    accuracy: float = 0.0
    always: float = 0.0
    fits: bool = False
    one_score: bool = False
    problem: str = ""
    other: AlternativeClassOrder | None = None
    rescaled: "RescaledPixels | None" = None


@dataclass(frozen=True, slots=True)
class RescaledPixels:
    """Pixels times a factor that makes the model right more often, and how often then."""

    factor: float
    accuracy: float

    def __str__(self) -> str:
        """Say it in words."""
        if self.factor < 1:
            return "the model takes values from 0 to 1, and the data hold 0 to 255"
        return "the model takes values from 0 to 255, and the data hold 0 to 1"


def order_classes(seen: DraftFacts, session: DraftSession) -> DraftFacts:
    """Put the classes into the order in which the model scores them, as far as rows tell it.

    Another order is drafted only if scoring by it is far better indeed: a model that names its
    classes is not read otherwise because they are listed otherwise.
    """
    tried = score_draft(seen, session)
    if tried.rescaled is not None:
        if seen.pictures and tried.rescaled.factor > 1:
            # Of pictures the audit file itself says how bytes are spread
            moved = replace(seen, value_domain=USUAL_DOMAINS[1])
            return order_classes(moved, session)
        seen = _doubt_scale(seen, tried, tried.rescaled)
    if tried.other is not None:
        last = seen.classes[-1]
        hoped = guess_favourable(seen.classes, seen.labels)[0] or last
        if tried.one_score:
            moved = replace(seen, positive=seen.classes[0], favourable=hoped)
        else:
            classes = tuple(seen.classes[place] for place in tried.other.places)
            positive = last if len(classes) > TWO else None  # of two, the one scored last
            moved = replace(seen, classes=classes, positive=positive, favourable=hoped)
        again = score_draft(moved, session)
        if again.accuracy >= tried.accuracy + BETTER:
            whose = "the order of the file" if "task.classes" in seen.evidence else OWN_ORDER
            before = f", in {whose} {tried.accuracy:.0%}"
            return _scored(moved, again, before)
    return _scored(seen, tried, "")


def _doubt_scale(seen: DraftFacts, tried: ScoredDraft, found: RescaledPixels) -> DraftFacts:
    """Say that the data seem to have another scale than those that the model was trained on."""
    what = "divided by 255" if found.factor < 1 else "times 255"
    doubt = (
        f"It seems that {found}: {tried.accuracy:.0%} of {tried.rows} rows are right as they are, "
        f"and {found.accuracy:.0%} {what}. Store them so, or every figure is that of a model that "
        "nobody deploys."
    )
    return replace(seen, doubts=(*seen.doubts, doubt))


def _scored(seen: DraftFacts, tried: ScoredDraft, before: str) -> DraftFacts:
    """Say of the order of the classes, and of the positive one, how they are known."""
    known = seen.evidence.get("task.classes", ("", Confidence.LOW))
    if tried.problem:
        words = f"Scoring the data could not show the order of the classes: {tried.problem}"
        return replace(seen, doubts=(*seen.doubts, words))
    share = f"{tried.accuracy:.0%} of {tried.rows} rows are right"
    inputs = (
        " Or columns are missing, others than in training, or in another order: compare the inputs."
        if seen.features
        else ""
    )
    if tried.fits and tried.accuracy <= tried.always:
        words = f"Only {share}, no more than one answer always gives ({tried.always:.0%}).{inputs}"
        seen = replace(seen, doubts=(*seen.doubts, words))
    if not tried.fits:
        words = (
            f"Only {share} in this order of classes, and in no other order far more are.{inputs}"
        )
        low = (known[0] or FROM_LABELS, known[1] if known[0] else Confidence.LOW)
        return replace(seen, doubts=(*seen.doubts, words)).known_by("task.classes", *low)
    found = f"by scoring the data: {share}{before}"
    sure = Confidence.HIGH
    if tried.one_score:
        seen = seen.known_by("task.classes", "in any order: the model gives one score", sure)
        return seen.known_by("task.positive", found, sure)
    words = f"the order of the model's scores, {found}"
    if known[0] and not before:
        words = f"{known[0]}; {share}"
    return seen.known_by("task.classes", words, sure)


def score_draft(seen: DraftFacts, session: DraftSession) -> ScoredDraft:
    """Score rows of the data as an audit of the draft would; what prevents it is told."""
    try:
        with scratch_folder() as place:
            written = {}
            if seen.schema is not None:
                written[seen.schema] = place / "schema.yaml"
                written[seen.schema].write_text(write_schema(seen.features, ""), encoding="utf-8")
            loaded = load_draft(seen, session.base, written)
        task, data = loaded.task, loaded.datasets[DatasetRole.EVALUATION]
        if not isinstance(task, ClassificationTask) or data.labels is None or data.inputs is None:
            return ScoredDraft(problem="the data hold no inputs, or no labels")
        rows = seeded_permutation(7, data.rows)[:MOST_SCORED]
        inputs, labels = data.inputs[rows], data.labels[rows]
        with open_model(CPU, session.folder, session.artifact, task, inputs) as model:
            decided = task.decide(model.probabilities(model.predict(inputs)))
            known = model.fingerprint.interface
            rescaled = None if seen.features else _rescale(model, task, inputs, labels, decided)
        classes = len(task.classes)
        accuracy = float(np.mean(decided == labels))
        return ScoredDraft(
            rows=len(rows),
            accuracy=accuracy,
            always=float(np.bincount(labels).max() / len(labels)),
            fits=accuracy >= 1 / classes + BEYOND_CHANCE,
            one_score=known is not None and known.scores.startswith("binary_"),
            other=find_better_class_order(labels, decided, classes),
            rescaled=rescaled,
        )
    except AuditorError as error:
        return ScoredDraft(problem=error.problem)


def _rescale(
    model: OpenedModel,
    task: ClassificationTask,
    inputs: Array,
    labels: NDArray[np.int64],
    decided: NDArray[np.int64],
) -> RescaledPixels | None:
    """Return the other usual scale of pixels, where the model is surely right more often by it.

    The rows that one scale alone gets right are a coin's throws if neither is better (McNemar's
    exact test).
    """
    factor = find_other_scale(inputs)
    if factor is None:
        return None
    moved = (inputs.astype(np.float64) * factor).astype(np.float32)
    then = None
    with suppress(AuditorError):  # one that takes whole numbers alone has no other scale
        then = task.decide(model.probabilities(model.predict(moved))) == labels
    if then is None:
        return None
    now = decided == labels
    gained, lost = int((then & ~now).sum()), int((now & ~then).sum())
    if gained - lost < LEAST_GAIN * len(labels) or not gained:
        return None
    sure = clopper_pearson(gained, gained + lost, SURE).low > 1 / TWO
    return RescaledPixels(factor, float(then.mean())) if sure else None


def note_answered_order(seen: DraftFacts, tried: ScoredDraft) -> DraftFacts:
    """Say beside an order that a person gave how many rows are right in it."""
    share = f"{tried.accuracy:.0%} of {tried.rows} rows are right"
    words = tried.problem or share
    sure = Confidence.CONFIRMED
    seen = seen.known_by("task.classes", f"your answer: {words}", sure)
    if tried.problem or tried.fits:
        return seen
    doubt = f"Only {share} in the order of classes that you gave."
    return replace(seen, doubts=(*seen.doubts, doubt))
