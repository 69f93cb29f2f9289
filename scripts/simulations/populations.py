"""Models whose every true figure is known, and audits of samples that they are asked about."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq

from auditor.attacks.evasion.losses import softmax
from auditor.domain.artifacts import FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import Subject
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.models import ModelTiming
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array, ClassificationTask, Floats, InputSpace

GROUPS = ("a", "b")
STEEP = 40.0
"""How fast scores leave one half; attacks see only where they cross it."""
FAR = 0.35
"""The furthest that the mean of a row's numbers lies from the boundary."""
ABSENT = Gap(reason=GapReason.UNSUPPORTED, detail="It is simulated.", cure="None.")
WEIGHTS = STEEP * np.array([[-1.0, 1.0], [-1.0, 1.0]]) / 2
BIAS = -WEIGHTS.sum(axis=0) / 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Population:
    """Two equal groups ``[2]``: who is selected, and how often that and the opposite are right.

    ``near`` is the share of rows that a change of 0.02 of each number's range turns around, all
    others lie beyond 0.05; whether a row is near says nothing of whether it is right.
    """

    selected: tuple[float, float]
    right_if_selected: tuple[float, float]
    right_if_not: tuple[float, float]
    near: float

    @classmethod
    def having(
        cls, *, accuracy: float, selection: float, tpr: float, robust: float
    ) -> "Population":
        """Return one with these true figures, the two gaps in favour of the same group.

        Raises ``ValueError`` where there is none.
        """
        chosen = (0.5 + selection / 2, 0.5 - selection / 2)

        def by(skew: float) -> Population:
            right = (accuracy + skew, accuracy - skew)
            return cls(
                selected=chosen,
                right_if_selected=right,
                right_if_not=right,
                near=1 - robust / accuracy,
            )

        found = by(float(brentq(lambda skew: by(skew).lead - tpr, accuracy - 1, 1 - accuracy)))
        if not 0 <= found.near <= 1 or not 0 < max(found.right_if_selected) <= 1:
            message = f"no population has an accuracy of {accuracy} and is robust in {robust}"
            raise ValueError(message)
        return found

    @property
    def lead(self) -> float:
        """By how much the first group's true positive rate is above the second's."""
        rates = [
            chosen * right / (chosen * right + (1 - chosen) * (1 - left))
            for chosen, right, left in zip(
                self.selected, self.right_if_selected, self.right_if_not, strict=True
            )
        ]
        return rates[0] - rates[1]

    def sample(self, rng: np.random.Generator, rows: int) -> Subject:
        """Return what checks see of so many rows."""
        group = rng.integers(0, 2, rows)
        chosen = rng.random(rows) < np.array(self.selected)[group]
        share = np.where(
            chosen, np.array(self.right_if_selected)[group], np.array(self.right_if_not)[group]
        )
        right = rng.random(rows) < share
        near = rng.random(rows) < self.near
        away = np.where(near, rng.uniform(0.001, 0.019, rows), rng.uniform(0.05, FAR, rows))
        mean = 0.5 + np.where(chosen, away, -away)
        apart = rng.uniform(-0.1, 0.1, rows)
        inputs = np.stack([mean + apart, mean - apart], axis=1)
        members = [GROUPS[index] for index in group]
        return _subject(inputs, np.where(right, chosen, ~chosen).astype(np.int64), members, rng)


@dataclass(slots=True)
class _Linear:
    """A target of two numbers and its own twin."""

    queries: int = 0
    passes: int = 0
    busy: float = 0.0
    pace: float = 1.0
    deterministic: bool = True
    fingerprint: Fingerprint = field(default_factory=lambda: Fingerprint({}, {}))
    placement: OperatorPlacement = field(
        default_factory=lambda: OperatorPlacement("simulated", PlacementSource.UNKNOWN)
    )
    distance: Mapping[str, float] = field(default_factory=lambda: {"max_difference": 0.0})
    source: Mapping[str, str] = field(default_factory=lambda: {"kind": "simulated"})

    def predict(self, inputs: Array) -> Floats:
        self.queries += len(inputs)
        return self.forward(inputs)

    def forward(self, inputs: Array) -> Floats:
        return np.asarray(inputs.astype(np.float64) @ WEIGHTS + BIAS)

    def probabilities(self, scores: Floats) -> Floats:
        return softmax(scores)

    def backward(self, cotangent: Floats) -> Floats:
        self.passes += len(cotangent)
        return np.asarray(cotangent @ WEIGHTS.T)

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        message = "a simulated target takes no time"
        raise NotImplementedError(message)


def _subject(
    inputs: Floats, labels: NDArray[np.int64], members: list[str], rng: np.random.Generator
) -> Subject:
    rows, seed = len(inputs), int(rng.integers(2**32))
    dataset = Dataset(
        role=DatasetRole.EVALUATION,
        files=(FileDigest("rows.npz", 1, "0" * 64),),
        inputs=inputs,
        labels=labels,
        ids=tuple(map(str, range(rows))),
        groups={"group": TextColumn.of(members)},
    )
    return Subject(
        artifact=None,
        structure=ABSENT,
        signature=SignatureMaterial(),
        model=_Linear(),
        twin=_Linear(),
        task=ClassificationTask(("0", "1"), "1", "1", 0.5),
        space=InputSpace(np.zeros(2), np.ones(2), np.zeros(2), np.ones(2, dtype=np.bool_)),
        datasets={DatasetRole.EVALUATION: dataset},
        audit_seed=seed,
        seed=seed,
        budget=Budget.CI,
    )
