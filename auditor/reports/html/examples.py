"""Inputs that were changed until the model erred, as the owner gave leave to show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray

from auditor.domain.evidence import Item
from auditor.domain.records import Observation
from auditor.rendering.changes import change_words
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import scalar
from auditor.rendering.phrases import check_title
from auditor.rendering.pictures import PictureTriple, as_pictures, heat_picture, picture_triples
from auditor.rendering.wordings import wordings

MOST_GALLERIES = 16
MOST_EXAMPLES = 6
MOST_CHANGES = 12
MOST_PICTURE_BYTES = 1_000_000
"""Of all galleries together, so that the page stays below 2 MB."""
CHANGED = 1e-9
BOUNDS = frozenset({"robust_accuracy", "attack_success_rate"})
"""Figures of attacks: what they change is no corruption."""
ATTACKED, CHANGED_OTHERWISE, CORRUPTED = "attacked", "changed", "corrupted"


@dataclass(frozen=True, slots=True)
class Change:
    """One feature that was moved, in the units of its column, or one word of a text."""

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
class ChangeMap:
    """Where changes lie on average over all broken rows: the brightest place changes ``most``."""

    picture: str
    most: str


@dataclass(frozen=True, slots=True)
class Gallery:
    """What one check on one target has to show; ``done`` is the word for what it did."""

    title: str
    target: str
    done: str
    examples: tuple[Example, ...]
    changed: ChangeMap | None = None


def galleries(inputs: RenderedInputs) -> tuple[Gallery, ...]:
    """Return the examples of every check that kept some, attacks first; nothing without leave."""
    if not inputs.show_examples:
        return ()
    seen = [item for item in inputs.record.observations if "example_clean" in item.evidence]
    room = MOST_PICTURE_BYTES // max(1, min(len(seen), MOST_GALLERIES))
    found = (_gallery(inputs, item, room) for item in seen[:MOST_GALLERIES])
    shown = [gallery for gallery in found if gallery is not None]
    return tuple(sorted(shown, key=lambda gallery: gallery.done != ATTACKED))


def _gallery(inputs: RenderedInputs, seen: Observation, room: int) -> Gallery | None:
    clean = inputs.evidence(seen, "example_clean")
    adversarial = inputs.evidence(seen, "example_adversarial")
    if isinstance(clean, np.ndarray) and isinstance(adversarial, np.ndarray):
        if clean.shape != adversarial.shape or not clean.size:
            return None
        clean, adversarial = clean[:MOST_EXAMPLES], adversarial[:MOST_EXAMPLES]
        shown = _shown(clean, adversarial, inputs.evidence(seen, "features"), room)
    else:
        before, after = _texts(clean), _texts(adversarial)
        if not before or len(before) != len(after):
            return None
        pairs = list(zip(before, after, strict=True))[:MOST_EXAMPLES]
        shown = [(None, tuple(starmap(Change, wordings(*pair)))) for pair in pairs]
    names = ("rows", "clean_class", "adversarial_class")
    words = {name: _words(inputs.evidence(seen, f"example_{name}"), len(shown)) for name in names}
    words["budget"] = _budgets(inputs, seen, len(shown))
    examples = tuple(
        _example({name: told[index] for name, told in words.items()}, index, *what)
        for index, what in enumerate(shown)
    )
    done, changed = _done(inputs, seen), _changed(inputs, seen)
    return Gallery(check_title(inputs, seen.check), seen.target, done, examples, changed)


def _texts(item: "Item | None") -> list[str]:
    return [text for text in item if isinstance(text, str)] if isinstance(item, list) else []


def _done(inputs: RenderedInputs, seen: Observation) -> str:
    """Say what a check did to its rows: nobody attacks where no attack's figure comes of it."""
    if "example_eps" in seen.evidence:
        return ATTACKED
    check = inputs.checks.get(seen.check)
    bound = check is None or not BOUNDS.isdisjoint(check.emits)
    return CHANGED_OTHERWISE if bound else CORRUPTED


def _norm(inputs: RenderedInputs, seen: Observation) -> str:
    settings = inputs.evidence(seen, "settings")
    return str(settings.get("norm", "")) if isinstance(settings, Mapping) else ""


def _budgets(inputs: RenderedInputs, seen: Observation, count: int) -> tuple[str, ...]:
    """Say how far each example was changed: the size that was found, or what was done."""
    sizes = _listed(inputs.evidence(seen, "example_eps"), count)
    if not sizes:
        told = _words(inputs.evidence(seen, "example_budget"), count)
        return tuple(text.replace("_", " ") for text in told)
    norm = _norm(inputs, seen)
    said = [
        f"a change of {change_words(norm, float(size))}" if isinstance(size, int | float) else ""
        for size in sizes[:count]
    ]
    return (*said, *[""] * (count - len(said)))


def _changed(inputs: RenderedInputs, seen: Observation) -> ChangeMap | None:
    """Draw where changes lie, where one row is a picture."""
    mean = inputs.evidence(seen, "mean_change")
    if not isinstance(mean, np.ndarray):
        return None
    pictures = as_pictures(mean[np.newaxis])
    if pictures is None or not np.isfinite(pictures).all():
        return None
    places = pictures[0].mean(axis=2)
    return ChangeMap(heat_picture(places), f"{float(places.max()):.2g} of its range")


def _example(
    words: Mapping[str, str],
    index: int,
    pictures: PictureTriple | None,
    changes: tuple[Change, ...],
) -> Example:
    return Example(
        row=words["rows"] or str(index + 1),
        budget=words["budget"],
        said_before=words["clean_class"],
        said_after=words["adversarial_class"],
        pictures=pictures,
        changes=changes[:MOST_CHANGES],
        more_changes=max(0, len(changes) - MOST_CHANGES),
    )


def _shown(
    clean: NDArray[Any], adversarial: NDArray[Any], features: "Item | None", room: int
) -> list[tuple[PictureTriple | None, tuple[Change, ...]]]:
    before, after = as_pictures(clean), as_pictures(adversarial)
    if before is not None and after is not None:
        return [(triple, ()) for triple in picture_triples(before, after, room)]
    flat = clean.reshape(len(clean), -1).astype(np.float64)
    moved = adversarial.reshape(len(clean), -1).astype(np.float64)
    names = _words(features, flat.shape[1])
    return [(None, _changes(a, b, names)) for a, b in zip(flat, moved, strict=True)]


def _changes(
    before: NDArray[np.float64], after: NDArray[np.float64], names: Sequence[str]
) -> tuple[Change, ...]:
    # A missing value that was filled in, or the other way round, is a change without a size.
    distance = np.nan_to_num(np.abs(after - before), nan=np.inf)
    distance[np.isnan(before) & np.isnan(after)] = 0.0
    order = [int(index) for index in np.argsort(-distance, kind="stable")]
    return tuple(
        Change(names[i] or f"feature {i + 1}", _value(before[i]), _value(after[i]))
        for i in order
        if distance[i] > CHANGED
    )


def _value(value: float) -> str:
    return "missing" if np.isnan(value) else scalar(float(value))


def _words(item: "Item | None", count: int) -> tuple[str, ...]:
    words = tuple(scalar(value) for value in _listed(item, count))[:count]
    return words + ("",) * (count - len(words))


def _listed(item: "Item | None", count: int) -> Sequence[Any]:
    """Return one value an example; a single one holds for all."""
    if isinstance(item, np.ndarray):
        found: list[Any] = np.atleast_1d(item).tolist()
        return found
    if isinstance(item, Sequence) and not isinstance(item, str):
        return item
    return () if item is None else [item] * count
