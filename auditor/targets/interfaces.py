"""How rows go into a model, and both ends together: the interface."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.targets import Interface
from auditor.errors import ModelFailedError, RowShapeError
from auditor.targets.exits import Exit
from auditor.targets.layouts import DTYPES, Axes, Layout, layouts


@dataclass(frozen=True, slots=True)
class Slot:
    """An input or output as the model declares it; open axes are ``None``."""

    name: str
    type: str
    shape: Axes


@dataclass(frozen=True, slots=True)
class Entrance:
    """How one layout of the rows enters the model."""

    input: str
    dtype: str
    fixed_batch: int | None
    layout: Layout


def entrances(inputs: Sequence[Slot], row: tuple[int, ...]) -> tuple[Entrance, ...]:
    """Return the ways, likeliest first, in which rows of shape ``row`` may enter.

    Raises ``ModelFailedError`` for what is not audited yet, ``ArtifactError`` where the data does
    not fit the model.
    """
    slot = _only(inputs)
    dtype = DTYPES.get(slot.type)
    if dtype is None:
        raise ModelFailedError(
            f"the input {slot.name!r} takes {slot.type}, which is neither a number nor a text",
            cure="Export the model with a tensor of numbers or of texts as its input.",
        )
    if not slot.shape:  # the model declares no shape at all
        return (Entrance(slot.name, dtype, None, Layout("as_is", row)),)
    found = layouts(slot.shape[1:], row)
    if not found:
        raise RowShapeError(
            f"a row of the data has the shape {row}, but the input {slot.name!r} takes "
            f"{shown_axes(slot.shape)} (rows first)",
            cure="Give the data the shape that the model takes.",
        )
    return tuple(Entrance(slot.name, dtype, slot.shape[0], layout) for layout in found)


def as_interface(entrance: Entrance, leaving: Exit | None = None) -> Interface:
    """Put both ends together; the exit is left empty as long as it is unknown."""
    known = leaving or Exit(output="", scores="", because="")
    return Interface(
        input=entrance.input,
        input_shape=entrance.layout.shape,
        input_dtype=entrance.dtype,
        fixed_batch=entrance.fixed_batch,
        layout=entrance.layout.kind,
        output=known.output,
        scores=known.scores,
        because=known.because,
    )


def _only(inputs: Sequence[Slot]) -> Slot:
    if len(inputs) == 1:
        return inputs[0]
    names = ", ".join(slot.name for slot in inputs)
    raise ModelFailedError(
        f"the model has several inputs ({names}), which are not supported yet"
        if inputs
        else "the model has no input",
        cure="Export the model with one input for all features.",
    )


def shown_axes(shape: Axes) -> str:
    """Return declared axes in words, open ones as such."""
    return "[" + ", ".join("any" if size is None else str(size) for size in shape) + "]"


def read_slots(said: object) -> tuple[Slot, ...]:
    """Read declared inputs or outputs from what a child said. Raises ``ModelFailedError``."""
    try:
        return tuple(_slot(entry) for entry in said)  # type: ignore[attr-defined]  # what if not is below
    except (TypeError, KeyError) as error:
        raise ModelFailedError(
            "the target does not say what the model's inputs and outputs are",
            cure="Update the auditor on that target.",
        ) from error


def _slot(entry: Mapping[str, object]) -> Slot:
    shape = entry["shape"]
    if not isinstance(shape, list):
        raise TypeError
    axes = tuple(size if type(size) is int and size > 0 else None for size in shape)
    return Slot(str(entry["name"])[:256], str(entry["type"])[:256], axes)
