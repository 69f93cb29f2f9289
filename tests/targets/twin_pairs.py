"""A model open on its target beside a twin in this process, and what tells them apart."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
from tiny_models import Workshop

from auditor.domain.artifacts import Artifact
from auditor.domain.json import Json
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Floats, InputSpace, Task
from auditor.onnx.twin.build import DifferentiableTwin, TwinPlan, build_planned_twin, find_cut
from auditor.targets.model import OpenedModel
from auditor.targets.session import open_model
from auditor.targets.twin import TwinFidelity, examine_twin

CPU = TargetSpec("cpu")
NOWHERE = Gap(reason=GapReason.NEEDS_NUMERIC_INPUT, detail="None.", cure="None.")
Bend = Callable[[Floats], Floats]


class NearTwin:
    """A twin without a child process, for models whose layout is that of the data."""

    def __init__(self, plan: TwinPlan, bend: Bend) -> None:
        self._plan = plan
        self._bend = bend
        self._twin: DifferentiableTwin = build_planned_twin(plan)
        self.passes = 0
        self.distance: dict[str, float] = {}
        self.source: dict[str, Json] = {"kind": plan.kind.value, "digest": None}

    def forward(self, inputs: Array) -> Floats:
        return self._twin.forward(inputs.astype(np.float32))

    def backward(self, cotangent: Floats) -> Floats:
        return self._bend(self._twin.backward(cotangent))

    def cut(self, inputs: Array) -> tuple[str, ...]:
        return find_cut(self._plan, inputs.astype(np.float32))


@contextmanager
def opened(
    workshop: Workshop, artifact: Artifact, task: Task, rows: Array
) -> Iterator[OpenedModel]:
    with open_model(CPU, workshop.folder, artifact, task, rows) as model:
        yield model


def examined(
    model: OpenedModel,
    path: Path | TwinPlan,
    rows: Array,
    space: InputSpace | Gap = NOWHERE,
    *,
    bend: Bend = lambda gradient: gradient,
    seed: int = 7,
) -> TwinFidelity:
    """Examine the twin of the file at ``path``, its gradient bent by ``bend``."""
    plan = path if isinstance(path, TwinPlan) else TwinPlan(path, model.interface)
    twin = NearTwin(plan, bend)
    return examine_twin(twin, model, rows, space, np.random.default_rng(seed))


def unit_space(row: tuple[int, ...]) -> InputSpace:
    """Return the space of numbers between 0 and 1."""
    return InputSpace(np.zeros(row), np.ones(row), np.zeros(row), np.ones(row, dtype=np.bool_))
