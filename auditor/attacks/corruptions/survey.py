"""What a check of changed rows takes from its subject, and how its shares become readings."""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.arenas import takes_whole_numbers
from auditor.attacks.corruptions.averages import mean_over_rows
from auditor.domain.canonical import Json
from auditor.domain.clusters import doubts
from auditor.domain.datasets import Dataset, Role
from auditor.domain.intervals import Interval
from auditor.domain.models import Model
from auditor.domain.readings import Bound, Gap, Measurement, Repeat, Scalar, Unit
from auditor.domain.subjects import Subject
from auditor.domain.tasks import Array, Classification, Floats, InputSpace
from auditor.stats.proportions import clopper_pearson

Labels = NDArray[np.int64]


@dataclass(frozen=True, slots=True, eq=False)
class Trial:
    """The rows to change: ``sample`` are their numbers in ``dataset``, ``clean`` what the target
    said of them before, as probabilities ``[n, classes]``.
    """

    model: Model
    task: Classification
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
        return taken_by(self.model)

    @property
    def whole(self) -> bool:
        """Whether only whole numbers fit, into the model or into the data's own type."""
        return takes_whole_numbers(self.model, self.rows)

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


def taken_by(model: Model) -> tuple[int, ...] | None:
    """Return the shape of one input of a model, where its target says it."""
    interface = model.fingerprint.interface
    return None if interface is None else interface.input_shape


def gather(subject: Subject, rows: int) -> Trial:
    """Take the first ``rows`` of the audit's permutation of the evaluation data.

    Raises ``TypeError`` where a need is not met: the frame asks for needs first.
    """
    dataset = subject.datasets[Role.EVALUATION]
    if (
        isinstance(subject.model, Gap)
        or isinstance(subject.space, Gap)
        or not isinstance(subject.task, Classification)
        or dataset.inputs is None
        or dataset.labels is None
    ):
        message = "changed rows need a classifier, its input space and labelled rows"
        raise TypeError(message)
    sample = subject.sample(Role.EVALUATION, rows)
    return Trial(
        model=subject.model,
        task=subject.task,
        space=subject.space,
        dataset=dataset,
        sample=sample,
        pool=dataset.inputs,
        rows=dataset.inputs[sample],
        labels=dataset.labels[sample],
        clean=subject.probabilities(Role.EVALUATION)[sample],
    )


def share(  # noqa: PLR0913 -- one place where shares become measurements
    right: NDArray[np.bool_],
    metric: str,
    confidence: float,
    settings: Mapping[str, Json],
    *,
    bound: Bound = Bound.ESTIMATE,
    params: Mapping[str, Scalar] | None = None,
    details: Mapping[str, Json] | None = None,
) -> Measurement:
    """Return the share of rows that are right, with its exact interval."""
    interval = clopper_pearson(int(right.sum()), len(right), confidence)
    return measurement(interval, metric, settings, bound=bound, params=params, details=details)


def average(  # noqa: PLR0913 -- as above
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
    return measurement(interval, metric, settings, params=params, details=details)


def measurement(  # noqa: PLR0913 -- as above
    interval: Interval,
    metric: str,
    settings: Mapping[str, Json],
    *,
    bound: Bound = Bound.ESTIMATE,
    params: Mapping[str, Scalar] | None = None,
    details: Mapping[str, Json] | None = None,
) -> Measurement:
    """Return an interval as a measurement, doubted where the model or the rows make it so."""
    steady, clustered = bool(settings["deterministic"]), bool(settings["clustered"])
    doubt = doubts(clustered)
    return Measurement.of(
        interval,
        metric,
        Unit.SHARE,
        bound=bound,
        params=params,
        repeat=Repeat.EXACT if steady else Repeat.INTERVAL,
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
