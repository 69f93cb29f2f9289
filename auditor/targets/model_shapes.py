"""What a model declares of its inputs and outputs, before any row is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.artifacts import Artifact
from auditor.domain.targets import TargetSpec
from auditor.targets.child_process import ChildProcess
from auditor.targets.interface import TensorSlot, describe_axes, read_tensor_slots
from auditor.targets.isolation import build_sandbox_bounds
from auditor.targets.session import build_opening_request

TEXTS = "tensor(string)"


@dataclass(frozen=True, slots=True)
class DeclaredShapes:
    """The first input's shape (``None`` for an open axis), the width of the last output, and
    whether what goes in is text. ``deep`` outputs hold no score a class and no number a row.
    """

    input_shape: tuple[int | None, ...] | None
    scores: int | None
    reads_text: bool = False
    deep: tuple[str, ...] = ()


def read_declared_shapes(spec: TargetSpec, folder: Path, artifact: Artifact) -> DeclaredShapes:
    """Open the artifact staged in ``folder`` and return what it declares; raises as opening."""
    path = folder.resolve() / artifact.files[0].name
    title = f"the process that opens {artifact.name!r}"
    with ChildProcess("model", build_sandbox_bounds(spec, folder), title) as child:
        header = child.ask(build_opening_request(spec, path), seconds=spec.time_limit).header
    inputs, outputs = (
        read_tensor_slots(header.get("inputs")),
        read_tensor_slots(header.get("outputs")),
    )
    widths = [slot.shape[1] for slot in outputs if slot.shape is not None and len(slot.shape) > 1]
    shape = inputs[0].shape if inputs else None
    return DeclaredShapes(
        None if shape is None else tuple(shape),
        next((w for w in widths if w is not None), None),
        reads_text=bool(inputs) and inputs[0].type == TEXTS,
        deep=_deep(outputs),
    )


def _deep(outputs: Sequence[TensorSlot]) -> tuple[str, ...]:
    """Return the outputs in words where each has several axes beside the rows."""
    shown = [f"{slot.name!r} {describe_axes(slot.shape)}" for slot in outputs]
    deep = [len([size for size in slot.shape[1:] if size != 1]) > 1 for slot in outputs]
    return tuple(shown) if deep and all(deep) else ()
