"""Inputs that an attack changed until the model erred, as the owner gave leave to show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import Item
from auditor.domain.records import Observation
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import scalar
from auditor.rendering.phrases import check_title
from auditor.rendering.pictures import PictureTriple, as_pictures, picture_triples

MOST_EXAMPLES = 6
MOST_CHANGES = 12
CHANGED = 1e-9


@dataclass(frozen=True, slots=True)
class Change:
    """One feature that the attack moved."""

    feature: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Example:
    """One row that was broken: as pictures, or as the features that changed."""

    row: str
    budget: str
    said_before: str
    said_after: str
    pictures: PictureTriple | None = None
    changes: tuple[Change, ...] = ()
    more_changes: int = 0


@dataclass(frozen=True, slots=True)
class Gallery:
    """What one attack on one target has to show."""

    title: str
    target: str
    examples: tuple[Example, ...]


def galleries(inputs: RenderedInputs) -> tuple[Gallery, ...]:
    """Return the examples of every attack that kept some, or nothing without leave to show."""
    if not inputs.show_examples:
        return ()
    found = (_gallery(inputs, item) for item in inputs.record.observations)
    return tuple(gallery for gallery in found if gallery is not None)


def _gallery(inputs: RenderedInputs, seen: Observation) -> Gallery | None:
    clean = inputs.evidence(seen, "example_clean")
    adversarial = inputs.evidence(seen, "example_adversarial")
    if not (isinstance(clean, np.ndarray) and isinstance(adversarial, np.ndarray)):
        return None
    if clean.shape != adversarial.shape or not clean.size:
        return None
    clean, adversarial = clean[:MOST_EXAMPLES], adversarial[:MOST_EXAMPLES]
    count = len(clean)
    words = {
        name: _words(inputs.evidence(seen, f"example_{name}"), count)
        for name in ("rows", "clean_class", "adversarial_class", "eps")
    }
    features = inputs.evidence(seen, "features")
    shown = _shown(clean, adversarial, features)
    examples = (
        _example({name: said[index] for name, said in words.items()}, index, *shown[index])
        for index in range(count)
    )
    return Gallery(check_title(inputs, seen.check), seen.target, tuple(examples))


def _example(
    words: Mapping[str, str],
    index: int,
    pictures: PictureTriple | None,
    changes: tuple[Change, ...],
) -> Example:
    return Example(
        row=words["rows"] or str(index + 1),
        budget=f"eps = {words['eps']}" if words["eps"] else "",
        said_before=words["clean_class"],
        said_after=words["adversarial_class"],
        pictures=pictures,
        changes=changes[:MOST_CHANGES],
        more_changes=max(0, len(changes) - MOST_CHANGES),
    )


def _shown(
    clean: NDArray[Any], adversarial: NDArray[Any], features: "Item | None"
) -> list[tuple[PictureTriple | None, tuple[Change, ...]]]:
    before, after = as_pictures(clean), as_pictures(adversarial)
    if before is not None and after is not None:
        return [(triple, ()) for triple in picture_triples(before, after)]
    flat = clean.reshape(len(clean), -1).astype(np.float64)
    moved = adversarial.reshape(len(clean), -1).astype(np.float64)
    names = _words(features, flat.shape[1])
    return [(None, _changes(a, b, names)) for a, b in zip(flat, moved, strict=True)]


def _changes(
    before: NDArray[np.float64], after: NDArray[np.float64], names: Sequence[str]
) -> tuple[Change, ...]:
    distance = np.abs(after - before)
    order = [int(index) for index in np.argsort(-distance, kind="stable")]
    return tuple(
        Change(names[i] or f"feature {i + 1}", scalar(float(before[i])), scalar(float(after[i])))
        for i in order
        if distance[i] > CHANGED
    )


def _words(item: "Item | None", count: int) -> tuple[str, ...]:
    listed: Sequence[Any]
    if isinstance(item, np.ndarray):
        listed = np.atleast_1d(item).tolist()
    elif isinstance(item, Sequence) and not isinstance(item, str):
        listed = item
    elif item is None:
        listed = ()
    else:
        listed = [item] * count
    words = tuple(scalar(value) for value in listed)[:count]
    return words + ("",) * (count - len(words))
