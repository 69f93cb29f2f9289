"""A cascade of two opened models: the edge decides, and defers unsure rows to the cloud."""

from collections.abc import Mapping
from dataclasses import replace
from itertools import chain

import numpy as np
from numpy.typing import NDArray

from auditor.domain.models import Model, ModelCascade, ModelTiming
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, ClassificationTask, Floats, Task

STEADY, JOULES = "steady", "joules_a_batch"
"""Conditions that are not the larger the worse: whether times settled, and energy."""
NO_SCORES = Gap(
    reason=GapReason.NEEDS_CLASSIFICATION,
    detail="A cascade defers by the edge's largest probability, and the task has none.",
    cure="Audit the two targets one by one.",
)


def join_cascade(edge: Model, cloud: Model, below: float, task: Task) -> ModelCascade | Gap:
    """Make one model of two that are open, or say why that has no meaning."""
    if not isinstance(task, ClassificationTask):
        return NO_SCORES
    return JoinedCascade(edge, cloud, below)


class JoinedCascade:
    """Both halves and the whole; implements ``domain.companions.Cascade``."""

    def __init__(self, edge: Model, cloud: Model, below: float) -> None:
        self.edge = edge
        self.cloud = cloud
        self.below = below

    @property
    def whole(self) -> "CascadeModel":
        """Both as one model."""
        return CascadeModel(self)

    def defers(self, probabilities: Floats) -> NDArray[np.bool_]:
        """Say which of the edge's rows ``[n, classes]`` go on to the cloud."""
        deferred: NDArray[np.bool_] = probabilities.max(axis=1) < self.below
        return deferred


class CascadeModel:
    """A cascade as one model, whose scores are probabilities; implements ``domain.models.Model``.

    ``queries`` counts what both halves were asked together.
    """

    def __init__(self, halves: JoinedCascade) -> None:
        self._halves = halves

    @property
    def queries(self) -> int:
        """Rows scored by either half."""
        return self._halves.edge.queries + self._halves.cloud.queries

    @property
    def busy(self) -> float:
        """Seconds spent on waiting for either half."""
        return self._halves.edge.busy + self._halves.cloud.busy

    @property
    def fingerprint(self) -> Fingerprint:
        """Both fingerprints, and the rule that joins them."""
        edge, cloud = self._halves.edge.fingerprint, self._halves.cloud.fingerprint
        labels = [it.interface.labels for it in (edge, cloud) if it.interface is not None]
        return Fingerprint(
            {"edge": edge.identity_facts, "cloud": cloud.identity_facts,
             "defer_below": self._halves.below},
            {"edge": edge.conditions_facts, "cloud": cloud.conditions_facts},
            emulated=edge.emulated or cloud.emulated,
            interface=edge.interface and replace(
                edge.interface, scores="probabilities", labels=tuple(chain(*labels))
            ),
        )  # fmt: skip

    @property
    def placement(self) -> OperatorPlacement:
        """That of the half of which less runs where it was declared; unknown where one is."""
        edge, cloud = self._halves.edge.placement, self._halves.cloud.placement
        if not (edge.known and cloud.known):
            return OperatorPlacement(edge.declared, PlacementSource.UNKNOWN)
        return min((edge, cloud), key=lambda half: half.share)

    @property
    def deterministic(self) -> bool:
        """Whether both repeat their scores."""
        return self._halves.edge.deterministic and self._halves.cloud.deterministic

    def predict(self, inputs: Array) -> Floats:
        """Return ``[n, classes]`` probabilities: the cloud's where the edge defers."""
        edge, cloud = self._halves.edge, self._halves.cloud
        scores = edge.probabilities(edge.predict(inputs)).copy()
        deferred = self._halves.defers(scores)
        if deferred.any():
            scores[deferred] = cloud.probabilities(cloud.predict(inputs[deferred]))
        return scores

    def probabilities(self, scores: Floats) -> Floats:
        """Return the scores: they are probabilities already."""
        return scores

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        """Time both halves on the same rows, and add the cloud's time to rows that are deferred.

        Each half is timed where it runs, so that the way between them is left out; of a batch, the
        cloud is charged the share of rows that it gets.
        """
        halves = self._halves
        edge = halves.edge.time(inputs, calls=calls, warmup=warmup, batch_rows=batch_rows)
        deferred = halves.defers(halves.edge.probabilities(halves.edge.predict(inputs)))
        if not deferred.any():
            return edge
        cloud = halves.cloud.time(inputs, calls=calls, warmup=warmup, batch_rows=batch_rows)
        single, batch = (min(len(a), len(b)) for a, b in
                         ((edge.single, cloud.single), (edge.batch, cloud.batch)))  # fmt: skip
        asked = deferred[np.arange(single) % len(inputs)]
        if edge.processor is None or cloud.processor is None:
            both = None
        else:
            rows = min(len(edge.processor), len(cloud.processor), len(asked))
            both = np.asarray(
                edge.processor[:rows] + np.where(asked[:rows], cloud.processor[:rows], 0.0)
            )
        return replace(
            edge,
            load=edge.load + cloud.load,
            first=edge.first + cloud.first,
            single=edge.single[:single] + np.where(asked, cloud.single[:single], 0.0),
            processor=both,
            batch=edge.batch[:batch] + float(deferred.mean()) * cloud.batch[:batch],
            conditions=_together(edge.conditions, cloud.conditions, float(deferred.mean())),
        )


def _together(
    edge: Mapping[str, float], cloud: Mapping[str, float], share: float
) -> dict[str, float]:
    """Return the worse of both halves' conditions; ``share`` of a batch's rows are the cloud's.

    Energy is what both spend, and is not told where only one of them counts it.
    """
    found = {name: max(edge.get(name, 0.0), cloud.get(name, 0.0)) for name in {*edge, *cloud}}
    if STEADY in found:
        found[STEADY] = min(edge.get(STEADY, 1.0), cloud.get(STEADY, 1.0))
    spent = found.pop(JOULES, None)
    if spent is not None and JOULES in edge and JOULES in cloud:
        found[JOULES] = edge[JOULES] + share * cloud[JOULES]
    return dict(sorted(found.items()))
