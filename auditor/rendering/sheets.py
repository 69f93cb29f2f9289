"""Contact sheets: the rows nearest to the centre of each cluster on which the model is worse."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from auditor.domain.canonical import Json
from auditor.domain.evidence import Item
from auditor.domain.records import Observation
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.numbers import scalar
from auditor.rendering.pictures import as_pictures, plain_pictures

CHECK = "fairness.clusters"
MOST_PICTURE_BYTES = 400_000
"""Of all contact sheets together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Print:
    """One row of a sheet; ``picture`` or ``text`` show it, where the evidence holds either."""

    row: str
    wrong: bool
    label: str = ""
    decision: str = ""
    picture: str = ""
    text: str = ""


@dataclass(frozen=True, slots=True)
class ContactSheet:
    """The rows nearest to the centre of one cluster, the nearest first."""

    cluster: str
    target: str
    prints: tuple[Print, ...]

    @property
    def wrong(self) -> int:
        """How many of them are decided wrongly."""
        return sum(item.wrong for item in self.prints)


def contact_sheets(inputs: RenderedInputs) -> tuple[ContactSheet, ...]:
    """Return a sheet for each confirmed cluster; nothing without leave to show examples."""
    if not inputs.show_examples:
        return ()
    seen = [item for item in inputs.record.observations if item.check == CHECK]
    room = MOST_PICTURE_BYTES // max(1, len(seen))
    return tuple(sheet for item in seen for sheet in _sheets(inputs, item, room))


def _sheets(inputs: RenderedInputs, seen: Observation, room: int) -> Iterator[ContactSheet]:
    listed = inputs.evidence(seen, "sheet")
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return
    entries = [item for item in listed if isinstance(item, Mapping)]
    shown = list(_shown(inputs, seen, entries, room))
    names = [scalar(entry.get("cluster")) for entry in entries]
    for name in dict.fromkeys(names):
        prints = tuple(one for one, of in zip(shown, names, strict=True) if of == name)
        yield ContactSheet(name, seen.target, prints)


def _shown(
    inputs: RenderedInputs, seen: Observation, entries: Sequence[Mapping[str, Json]], room: int
) -> Iterator[Print]:
    names = ("task", "labels", "decided", "sheet_inputs", "sheet_texts")
    task, labels, decided, rows, texts = (inputs.evidence(seen, name) for name in names)
    classes = task.get("classes") if isinstance(task, Mapping) else None
    pictures = as_pictures(rows) if isinstance(rows, np.ndarray) else None
    drawn = () if pictures is None else plain_pictures(pictures, room)
    for at, entry in enumerate(entries):
        said = texts[at] if isinstance(texts, Sequence) and at < len(texts) else ""
        yield Print(
            row=scalar(entry.get("row")),
            wrong=entry.get("wrong") is True,
            label=_class(classes, labels, entry.get("place")),
            decision=_class(classes, decided, entry.get("place")),
            picture=drawn[at] if at < len(drawn) else "",
            text=said if isinstance(said, str) else "",
        )


def _class(names: Json, codes: "Item | None", place: Json) -> str:
    if not isinstance(codes, np.ndarray) or not isinstance(names, Sequence):
        return ""
    if not isinstance(place, int) or not 0 <= place < len(codes):
        return ""
    code = int(codes[place])
    return scalar(names[code]) if 0 <= code < len(names) else ""
