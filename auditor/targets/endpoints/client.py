"""Whether an answer is one to what was asked, before any number in it is used."""

from collections.abc import Iterable, Mapping

import numpy as np

from auditor.errors import ModelFailedError
from auditor.targets.endpoints.answers import Answer, Declared
from auditor.targets.frames import Anything
from auditor.targets.layouts import DTYPES
from auditor.targets.messages import plain

LABELS = frozenset("iubS")
TEXT_TYPE = "tensor(string)"
MOST_WORDS = 300


def check_answer(answer: Answer, outputs: Iterable[Declared], wanted: Iterable[str]) -> None:
    """Refuse an answer without a wanted output, or with one that is not as declared.

    Sizes behind the first axis and the kind of type must agree where they are declared; axes of
    size 1 come and go between servers. Raises ``ModelFailedError``.
    """
    declared = {slot.name: slot for slot in outputs}
    for name in wanted:
        array = answer.arrays.get(name)
        if array is None:
            there = plain(", ".join(sorted(answer.arrays)), MOST_WORDS) or "none"
            raise ModelFailedError(
                f"the server's answer lacks the output {name!r}; it has {there}",
                cure="Let the server's metadata name the outputs that its runtime gives.",
            )
        slot = declared.get(name)
        if slot is not None and name not in answer.keys:
            _check_type(slot, array)
            _check_shape(slot, array)


def _check_type(slot: Declared, array: Anything) -> None:
    dtype = "S" if slot.type == TEXT_TYPE else DTYPES.get(slot.type)
    if not slot.shape or dtype is None:  # nothing is declared, as over plain JSON
        return
    kinds = np.dtype(dtype).kind, array.dtype.kind
    if kinds[0] != kinds[1] and set(kinds) != {"i", "u"}:
        raise ModelFailedError(
            f"the server declares the output {slot.name!r} as {slot.type} and sends {array.dtype}",
            cure="Let the server's metadata and its runtime say the same.",
        )


def _check_shape(slot: Declared, array: Anything) -> None:
    declared = [size for size in slot.shape[1:] if size != 1]
    real = [size for size in array.shape[1:] if size != 1]
    fits = len(declared) == len(real) and all(
        size is None or size == found for size, found in zip(declared, real, strict=True)
    )
    opened = sum(size is None for size in declared)  # an open axis may turn out to be 1
    fits = fits or (opened > 0 and len(real) < len(declared))
    if slot.shape and not fits:
        raise ModelFailedError(
            f"the server declares the output {slot.name!r} as {list(slot.shape)} and sends "
            f"{list(array.shape)}",
            cure="Let the server's metadata and its runtime say the same.",
        )


def label_outputs(outputs: tuple[Declared, ...]) -> tuple[Declared, ...]:
    """Return the outputs that can hold labels, or all where none is declared as such."""
    found = tuple(
        slot
        for slot in outputs
        if slot.type == TEXT_TYPE or np.dtype(DTYPES.get(slot.type, "f4")).kind in LABELS
    )
    return found or outputs


def as_labels(arrays: Mapping[str, Anything]) -> dict[str, Anything]:
    """Return outputs that are decisions and nothing else: labels, or one-hot rows.

    Raises ``ModelFailedError`` for scores, from which an attack would learn what ``labels_only``
    says that nobody can.
    """
    return {name: _labels(name, array) for name, array in arrays.items()}


def _labels(name: str, array: Anything) -> Anything:
    columns = array.reshape(len(array), -1) if array.ndim and len(array) else array
    if columns.ndim < 2 or array.dtype.kind == "S" or columns.shape[1] == 1:  # noqa: PLR2004 -- rows and columns
        if array.dtype.kind != "f":
            return array
        whole = array.astype(np.int64) if np.isfinite(array).all() else None
        if whole is not None and (whole == array).all():
            return whole
    elif (((columns == 0) | (columns == 1)).all(axis=1) & (columns.sum(axis=1) == 1)).all():
        return array
    raise ModelFailedError(
        f"the endpoint is declared as `labels_only`, but its output {name!r} holds scores",
        cure="Remove `labels_only`, or name the path of the labels.",
    )
