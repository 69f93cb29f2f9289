"""Survey of accuracy on corrupted rows: sampling, target queries, intervals and examples."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions.catalogue import corruption_generator
from auditor.attacks.corruptions.input_medium import CorruptionMedium
from auditor.attacks.corruptions.mean_accuracy import mean_over_rows
from auditor.attacks.evasion.attack_setup import requires_integers
from auditor.domain.check_subject import ProgressReporter, Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import Item, describe_cluster_doubt
from auditor.domain.json import Json
from auditor.domain.models import Model
from auditor.domain.readings import (
    BoundKind,
    ConfidenceInterval,
    Gap,
    Measurement,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace
from auditor.errors import ModelFailedError
from auditor.metrics.stats.proportions import clopper_pearson

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class CorruptionSample:
    """The rows to change: ``sample`` are their numbers in ``dataset``, ``clean`` what the target
    said of them before, as probabilities ``[n, classes]``.
    """

    model: Model
    task: ClassificationTask
    space: InputSpace
    dataset: Dataset
    sample: NDArray[np.int64]
    pool: Array
    rows: Array
    labels: Labels
    clean: Floats

    @property
    def ids(self) -> list[str]:
        """The names of the rows."""
        return [self.dataset.ids[row] for row in self.sample]

    @property
    def decided(self) -> Labels:
        """What the target decided before any change."""
        return self.task.decide(self.clean)

    @property
    def model_takes(self) -> tuple[int, ...] | None:
        """The shape of one input of the model, where the target says it."""
        return model_input_shape(self.model)

    @property
    def whole(self) -> bool:
        """Whether only whole numbers fit, into the model or into the data's own type."""
        return requires_integers(self.model, self.rows)

    def ask(self, rows: Array) -> Floats:
        """Return the target's probabilities ``[n, classes]``."""
        return self.model.probabilities(self.model.predict(rows))

    def settings(self) -> dict[str, Json]:
        """Return what figures need of the trial beside arrays."""
        clusters = self.dataset.cluster
        seen = None if clusters is None else len(clusters.take(self.sample).names)
        return {
            "deterministic": self.model.deterministic,
            "clustered": seen is not None and seen < len(self.sample),
            "threshold": float(self.task.threshold),
            "classes": list(self.task.classes),
            "positive": self.task.positive,
        }


def model_input_shape(model: Model) -> tuple[int, ...] | None:
    """Return the shape of one input of a model, where its target says it."""
    interface = model.fingerprint.interface
    return None if interface is None else interface.input_shape


def prepare_sample(subject: Subject, rows: int) -> CorruptionSample:
    """Take the first ``rows`` of the audit's permutation of the evaluation data.

    Raises ``TypeError`` where a need is not met: the frame asks for needs first.
    """
    dataset = subject.datasets[DatasetRole.EVALUATION]
    if (
        isinstance(subject.model, Gap)
        or isinstance(subject.space, Gap)
        or not isinstance(subject.task, ClassificationTask)
        or dataset.inputs is None
        or dataset.labels is None
    ):
        message = "changed rows need a classifier, its input space and labelled rows"
        raise TypeError(message)
    sample = subject.sample(DatasetRole.EVALUATION, rows)
    return CorruptionSample(
        model=subject.model,
        task=subject.task,
        space=subject.space,
        dataset=dataset,
        sample=sample,
        pool=dataset.inputs,
        rows=dataset.inputs[sample],
        labels=dataset.labels[sample],
        clean=subject.probabilities(DatasetRole.EVALUATION)[sample],
    )


def share_interval(  # noqa: PLR0913 -- one place where shares become measurements
    right: NDArray[np.bool_],
    metric: str,
    confidence: float,
    settings: Mapping[str, Json],
    *,
    bound: BoundKind = BoundKind.ESTIMATE,
    params: Mapping[str, Scalar] | None = None,
    details: Mapping[str, Json] | None = None,
) -> Measurement:
    """Return the share of rows that are right, with its exact interval."""
    interval = clopper_pearson(int(right.sum()), len(right), confidence)
    return build_measurement(
        interval, metric, settings, bound=bound, params=params, details=details
    )


def mean_over_conditions(  # noqa: PLR0913 -- as above
    right: NDArray[np.bool_],
    metric: str,
    confidence: float,
    settings: Mapping[str, Json],
    *,
    params: Mapping[str, Scalar] | None = None,
    details: Mapping[str, Json] | None = None,
) -> Measurement | None:
    """Return the mean of ``[conditions, n]`` over both, or ``None`` for fewer than two rows."""
    interval = mean_over_rows(right.mean(axis=0), confidence)
    if interval is None:
        return None
    return build_measurement(interval, metric, settings, params=params, details=details)


def build_measurement(  # noqa: PLR0913 -- as above
    interval: ConfidenceInterval,
    metric: str,
    settings: Mapping[str, Json],
    *,
    bound: BoundKind = BoundKind.ESTIMATE,
    params: Mapping[str, Scalar] | None = None,
    details: Mapping[str, Json] | None = None,
) -> Measurement:
    """Return an interval as a measurement, doubted where the model or the rows make it so."""
    steady, clustered = bool(settings["deterministic"]), bool(settings["clustered"])
    doubt = describe_cluster_doubt(clustered)
    return Measurement.of(
        interval,
        metric,
        Unit.SHARE,
        bound=bound,
        params=params,
        repeat=Repeatability.EXACT if steady else Repeatability.INTERVAL,
        doubted=clustered or not steady,
        details={**(details or {}), **doubt},
    )


def best_half_widths(rows: int, confidence: float) -> tuple[float, float]:
    """Return half the narrowest interval that a share, and a mean over conditions, can have."""
    if not rows:
        return 1.0, 1.0
    exact = clopper_pearson(rows, rows, confidence)
    mean = mean_over_rows(np.ones(rows), confidence)
    return (exact.high - exact.low) / 2, 1.0 if mean is None else (mean.high - mean.low) / 2


REFUSED = -1
"""The decision of a model that could not score a corrupted row."""


@dataclass(frozen=True, slots=True, eq=False)
class CorruptionExample:
    """A row that was right before and wrong after: its place, what it became, and how."""

    place: int
    changed: Array
    said: int
    how: str


@dataclass(slots=True, eq=False)
class CorruptionSurvey:
    """What the target decided: ``decided`` is ``[kinds, severities, n]``, ``REFUSED`` where the
    model failed; ``failed`` says why, by kind. ``shown`` holds one row a kind, the mildest.
    """

    decided: NDArray[np.int32]
    failed: dict[str, str] = field(default_factory=dict)
    shown: dict[str, CorruptionExample] = field(default_factory=dict)


def survey_corruptions(  # noqa: PLR0913, PLR0917 -- what to ask, of whom, and how often
    trial: CorruptionSample,
    medium: CorruptionMedium,
    kinds: Sequence[str],
    severities: Sequence[int],
    seed: int,
    progress: ProgressReporter,
) -> CorruptionSurvey:
    """Corrupt all rows by each kind at each severity, and ask the target once about each."""
    found = CorruptionSurvey(
        np.full((len(kinds), len(severities), len(trial.rows)), REFUSED, np.int32)
    )
    for index, kind in enumerate(kinds):
        for step, severity in enumerate(severities):
            done = index * len(severities) + step
            progress(done, len(kinds) * len(severities), f"{kind}, severity {severity}")
            _ask(trial, medium, (kind, severity), seed, found, (index, step))
    return found


def _ask(  # noqa: PLR0913, PLR0917 -- one cell of the survey
    trial: CorruptionSample,
    medium: CorruptionMedium,
    cell: tuple[str, int],
    seed: int,
    found: CorruptionSurvey,
    place: tuple[int, int],
) -> None:
    kind, severity = cell
    rng = corruption_generator(seed, kind)
    decided = found.decided[place]
    for start in range(0, len(trial.rows), medium.batch):
        part = slice(start, start + medium.batch)
        changed = medium.corrupt(trial.rows[part], kind, severity, rng)
        try:
            said = trial.task.decide(trial.ask(changed))
        except ModelFailedError as error:
            decided[:] = REFUSED
            found.failed[kind] = error.problem
            return
        decided[part] = said
        if kind not in found.shown:
            keep_part = slice(start, start + len(changed))
            labels = trial.labels[keep_part]
            broken = np.flatnonzero((trial.decided[keep_part] == labels) & (said != labels))
            if broken.size:
                at = int(broken[0])
                how = f"{cell[0]}, severity {cell[1]}"
                found.shown[cell[0]] = CorruptionExample(
                    start + at, changed[at], int(said[at]), how
                )


def order_by_accuracy(
    shown: Mapping[str, CorruptionExample], accuracy: Mapping[str, float]
) -> list[CorruptionExample]:
    """Order what may be shown by the accuracy of its kind, the lowest first."""
    return [shown[kind] for kind in sorted(shown, key=lambda kind: (accuracy[kind], kind))]


def build_examples(
    trial: CorruptionSample, shape: tuple[int, ...], shown: Sequence[CorruptionExample]
) -> dict[str, Item]:
    """Return rows before and after, in the shape in which one is shown, under the names that a
    report looks for.
    """
    if not shown:
        return {}
    places = [item.place for item in shown]
    classes = trial.task.classes
    return {
        "example_clean": trial.rows[places].reshape(len(shown), *shape),
        "example_adversarial": np.stack([item.changed for item in shown]).reshape(-1, *shape),
        "example_places": np.array(places, dtype=np.int64),
        "example_rows": [trial.ids[place] for place in places],
        "example_clean_class": [classes[trial.labels[place]] for place in places],
        "example_adversarial_class": [classes[item.said] for item in shown],
        "example_budget": [item.how for item in shown],
        "features": list(trial.dataset.features),
    }
