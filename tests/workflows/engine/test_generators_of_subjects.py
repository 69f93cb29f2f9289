"""A subject has a generator where the audit names one and a check would use it."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from evasion_toys import NOTHING, classes

from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.readings import Gap, GapReason
from auditor.domain.row_generators import NO_GENERATOR, OwnerGenerator
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import ArtifactError, AuditorError, ModelCrashedError
from auditor.workflows.engine.audit_subject import open_subject
from auditor.workflows.engine.target_factory import AuditInputs, StagedArtifact, TargetFactory

HELD = StagedArtifact(Artifact("g", "0", (FileDigest("g.onnx", 1, "0" * 64),)), Path("making"))
ROWS = np.arange(80.0).reshape(20, 4)


@dataclass
class Opening:
    """Opens itself as a generator, or fails."""

    error: AuditorError | None = None
    seen: tuple[Path, int] | None = None
    closed: int = 0

    @contextmanager
    def __call__(
        self, spec: TargetSpec, folder: Path, artifact: Artifact, space: object, rows: Array
    ) -> Iterator[OwnerGenerator]:
        self.seen = folder, len(rows)
        if self.error is not None:
            raise self.error
        yield cast("OwnerGenerator", self)
        self.closed += 1


def generator_of(opening: Opening, **fields: Any) -> OwnerGenerator | Gap:  # noqa: ANN401 -- fields
    absent: Any = None
    files, ids = (FileDigest("test.npz", 1, "0" * 64),), tuple(map(str, range(20)))
    data = {
        DatasetRole.EVALUATION: Dataset(
            DatasetRole.EVALUATION, files, inputs=ROWS, labels=None, ids=ids
        )
    }
    materials = AuditInputs(
        artifact=None, staged=Path("here"), signature=SignatureMaterial(), task=classes(3),
        space=NOTHING, datasets=data, seed=7, budget=Budget.SMOKE, generator=HELD,
    )  # fmt: skip
    openers = TargetFactory(absent, absent, absent, absent, absent, absent, absent, opening)
    spec = TargetSpec("cpu")
    with open_subject(spec, replace(materials, **fields), openers, twin=lambda _: False) as subject:
        return subject.generator


def test_it_is_held_against_evaluation_rows_and_closed_with_the_subject() -> None:
    opening = Opening()
    assert generator_of(opening) is cast("OwnerGenerator", opening)
    assert (opening.seen, opening.closed) == ((Path("making"), 20), 1)


def test_none_is_opened_that_nobody_named_or_wants() -> None:
    opening = Opening()
    assert generator_of(opening, generator=None) is NO_GENERATOR
    unwanted = generator_of(opening, wants_generator=False)
    assert isinstance(unwanted, Gap)
    assert unwanted.reason is GapReason.NEEDS_GENERATOR
    assert opening.seen is None


def test_one_that_does_not_fit_stops_the_audit_and_one_that_crashes_is_a_gap() -> None:
    with pytest.raises(ArtifactError):
        generator_of(Opening(ArtifactError("rows of another shape", cure="Export it.")))
    crashed = generator_of(Opening(ModelCrashedError("it died", cure="Look.")))
    assert isinstance(crashed, Gap)
    assert crashed.reason is GapReason.MODEL_CRASHED
