"""Ready shadow models, each opened when it is asked and closed when it has answered."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from evasion_toys import NOTHING, ToyModel, classes

from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.datasets import DatasetRole
from auditor.domain.readings import Gap, GapReason
from auditor.domain.shadow_models import NO_SHADOWS, ShadowsRef
from auditor.domain.targets import (
    CascadeSpec,
    EndpointSpec,
    Fingerprint,
    ModelInterface,
    TargetSpec,
)
from auditor.domain.tasks import Array, Task
from auditor.errors import ModelCrashedError, ShadowsError
from auditor.workflows.engine.audit_subject import StagedShadowModels, open_subject
from auditor.workflows.engine.target_factory import (
    AuditInputs,
    ShadowModelSource,
    StagedArtifact,
    TargetFactory,
)

CPU = TargetSpec("cpu")
LABELS = ModelInterface("x", (2,), "float64", None, "as_is", "y", "labels", "it says so")
ROWS = np.arange(6.0).reshape(3, 2)


def staged(name: str) -> StagedArtifact:
    return StagedArtifact(
        Artifact(name, "0", (FileDigest(f"{name}.onnx", 1, "0" * 64),)), Path(name)
    )


SOURCE = ShadowModelSource(
    (staged("one"), staged("two")),
    {DatasetRole.TRAINING: np.array([[True, False], [False, True]])},
    ShadowsRef(models=("sha256:1", "sha256:2"), inclusion="sha256:3", rows=("training",)),
)


@dataclass
class Opener:
    """Opens toys, and remembers where and how many are open at once."""

    labels: bool = False
    places: list[tuple[str, str]] = field(default_factory=list)
    open: int = 0
    most: int = 0

    @contextmanager
    def __call__(
        self, spec: TargetSpec, folder: Path, artifact: Artifact, task: Task, sample: Array
    ) -> Iterator[ToyModel]:
        self.places.append((spec.name, str(folder)))
        self.open += 1
        self.most = max(self.most, self.open)
        model = ToyModel(lambda rows: np.stack([rows[:, 0], rows[:, 1], 0 * rows[:, 0]], axis=1))
        if self.labels:
            model = replace(model, fingerprint=Fingerprint({}, {}, interface=LABELS))
        try:
            yield model
        finally:
            self.open -= 1


def test_each_is_opened_for_its_own_answers_alone() -> None:
    opener = Opener()
    shadows = StagedShadowModels(SOURCE, CPU, classes(3), opener)
    first = shadows.answers(0, (ROWS, ROWS[:1]))
    second = shadows.answers(1, (ROWS,))
    assert [part.shape for part in (*first, *second)] == [(3, 3), (1, 3), (3, 3)]
    assert np.allclose(first[0].sum(axis=1), 1)
    assert opener.places == [("cpu", "one"), ("cpu", "two")]
    assert (opener.open, opener.most) == (0, 1)
    assert shadows.include is SOURCE.include


def test_labels_are_no_scores_unless_decisions_are_enough() -> None:
    shadows = StagedShadowModels(SOURCE, CPU, classes(3), Opener(labels=True))
    with pytest.raises(ShadowsError, match=r"the shadow model 1 \(two.onnx\) gives labels"):
        shadows.answers(1, (ROWS,))
    assert shadows.answers(1, (ROWS,), labels_only=True)[0].shape == (3, 3)


def test_whatever_goes_wrong_names_the_file() -> None:
    @contextmanager
    def crashing(*_: object) -> Iterator[ToyModel]:
        raise ModelCrashedError("it died", cure="Look.")
        yield

    shadows = StagedShadowModels(SOURCE, CPU, classes(3), crashing)
    with pytest.raises(ShadowsError) as raised:
        shadows.answers(0, (ROWS,))
    assert raised.value.problem == "the shadow model 0 (one.onnx) cannot be asked: it died"
    assert "leave it and its row of the matrix out" in raised.value.cure


def shadows_of(spec: TargetSpec, source: ShadowModelSource | None) -> object:
    absent: Any = None
    materials = AuditInputs(
        artifact=None, staged=Path("here"), signature=SignatureMaterial(), task=classes(3),
        space=NOTHING, datasets={}, seed=7, budget=Budget.SMOKE, shadows=source,
    )  # fmt: skip
    openers = TargetFactory(absent, Opener(), absent, absent, absent, absent, absent, absent)
    with open_subject(spec, materials, openers, twin=lambda _: False) as subject:
        assert isinstance(subject.generator, Gap)
        assert subject.generator.reason is GapReason.NEEDS_GENERATOR
        return subject.shadows


def test_they_run_where_the_artifact_does_and_never_at_an_endpoint() -> None:
    served = TargetSpec("served", runtime="endpoint", endpoint=EndpointSpec(url="http://here/"))
    halves = TargetSpec("both", runtime="cascade", cascade=CascadeSpec(CPU, served))
    for spec, place in ((CPU, "cpu"), (served, "reference"), (halves, "cpu")):
        found = shadows_of(spec, SOURCE)
        assert isinstance(found, StagedShadowModels)
        assert found.spec.name == place
    assert shadows_of(CPU, None) is NO_SHADOWS
