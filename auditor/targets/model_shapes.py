"""What a model declares of its inputs and outputs, before any row is sent."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.artifacts import Artifact
from auditor.domain.targets import TargetSpec
from auditor.targets.interfaces import Slot, read_slots, shown_axes
from auditor.targets.isolation import bounds_of
from auditor.targets.opening import opening_request
from auditor.targets.processes import Child

TEXTS = "tensor(string)"


@dataclass(frozen=True, slots=True)
class Declared:
    """The first input's shape (``None`` for an open axis), the width of the last output, and
    whether what goes in is text. ``deep`` outputs hold no score a class and no number a row.
    """

    input_shape: tuple[int | None, ...] | None
    scores: int | None
    reads_text: bool = False
    deep: tuple[str, ...] = ()


def declared_shapes(spec: TargetSpec, folder: Path, artifact: Artifact) -> Declared:
    """Open the artifact staged in ``folder`` and return what it declares; raises as opening."""
    path = folder.resolve() / artifact.files[0].name
    title = f"the process that opens {artifact.name!r}"
    with Child("model", bounds_of(spec, folder), title) as child:
        header = child.ask(opening_request(spec, path), seconds=spec.time_limit).header
    inputs, outputs = read_slots(header.get("inputs")), read_slots(header.get("outputs"))
    widths = [slot.shape[1] for slot in outputs if slot.shape is not None and len(slot.shape) > 1]
    shape = inputs[0].shape if inputs else None
    return Declared(
        None if shape is None else tuple(shape),
        next((w for w in widths if w is not None), None),
        reads_text=bool(inputs) and inputs[0].type == TEXTS,
        deep=_deep(outputs),
    )


def _deep(outputs: Sequence[Slot]) -> tuple[str, ...]:
    """Return the outputs in words where each has several axes beside the rows."""
    shown = [f"{slot.name!r} {shown_axes(slot.shape)}" for slot in outputs]
    deep = [len([size for size in slot.shape[1:] if size != 1]) > 1 for slot in outputs]
    return tuple(shown) if deep and all(deep) else ()
