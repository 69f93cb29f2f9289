"""A small model, made from a seed, that is opened on a target to see what becomes of it there."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.canonical import Json, digest_json
from auditor.domain.evidence_levels import TargetEvidence, evidence_of
from auditor.domain.placements import Placement
from auditor.domain.providers import support_of
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.domain.tasks import Array, Classification
from auditor.errors import TargetError
from auditor.scratch import scratch_folder
from auditor.targets.fingerprints import place_of
from auditor.targets.opening import open_model

SEED = 7
ROWS, SIDE, CHANNELS, CLASSES = 256, 8, 8, 10
BATCH = "N"
"""The small model's own open axis: of its rows."""
PADS = (1, 1, 1, 1)
CUT = 10  # decimal places of figures that people read


@dataclass(frozen=True, slots=True)
class Trial:
    """What became of the small model on a target, beside the reference.

    ``flips`` of ``rows`` were decided otherwise, ``difference`` is the largest of two scores.
    ``pinned`` says that it fell back with an open number of rows, and ran with one row at a time:
    some chips take no open axis.
    """

    spec: TargetSpec
    placement: Placement
    fingerprint: Fingerprint
    rows: int
    flips: int
    difference: float
    pinned: bool = False

    @property
    def identity(self) -> str:
        """Digest of what must match for this to be the same place, whatever model is open."""
        return digest_json(place_of(self.fingerprint.identity_facts))

    @property
    def evidence(self) -> TargetEvidence:
        """How far figures that are measured here speak of the declared target."""
        return evidence_of(self.spec, self.fingerprint)

    @property
    def falls_back(self) -> bool | None:
        """Whether operators run elsewhere than declared; ``None`` where nobody says."""
        return bool(self.placement.elsewhere) if self.placement.known else None

    def to_json(self) -> dict[str, Json]:
        """Return what `auditor gate --fingerprint` reads, and what a person wants to see."""
        return {
            "name": self.spec.name,
            "identity": self.identity,
            "support": support_of(self.spec),
            "placement": self.placement.to_json(),
            "falls_back": self.falls_back,
            "share_on_target": self.placement.share if self.placement.known else None,
            "evidence": self.evidence.level.value,
            "pinned": {BATCH: 1} if self.pinned else {},
            "parity": {
                "rows": self.rows,
                "flips": self.flips,
                "largest_difference": round(self.difference, CUT),
            },
            "fingerprint": self.fingerprint.to_json(),
        }


def try_target(spec: TargetSpec, reference: TargetSpec) -> Trial:
    """Open the small model on a target and on the reference, and compare.

    Raises ``TargetError`` for a target that opens no file, and what ``open_model`` raises.
    """
    if spec.endpoint is not None or spec.cascade is not None:
        raise TargetError(
            f"the target {spec.name!r} runs no file of ours, so that none can be tried on it",
            cure="Probe a target of runtime onnxruntime or openvino.",
        )
    classes = tuple(str(label) for label in range(CLASSES))
    task = Classification(classes, classes[-1], classes[-1])
    rows = np.random.default_rng(SEED).normal(size=(ROWS, 1, SIDE, SIDE)).astype(np.float32)
    with scratch_folder() as name:
        artifact = _stage(name)
        with open_model(reference, name, artifact, task, rows) as model:
            expected = model.predict(rows)

        def tried(asked: TargetSpec) -> Trial:
            with open_model(asked, name, artifact, task, rows) as model:
                scores = model.predict(rows)
                return Trial(
                    spec,
                    model.placement,
                    model.fingerprint,
                    rows=ROWS,
                    flips=int((scores.argmax(axis=1) != expected.argmax(axis=1)).sum()),
                    difference=float(np.abs(scores - expected).max()),
                )

        return _with_fixed_rows(spec, tried)


def _with_fixed_rows(spec: TargetSpec, tried: Callable[[TargetSpec], Trial]) -> Trial:
    """Try a target, and once more with one row at a time where the open axis makes it fall back."""
    found = tried(spec)
    if not found.falls_back or spec.runtime != "onnxruntime" or BATCH in spec.free_dimensions:
        return found
    pinned = tried(replace(spec, free_dimensions={**spec.free_dimensions, BATCH: 1}))
    return found if pinned.falls_back is not False else replace(pinned, pinned=True)


def _stage(folder: Path) -> Artifact:
    raw = small_model()
    (folder / "trial.onnx").write_bytes(raw)
    files = (FileDigest("trial.onnx", len(raw), hashlib.sha256(raw).hexdigest()),)
    return Artifact("auditor's trial", "1", files)


def small_model() -> bytes:
    """Return the small model: two convolutions and a product, logits of ten classes."""
    nodes = [
        helper.make_node("Conv", ["x", "w1", "b1"], ["c1"], name="conv1", pads=PADS),
        helper.make_node("Relu", ["c1"], ["r1"], name="relu1"),
        helper.make_node("Conv", ["r1", "w2", "b2"], ["c2"], name="conv2", pads=PADS),
        helper.make_node("Relu", ["c2"], ["r2"], name="relu2"),
        helper.make_node("Flatten", ["r2"], ["flat"], name="flatten"),
        helper.make_node("Gemm", ["flat", "w3", "b3"], ["y"], name="logits"),
    ]
    graph = helper.make_graph(
        nodes,
        "trial",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [BATCH, 1, SIDE, SIDE])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [BATCH, CLASSES])],
        [
            numpy_helper.from_array(array.astype(np.float32), name)
            for name, array in _weights().items()
        ],
    )
    sets = [helper.make_opsetid("", 17)]
    made = helper.make_model(graph, opset_imports=sets, ir_version=8)
    return bytes(made.SerializeToString(deterministic=True))


def _weights() -> dict[str, Array]:
    rng = np.random.default_rng(SEED)
    return {
        "w1": rng.normal(size=(CHANNELS, 1, 3, 3)),
        "b1": rng.normal(size=CHANNELS),
        "w2": rng.normal(size=(CHANNELS, CHANNELS, 3, 3)) / CHANNELS,
        "b2": rng.normal(size=CHANNELS),
        "w3": rng.normal(size=(CHANNELS * SIDE * SIDE, CLASSES)) / SIDE,
        "b3": rng.normal(size=CLASSES),
    }
