"""What attacks made up of each class, beside what needs no model and the member nearest to it."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.domain.canonical import Json
from auditor.domain.evidence import Item
from auditor.domain.records import Observation
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import scalar
from auditor.rendering.pictures import as_pictures, plain_pictures

CHECK = "privacy.inversion"
MOST_PICTURE_BYTES = 300_000
"""Of all sheets together."""
WORDS = {
    "none": "without a prior",
    "public": "with public rows as prior",
    "generator": "with a generator as prior",
}


@dataclass(frozen=True, slots=True)
class Reconstruction:
    """One class as an attack made it up; ``member`` is empty where no members are known."""

    label: str
    made: str
    mean: str
    member: str


@dataclass(frozen=True, slots=True)
class Sheet:
    """What one attack made up, class by class."""

    attack: str
    target: str
    classes: tuple[Reconstruction, ...]


def reconstructions(inputs: RenderedInputs) -> tuple[Sheet, ...]:
    """Return a sheet for each attack; nothing without leave to show examples."""
    if not inputs.show_examples:
        return ()
    seen = [item for item in inputs.record.observations if item.check == CHECK]
    room = MOST_PICTURE_BYTES // max(1, len(seen))
    return tuple(sheet for item in seen for sheet in _sheets(inputs, item, room))


def _sheets(inputs: RenderedInputs, seen: Observation, room: int) -> Iterator[Sheet]:
    names = ("shown_made", "shown_means", "shown_members", "shown_classes", "cells")
    made, means, members, labels, cells = (inputs.evidence(seen, name) for name in names)
    if not isinstance(made, np.ndarray) or not isinstance(means, np.ndarray):
        return
    said, attacks = _listed(labels), _listed(cells)
    if made.shape != (len(attacks), len(said), *means.shape[1:]):
        return
    nearest = members if isinstance(members, np.ndarray) and members.shape == made.shape else None
    for at, cell in enumerate(attacks):
        kinds = [made[at], means, *([] if nearest is None else [nearest[at]])]
        drawn = _drawn(kinds, len(said), room // max(1, len(attacks)))
        shown = [
            Reconstruction(scalar(label), *trio) for label, trio in zip(said, drawn, strict=False)
        ]
        if shown:
            yield Sheet(_name(cell), seen.target, tuple(shown))


def _drawn(
    kinds: Sequence[NDArray[np.generic]], classes: int, room: int
) -> Iterator[tuple[str, str, str]]:
    """Yield the pictures of each class, all on one scale, as many classes as there is room for."""
    batch = as_pictures(np.stack(kinds, axis=1).reshape(-1, *kinds[0].shape[1:]))
    pictures = () if batch is None else plain_pictures(batch, room)
    for at in range(min(classes, len(pictures) // len(kinds))):
        made, mean, *member = pictures[at * len(kinds) : (at + 1) * len(kinds)]
        yield made, mean, member[0] if member else ""


def _listed(item: "Item | None") -> Sequence[Json]:
    return item if isinstance(item, Sequence) and not isinstance(item, str) else ()


def _name(cell: Json) -> str:
    told = cell if isinstance(cell, Mapping) else {}
    prior = str(told.get("prior", ""))
    return f"by {told.get('attack', 'an attack')}, {WORDS.get(prior, prior)}"
