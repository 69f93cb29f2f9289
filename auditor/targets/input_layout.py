"""Layout of a model's input: maps data rows to the input tensor, and gradients back to rows."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.datasets import TEXT
from auditor.domain.targets import ModelInterface
from auditor.domain.tasks import Array, Floats
from auditor.errors import ModelFailedError, RowShapeError
from auditor.targets.outputs import ScoreOutput
from auditor.targets.protocol import MOST_TEXT

Axes = tuple[int | None, ...]
"""Sizes of a declared shape; ``None`` where the model leaves one open."""

AXES_OF_AN_IMAGE = 3
AXES_OF_A_PICTURE = 2
ORDERS = {"channels_first": (2, 0, 1), "channels_last": (1, 2, 0)}
DTYPES = {
    "tensor(float)": "float32", "tensor(double)": "float64", "tensor(float16)": "float16",
    "tensor(int64)": "int64", "tensor(int32)": "int32", "tensor(int16)": "int16",
    "tensor(int8)": "int8", "tensor(uint64)": "uint64", "tensor(uint32)": "uint32",
    "tensor(uint16)": "uint16", "tensor(uint8)": "uint8", "tensor(bool)": "bool",
    "tensor(string)": "str",
}  # fmt: skip
"""Tensor types that numbers or texts in a data file can be given as."""


@dataclass(frozen=True, slots=True)
class RowLayout:
    """A way to lay a row out: ``kind`` as in ``ModelInterface.layout``, and the row's new shape."""

    kind: str
    shape: tuple[int, ...]


def list_row_layouts(declared: Axes, row: tuple[int, ...]) -> tuple[RowLayout, ...]:
    """Return the layouts, likeliest first, in which ``row`` fits ``declared`` (no batch axis).

    A row is reshaped only where that cannot change the order of its numbers' meaning: axes of
    size 1 come and go, and a flat row may become a picture of one channel (or the reverse).
    """
    found = [RowLayout("as_is", row)] if fits_shape(declared, row) else []
    if len(row) == len(declared) == AXES_OF_AN_IMAGE:
        for kind, order in ORDERS.items():
            turned = tuple(row[axis] for axis in order)
            if fits_shape(declared, turned):
                found.append(RowLayout(kind, turned))
    return tuple(found) or tuple(
        RowLayout("reshape", shape)
        for shape in _reshaped(declared, row)
        if fits_shape(declared, shape)
    )


def fits_shape(declared: Axes, shape: tuple[int, ...]) -> bool:
    """Whether ``shape`` agrees with every size that ``declared`` fixes."""
    return len(declared) == len(shape) and all(
        size is None or size == real for size, real in zip(declared, shape, strict=True)
    )


def _reshaped(declared: Axes, row: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return the shapes of ``declared``'s rank that keep the order of the row's numbers."""
    long = tuple(size for size in row if size != 1)
    fixed = tuple(size for size in declared if size is not None)
    shapes = _stretched(len(declared), long)
    if len(declared) == 1 and len(long) <= AXES_OF_A_PICTURE:
        shapes.append((math.prod(row),))
    one_channel = sum(size != 1 for size in fixed) <= AXES_OF_A_PICTURE
    if len(long) == 1 and one_channel and math.prod(fixed) == long[0]:
        shapes.append(fixed)
    return shapes


def _stretched(rank: int, long: tuple[int, ...]) -> list[tuple[int, ...]]:
    """Return ``long`` with axes of size 1 put in, those in front first: ``(1, 8, 8)``."""
    shapes = []
    for places in itertools.combinations(range(rank), len(long)):
        sizes = iter(long)
        shapes.append(tuple(next(sizes) if axis in places else 1 for axis in range(rank)))
    return shapes[::-1]


def arrange_rows(inputs: Array, interface: ModelInterface) -> Array:
    """Lay ``[n, ...]`` rows out as the model takes them, in its dtype.

    Raises ``ModelFailedError`` where a row does not fit, or does not survive the dtype.
    """
    return cast_rows(_lay_out(inputs, interface), interface.input, interface.input_dtype)


def arrange_float_rows(inputs: Array, interface: ModelInterface) -> Array:
    """Lay rows out as ``arrange_rows`` does, but leave fractions of integer inputs for
    gradients.
    """
    laid = _lay_out(inputs, interface)
    return laid.astype(interface.input_dtype if "float" in interface.input_dtype else "float32")


def restore_gradient(gradient: Floats, interface: ModelInterface, row: tuple[int, ...]) -> Floats:
    """Bring a gradient in the model's layout back into the layout of the data's rows."""
    if interface.layout in ORDERS:
        back = np.argsort(ORDERS[interface.layout])
        gradient = gradient.transpose(0, *(1 + int(axis) for axis in back))
    return np.ascontiguousarray(gradient.reshape(len(gradient), *row), dtype=np.float64)


def cast_rows(rows: Array, name: str, dtype: str) -> Array:
    """Give ``rows`` the dtype of the input ``name``, losing nothing but precision.

    Raises ``ModelFailedError`` that names the first row whose value would change its meaning.
    """
    if dtype == "str":
        return encode_texts(rows, name)
    if rows.dtype == dtype:
        return rows
    if rows.dtype.kind not in "biuf":
        raise ModelFailedError(
            f"the input {name!r} takes {dtype}, but the data holds {rows.dtype.name}",
            cure="Encode text columns as numbers, as the model's training did.",
        )
    with np.errstate(over="ignore", invalid="ignore"):
        given = rows.astype(dtype)
        changed = given != rows if given.dtype.kind in "biu" else np.isinf(given) & ~np.isinf(rows)
    if changed.any():
        row = int(np.nonzero(changed.reshape(len(rows), -1).any(axis=1))[0][0])
        value = rows[row][changed[row]].reshape(-1)[0]
        raise ModelFailedError(
            f"the input {name!r} takes {dtype}, but row {row} holds {value}",
            cure="Give values that the model's type can hold; set `input.quantum: 1` where only "
            "whole numbers make sense.",
        )
    return given


def encode_texts(rows: Array, name: str) -> Array:
    """Return texts as the UTF-8 bytes that a frame carries. Raises ``ModelFailedError``."""
    if rows.dtype.kind != TEXT:
        raise ModelFailedError(
            f"the input {name!r} takes text, but the data holds {rows.dtype.name}",
            cure="Name the column of texts under input.text in the audit file.",
        )
    encoded = [text.encode() for text in rows.reshape(-1).tolist()]
    row, longest = max(enumerate(map(len, encoded)), key=lambda item: item[1], default=(0, 0))
    if longest > MOST_TEXT:
        raise ModelFailedError(
            f"the input {name!r} takes text, but row {row} has {longest:,} bytes of it",
            cure=f"Cut texts to {MOST_TEXT:,} bytes, as the deployed system would.",
        )
    return np.array(encoded, dtype=np.bytes_).reshape(rows.shape)


def _lay_out(inputs: Array, interface: ModelInterface) -> Array:
    order = ORDERS.get(interface.layout)
    if order is not None and inputs.ndim == 1 + AXES_OF_AN_IMAGE:
        inputs = inputs.transpose(0, *(1 + axis for axis in order))
    shape = interface.input_shape
    same_size = math.prod(inputs.shape[1:]) == math.prod(shape)
    if inputs.shape[1:] != shape and not (interface.layout == "reshape" and same_size):
        raise ModelFailedError(
            f"a row of shape {inputs.shape[1:]} does not fit the input {interface.input!r}, whose "
            f"rows have the shape {shape}",
            cure="Give all rows the shape that the evaluation data has.",
        )
    return inputs.reshape(len(inputs), *shape)


@dataclass(frozen=True, slots=True)
class TensorSlot:
    """An input or output as the model declares it; open axes are ``None``."""

    name: str
    type: str
    shape: Axes


@dataclass(frozen=True, slots=True)
class InputBinding:
    """How one layout of the rows enters the model."""

    input: str
    dtype: str
    fixed_batch: int | None
    layout: RowLayout


def list_input_bindings(
    inputs: Sequence[TensorSlot], row: tuple[int, ...]
) -> tuple[InputBinding, ...]:
    """Return the ways, likeliest first, in which rows of shape ``row`` may enter.

    Raises ``ModelFailedError`` for what is not audited yet, ``ArtifactError`` where the data does
    not fit the model.
    """
    if len(inputs) == 1:
        slot = inputs[0]
    else:
        names = ", ".join(slot.name for slot in inputs)
        raise ModelFailedError(
            f"the model has several inputs ({names}), which are not supported yet"
            if inputs
            else "the model has no input",
            cure="Export the model with one input for all features.",
        )
    dtype = DTYPES.get(slot.type)
    if dtype is None:
        raise ModelFailedError(
            f"the input {slot.name!r} takes {slot.type}, which is neither a number nor a text",
            cure="Export the model with a tensor of numbers or of texts as its input.",
        )
    if not slot.shape:  # the model declares no shape at all
        return (InputBinding(slot.name, dtype, None, RowLayout("as_is", row)),)
    found = list_row_layouts(slot.shape[1:], row)
    if not found:
        raise RowShapeError(
            f"a row of the data has the shape {row}, but the input {slot.name!r} takes "
            f"{describe_axes(slot.shape)} (rows first)",
            cure="Give the data the shape that the model takes; of a table, list the model's "
            "columns in a schema, and name it under input.features.",
        )
    return tuple(InputBinding(slot.name, dtype, slot.shape[0], layout) for layout in found)


def build_interface(entrance: InputBinding, leaving: ScoreOutput | None = None) -> ModelInterface:
    """Put both ends together; the exit is left empty as long as it is unknown."""
    known = leaving or ScoreOutput(output="", scores="", because="")
    return ModelInterface(
        input=entrance.input,
        input_shape=entrance.layout.shape,
        input_dtype=entrance.dtype,
        fixed_batch=entrance.fixed_batch,
        layout=entrance.layout.kind,
        output=known.output,
        scores=known.scores,
        because=known.because,
    )


def describe_axes(shape: Axes) -> str:
    """Return declared axes in words, open ones as such."""
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def read_tensor_slots(said: object) -> tuple[TensorSlot, ...]:
    """Read declared inputs or outputs from what a child said. Raises ``ModelFailedError``."""
    try:
        return tuple(_slot(entry) for entry in said)  # type: ignore[attr-defined]  # what if not is below
    except (TypeError, KeyError) as error:
        raise ModelFailedError(
            "the target does not say what the model's inputs and outputs are",
            cure="Update the auditor on that target.",
        ) from error


def _slot(entry: Mapping[str, object]) -> TensorSlot:
    shape = entry["shape"]
    if not isinstance(shape, list):
        raise TypeError
    axes = tuple(size if type(size) is int and size > 0 else None for size in shape)
    return TensorSlot(str(entry["name"])[:256], str(entry["type"])[:256], axes)
