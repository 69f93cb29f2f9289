"""One target while it is open: fallbacks, the reference run, the parent, and cascades."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from evasion_toys import NOTHING, ToyModel, classes

from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.datasets import Dataset, DatasetRole, TextColumn
from auditor.domain.models import Model
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.readings import Gap, GapReason
from auditor.domain.targets import CascadeSpec, EndpointSpec, TargetSpec
from auditor.domain.tasks import InputFeature, InputSpace
from auditor.errors import RowShapeError, RuntimeMissingError
from auditor.targets.cascade import join_cascade
from auditor.workflows.engine.audit_subject import REFERENCE, TargetSession
from auditor.workflows.engine.target_factory import AuditInputs, StagedArtifact, TargetFactory

ARTIFACT = Artifact("model", "1", (FileDigest("model.onnx", 1, "0" * 64),))
PARENT = StagedArtifact(
    Artifact("parent", "1", (FileDigest("parent.onnx", 1, "1" * 64),)), Path("before")
)
GPU = "GpuExecutionProvider"
MIXED = OperatorPlacement(
    GPU, PlacementSource.ASSIGNMENT, {GPU: {"Conv": 3}, "CPUExecutionProvider": {"Relu": 2}}
)
WHOLE = OperatorPlacement(GPU, PlacementSource.ASSIGNMENT, {GPU: {"Conv": 3}})
ZERO = np.zeros(1)
NOBODY_SAYS = OperatorPlacement(GPU, PlacementSource.UNKNOWN)


@dataclass
class Opening:
    """Opens toy models, and remembers on which targets, and whether they were closed."""

    placement: OperatorPlacement
    opened: list[str] = field(default_factory=list)
    closed: int = 0

    @contextmanager
    def model(
        self, spec: TargetSpec, folder: Path, artifact: Artifact | None, *_: object
    ) -> Iterator[Model]:
        if spec.name == "absent":
            raise RuntimeMissingError("there is no such chip", cure="Fetch one.")
        self.opened.append(f"{spec.name}:{artifact.name if artifact else 'served'}")
        yield ToyModel(lambda x: x, placement=self.placement)
        self.closed += 1

    def openers(self) -> TargetFactory:
        absent = cast("Any", None)
        return TargetFactory(
            absent, self.model, absent, absent, absent, join_cascade, absent, absent
        )


def site(
    stack: ExitStack, opening: Opening, spec: TargetSpec, *, artifact: Artifact | None = ARTIFACT,
    parent: StagedArtifact | None = None,
) -> TargetSession:  # fmt: skip
    rows = np.random.default_rng(0).random((20, 3))
    dataset = Dataset(
        DatasetRole.EVALUATION, (), inputs=rows, labels=None, ids=tuple(map(str, range(20)))
    )
    materials = AuditInputs(
        artifact=artifact, staged=Path("here"), signature=SignatureMaterial(), task=classes(3),
        space=NOTHING, datasets={DatasetRole.EVALUATION: dataset}, seed=7, budget=Budget.SMOKE,
        parent=parent,
    )  # fmt: skip
    return TargetSession(stack, spec, materials, opening.openers())


def test_a_model_of_which_operators_run_elsewhere_is_a_gap_that_names_them() -> None:
    with ExitStack() as stack:
        found = site(stack, Opening(MIXED), TargetSpec("gpu", provider=GPU)).open()
    assert isinstance(found.model, Gap)
    assert found.model.reason is GapReason.FELL_BACK
    assert "2 on CPUExecutionProvider (Relu)" in found.model.detail
    assert found.placement == MIXED, "what was placed where is known all the same"


def test_rows_that_a_schema_left_columns_out_of_are_told_with_those_columns() -> None:
    def refuse(*_: object) -> Any:  # noqa: ANN401 -- it returns nothing
        raise RowShapeError("a row has the shape (1,), but 'x' takes [any, 3]", cure="Mend it.")

    town = TextColumn(("a",), np.zeros(20, dtype=np.int32))
    with ExitStack() as stack:
        asked = site(stack, Opening(WHOLE), TargetSpec("cpu"))
        space = InputSpace(ZERO, ZERO + 1, ZERO, ZERO == 0, (InputFeature("age"),))
        data = replace(asked.materials.datasets[DatasetRole.EVALUATION], slices={"town": town})
        materials = replace(asked.materials, space=space, datasets={DatasetRole.EVALUATION: data})
        openers = replace(asked.openers, model=refuse)
        with pytest.raises(RowShapeError) as caught:
            replace(asked, materials=materials, openers=openers).open()
    said = "takes [any, 3]; the schema lists 1 columns; not listed: 'town'"
    assert caught.value.problem.endswith(said)


def test_whoever_allows_a_fallback_gets_the_mixture() -> None:
    with ExitStack() as stack:
        spec = TargetSpec("gpu", provider=GPU, allow_fallback=True)
        found = site(stack, Opening(MIXED), spec).open()
    assert not isinstance(found.model, Gap)
    assert found.placement == MIXED


def test_what_runs_whole_on_the_target_or_where_nobody_says_is_opened() -> None:
    for placement in (WHOLE, NOBODY_SAYS):
        with ExitStack() as stack:
            found = site(stack, Opening(placement), TargetSpec("gpu", provider=GPU)).open()
        assert not isinstance(found.model, Gap)
        assert found.placement == placement


def test_a_runtime_that_is_missing_is_a_gap_and_no_crash() -> None:
    with ExitStack() as stack:
        found = site(stack, Opening(WHOLE), TargetSpec("absent")).open()
    assert isinstance(found.model, Gap)
    assert (found.model.reason, found.model.cure) == (GapReason.NEEDS_RUNTIME, "Fetch one.")


def test_the_reference_and_the_parent_are_opened_once_and_only_when_asked() -> None:
    opening = Opening(WHOLE)
    with ExitStack() as stack:
        place = site(stack, opening, TargetSpec("gpu", provider=GPU), parent=PARENT)
        reference, parent = place.reference(), place.parent()
        assert opening.opened == []
        assert reference.model() is reference.model()
        assert parent.model() is parent.model()
        assert opening.opened == ["reference:model", "gpu:parent"]
    assert opening.closed == 2


def test_the_reference_multiplies_bytes_exactly() -> None:
    assert REFERENCE.session == {"session.x64quantprecision": "1"}
    assert REFERENCE.provider == "CPUExecutionProvider"


def test_without_a_parent_or_a_file_there_is_nothing_to_compare_with() -> None:
    served = TargetSpec("prod", runtime="endpoint", endpoint=EndpointSpec(url="https://x"))
    with ExitStack() as stack:
        place = site(stack, Opening(NOBODY_SAYS), served, artifact=None)
        for companion in (place.reference(), place.parent()):
            assert isinstance(companion.model(), Gap)
        assert not isinstance(place.open().model, Gap), "an endpoint needs no file"


def test_a_cascade_opens_its_edge_with_the_artifact_and_its_cloud_with_the_parent() -> None:
    opening = Opening(WHOLE)
    edge, cloud = TargetSpec("edge"), TargetSpec("cloud")
    spec = TargetSpec("pair", runtime="cascade", cascade=CascadeSpec(edge, cloud, 0.9))
    with ExitStack() as stack:
        found = site(stack, opening, spec, parent=PARENT).open()
        assert opening.opened == ["edge:model", "cloud:parent"]
        assert not isinstance(found.cascade, Gap)
        assert found.cascade.below == 0.9


def test_the_parent_beside_a_cascade_runs_where_the_cloud_does() -> None:
    opening = Opening(WHOLE)
    clouds = (TargetSpec("cloud"), TargetSpec("prod", endpoint=EndpointSpec(url="https://x")))
    for cloud in clouds:
        pair = CascadeSpec(TargetSpec("edge"), cloud)
        spec = TargetSpec("pair", runtime="cascade", cascade=pair)
        with ExitStack() as stack:
            parent = site(stack, opening, spec, parent=PARENT).parent()
            assert not isinstance(parent.model(), Gap)
    assert opening.opened == ["cloud:parent", "reference:parent"], "a cascade itself opens no file"


def test_half_a_cascade_is_none() -> None:
    spec = TargetSpec(
        "pair", runtime="cascade", cascade=CascadeSpec(TargetSpec("edge"), TargetSpec("absent"))
    )
    with ExitStack() as stack:
        found = site(stack, Opening(WHOLE), spec).open()
    assert isinstance(found.model, Gap)
    assert found.model.reason is GapReason.NEEDS_RUNTIME
