"""The interface that a model declares: its inputs and outputs, before any row is sent."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.artifacts import Artifact
from auditor.domain.targets import TargetSpec
from auditor.errors import ArtifactError
from auditor.onnx.declared_identity import DeclaredIdentity
from auditor.targets.child_process import ChildProcess
from auditor.targets.input_layout import TensorSlot, describe_axes, read_tensor_slots
from auditor.targets.isolation import build_sandbox_bounds
from auditor.targets.protocol import ModelConnection

TEXTS = "tensor(string)"
BOXES = re.compile(r"box|segm", re.IGNORECASE)
"""Names of outputs that hold places in a picture."""
MOST_SHOWN = 6
PREDICTIONS_INSTEAD = (
    "or audit its predictions without the model: auditor init --data predictions.csv"
)


@dataclass(frozen=True, slots=True)
class DeclaredShapes:
    """The input's shape (``None`` for an open axis), the width of the first output that has one,
    and whether what goes in is text.
    """

    input_shape: tuple[int | None, ...] | None
    scores: int | None
    reads_text: bool = False


def read_declared_shapes(connection: ModelConnection) -> DeclaredShapes:
    """Return what an opened model declares.

    Raises as opening, and ``ArtifactError`` for what declares that no audit could take it.
    """
    header = connection.opened.header
    inputs, outputs = (
        read_tensor_slots(header.get("inputs")),
        read_tensor_slots(header.get("outputs")),
    )
    _refuse_unserved(inputs, outputs)
    widths = [slot.shape[1] for slot in outputs if slot.shape is not None and len(slot.shape) > 1]
    shape = inputs[0].shape if inputs else None
    return DeclaredShapes(
        None if shape is None else tuple(shape),
        next((w for w in widths if w is not None), None),
        reads_text=bool(inputs) and inputs[0].type == TEXTS,
    )


def read_identity(spec: TargetSpec, folder: Path, artifact: Artifact) -> DeclaredIdentity:
    """Return what the artifact staged in ``folder`` calls its model and its classes.

    It is parsed in a child process. Texts that cannot be printed are left out.
    """
    title = f"the process that parses {artifact.name!r}"
    asked = {"op": "identify", "folder": str(folder.resolve()), "main": artifact.files[0].name}
    bounds = build_sandbox_bounds(spec, folder)
    with ChildProcess("sandbox.artifact_parser", bounds, title) as child:
        said = child.ask(asked, seconds=spec.time_limit).header.get("identity")
    if not isinstance(said, dict):
        return DeclaredIdentity()
    texts = {key: said.get(key) for key in ("name", "version")}
    known = {k: it for k, it in texts.items() if isinstance(it, str) and _is_readable(it)}
    listed = said.get("classes")
    classes = tuple(str(it) for it in listed) if isinstance(listed, list) else ()
    distinct = len(set(classes)) == len(classes) and all(map(_is_readable, classes))
    return DeclaredIdentity(**known, classes=classes if distinct else ())


def _is_readable(text: str) -> bool:
    return bool(text.strip()) and text.isprintable()


def _refuse_unserved(inputs: Sequence[TensorSlot], outputs: Sequence[TensorSlot]) -> None:
    """Raise ``ArtifactError`` for several inputs, and for outputs that are boxes or maps."""
    if len(inputs) > 1:
        names = ", ".join(repr(slot.name) for slot in inputs[:MOST_SHOWN])
        more = ", …" if len(inputs) > MOST_SHOWN else ""
        export = (
            "Export it with one input for all features (scikit-learn: skl2onnx.to_onnx(model, "
            "X.to_numpy(numpy.float32)[:1]); PyTorch: a module around it with `def forward(self, "
            "x): return self.model(x[:, :k], x[:, k:])`)"
        )
        if any(slot.type == TEXTS for slot in inputs):
            export = "Encode the text columns as numbers in the data, and export the steps behind "
            export += "the encoder with one input for all features"
        raise ArtifactError(
            f"the model has {len(inputs)} inputs ({names}{more}), and an audit sends one",
            cure=f"{export}, {PREDICTIONS_INSTEAD}.",
        )
    deep = [slot for slot in outputs if sum(size != 1 for size in slot.shape[1:]) > 1]
    boxes = any(BOXES.search(slot.name) for slot in outputs)
    if boxes or (deep and len(deep) == len(outputs)):
        shown = ", ".join(f"{it.name!r} {describe_axes(it.shape)}" for it in outputs[:MOST_SHOWN])
        raise ArtifactError(
            f"the model gives boxes, masks or maps ({shown}), not one score a class or one number "
            "a row: detection and segmentation are not audited",
            cure="Export the part that classifies a picture, with the scores as its output, "
            f"{PREDICTIONS_INSTEAD}.",
        )
