"""Subjects on any target, opened as an audit opens them."""

from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
from tiny_models import Workshop

from auditor.checks.hardware.placement import OperatorPlacementCheck
from auditor.domain.artifacts import Artifact, FileDigest, SignatureMaterial
from auditor.domain.budgets import Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.datasets import Dataset, DatasetRole
from auditor.domain.evidence import decode_evidence, encode_evidence
from auditor.domain.readings import Gap, GapReason, Reading
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, ClassificationTask
from auditor.workflows.engine.audit_subject import open_subject
from auditor.workflows.engine.target_factory import AuditInputs
from auditor.workflows.wiring import OPENERS

NOWHERE = Gap(reason=GapReason.UNSUPPORTED, detail="not asked", cure="none")


@contextmanager
def subject_on(
    spec: TargetSpec, workshop: Workshop, artifact: Artifact, rows: Array, classes: int = 3
) -> Iterator[Subject]:
    names = tuple(str(index) for index in range(classes))
    ids = tuple(str(row) for row in range(len(rows)))
    data = Dataset(DatasetRole.EVALUATION, (FileDigest("t", 1, "0" * 64),), rows, None, ids)
    materials = AuditInputs(
        artifact=artifact,
        staged=workshop.folder,
        signature=SignatureMaterial(),
        task=ClassificationTask(names, names[-1], names[-1]),
        space=NOWHERE,
        datasets={DatasetRole.EVALUATION: data},
        seed=7,
        budget=Budget.SMOKE,
    )
    with open_subject(spec, materials, OPENERS, twin=lambda _: False) as subject:
        yield subject


def placement_readings(subject: Subject) -> dict[str, Reading]:
    """What hardware.placement reads, by metric; every item goes through its blob."""
    check = OperatorPlacementCheck(rows=4, profiles=6)
    seen = check.observe(subject, CheckShard())
    stored = {name: decode_evidence(encode_evidence(item).raw) for name, item in seen.items()}
    return {reading.metric: reading for reading in check.figures(stored, 0.95)}


def picture_model(workshop: Workshop) -> tuple[Artifact, Array]:
    """A convolution, a ReLU and a product: three logits of 1x8x8 pictures, any number at once."""
    rng = np.random.default_rng(3)
    weights = workshop.weights(
        k=rng.normal(size=(4, 1, 3, 3)).astype(np.float32),
        w=rng.normal(size=(4 * 64, 3)).astype(np.float32),
    )
    nodes = [
        workshop.node("Conv", ["x", "k"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        workshop.node("Relu", ["c"], ["r"], name="relu"),
        workshop.node("Flatten", ["r"], ["f"], name="flatten"),
        workshop.node("MatMul", ["f", "w"], ["y"], name="product"),
    ]
    artifact = workshop.save(
        nodes, [workshop.value("x", ["N", 1, 8, 8])], [workshop.value("y", ["N", 3])], weights
    )
    return artifact, rng.normal(size=(40, 1, 8, 8)).astype(np.float32)


def quantised_model(workshop: Workshop) -> tuple[Artifact, Array]:
    """The same, quantised on the way: QuantizeLinear and DequantizeLinear around the picture."""
    rng = np.random.default_rng(3)
    weights = workshop.weights(
        s=np.array(0.05, dtype=np.float32),
        z=np.array(128, dtype=np.uint8),
        k=rng.normal(size=(4, 1, 3, 3)).astype(np.float32),
        w=rng.normal(size=(4 * 64, 3)).astype(np.float32),
    )
    nodes = [
        workshop.node("QuantizeLinear", ["x", "s", "z"], ["q"], name="quantize"),
        workshop.node("DequantizeLinear", ["q", "s", "z"], ["d"], name="dequantize"),
        workshop.node("Conv", ["d", "k"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        workshop.node("Flatten", ["c"], ["f"], name="flatten"),
        workshop.node("MatMul", ["f", "w"], ["y"], name="product"),
    ]
    artifact = workshop.save(
        nodes, [workshop.value("x", ["N", 1, 8, 8])], [workshop.value("y", ["N", 3])], weights
    )
    return artifact, rng.normal(size=(40, 1, 8, 8)).astype(np.float32)
