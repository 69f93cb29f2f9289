"""Example galleries of the report: adversarial inputs, cluster contact sheets, reconstructions.

Examples appear only with the owner's permission. Pictures are embedded in the page as small PNGs.
"""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import starmap
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from auditor.domain.evidence import Item
from auditor.domain.json import Json
from auditor.domain.number_text import format_change_size, format_scalar
from auditor.domain.records import CheckObservation
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.wording import check_title, list_word_changes

MOST_PIXELS = 96
CHANNELS = (1, 3)


@dataclass(frozen=True, slots=True)
class PictureTriple:
    """An input, what an attack made of it, and the difference, magnified ``times`` over grey."""

    clean: str
    adversarial: str
    difference: str
    times: float

    @property
    def weight(self) -> int:
        """How many characters the three take in the page."""
        return len(self.clean) + len(self.adversarial) + len(self.difference)


def convert_to_pictures(batch: NDArray[Any]) -> NDArray[np.float64] | None:
    """Return ``[k, h, w, 1|3]`` of a batch of pictures, or ``None`` where it is none.

    Takes ``[k, h, w]``, ``[k, c, h, w]`` and ``[k, h, w, c]`` with one or three channels.
    """
    if batch.ndim == 3 and min(batch.shape[1:]) > 1:  # noqa: PLR2004 -- rows, height and width
        return batch[..., np.newaxis].astype(np.float64)
    if batch.ndim != 4:  # noqa: PLR2004 -- rows, height, width and channels
        return None
    if batch.shape[3] in CHANNELS and min(batch.shape[1:3]) > 1:
        return batch.astype(np.float64)
    if batch.shape[1] in CHANNELS and min(batch.shape[2:]) > 1:
        return np.moveaxis(batch, 1, 3).astype(np.float64)
    return None


def build_picture_triples(
    clean: NDArray[np.float64], adversarial: NDArray[np.float64], room: int
) -> tuple[PictureTriple, ...]:
    """Return data URIs of pairs ``[k, h, w, c]``, all on one scale from darkest to brightest.

    As many as fit into ``room`` characters, and always the first.
    """
    low = float(min(clean.min(), adversarial.min()))
    width = float(max(clean.max(), adversarial.max())) - low or 1.0
    found: list[PictureTriple] = []
    left = room
    for a, b in zip(clean, adversarial, strict=True):
        triple_clean = (a - low) / width
        triple_adversarial = (b - low) / width
        change = triple_adversarial - triple_clean
        most = float(np.abs(change).max())
        times = 1.0 if most == 0 else max(1.0, float(np.floor(0.5 / most)))
        grey = np.clip(0.5 + change * times, 0.0, 1.0)
        triple = PictureTriple(_png(triple_clean), _png(triple_adversarial), _png(grey), times)
        left -= triple.weight
        if found and left < 0:
            break
        found.append(triple)
    return tuple(found)


def build_pictures(batch: NDArray[np.float64], room: int) -> tuple[str, ...]:
    """Return data URIs of ``[k, h, w, c]``, all on one scale, as many as fit into ``room``."""
    low = float(batch.min(initial=np.inf))
    width = float(batch.max(initial=-np.inf)) - low or 1.0
    found: list[str] = []
    left = room
    for one in batch:
        drawn = _png((one - low) / width)
        left -= len(drawn)
        if left < 0:
            break
        found.append(drawn)
    return tuple(found)


def build_heat_map(places: NDArray[np.float64]) -> str:
    """Return a data URI of ``[h, w]`` amounts: black where there is none, white at the most."""
    most = float(places.max(initial=0.0))
    return _png((places / most if most > 0 else places)[..., np.newaxis])


def _png(pixels: NDArray[np.float64]) -> str:
    levels = np.rint(np.clip(pixels, 0.0, 1.0) * 255).astype(np.uint8)
    image = Image.fromarray(levels[..., 0] if levels.shape[2] == 1 else levels)
    if max(image.size) > MOST_PIXELS:
        image.thumbnail((MOST_PIXELS, MOST_PIXELS))
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")


MOST_GALLERIES = 16
MOST_EXAMPLES = 6
MOST_CHANGES = 12
MOST_GALLERY_BYTES = 1_000_000
"""Of all galleries together, so that the page stays below 2 MB."""
CHANGED = 1e-9
BOUNDS = frozenset({"robust_accuracy", "attack_success_rate"})
"""Figures of attacks: what they change is no corruption."""
ATTACKED, CHANGED_OTHERWISE, CORRUPTED = "attacked", "changed", "corrupted"


@dataclass(frozen=True, slots=True)
class FeatureChange:
    """One feature that was moved, in the units of its column, or one word of a text."""

    feature: str
    before: str
    after: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BrokenExample:
    """One row that was broken: as pictures, or as the features that changed."""

    row: str
    budget: str
    said_before: str
    said_after: str
    pictures: PictureTriple | None = None
    changes: tuple[FeatureChange, ...] = ()
    more_changes: int = 0


@dataclass(frozen=True, slots=True)
class ChangeMap:
    """Where changes lie on average over all broken rows: the brightest place changes ``most``."""

    picture: str
    most: str


@dataclass(frozen=True, slots=True)
class ExampleGallery:
    """What one check on one target has to show; ``done`` is the word for what it did."""

    title: str
    target: str
    done: str
    examples: tuple[BrokenExample, ...]
    changed: ChangeMap | None = None


def build_galleries(inputs: ReportInputs) -> tuple[ExampleGallery, ...]:
    """Return the examples of every check that kept some, attacks first; nothing without leave."""
    if not inputs.show_examples:
        return ()
    seen = [item for item in inputs.record.observations if "example_clean" in item.evidence]
    room = MOST_GALLERY_BYTES // max(1, min(len(seen), MOST_GALLERIES))
    found = (_gallery(inputs, item, room) for item in seen[:MOST_GALLERIES])
    shown = [gallery for gallery in found if gallery is not None]
    return tuple(sorted(shown, key=lambda gallery: gallery.done != ATTACKED))


def _gallery(inputs: ReportInputs, seen: CheckObservation, room: int) -> ExampleGallery | None:
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
        shown = [(None, tuple(starmap(FeatureChange, list_word_changes(*pair)))) for pair in pairs]
    names = ("rows", "clean_class", "adversarial_class")
    words = {name: _words(inputs.evidence(seen, f"example_{name}"), len(shown)) for name in names}
    words["budget"] = _budgets(inputs, seen, len(shown))
    examples = tuple(
        _example({name: told[index] for name, told in words.items()}, index, *what)
        for index, what in enumerate(shown)
    )
    done, changed = _done(inputs, seen), _changed(inputs, seen)
    return ExampleGallery(check_title(inputs, seen.check), seen.target, done, examples, changed)


def _texts(item: "Item | None") -> list[str]:
    return [text for text in item if isinstance(text, str)] if isinstance(item, list) else []


def _done(inputs: ReportInputs, seen: CheckObservation) -> str:
    """Say what a check did to its rows: nobody attacks where no attack's figure comes of it."""
    if "example_eps" in seen.evidence:
        return ATTACKED
    check = inputs.checks.get(seen.check)
    bound = check is None or not BOUNDS.isdisjoint(check.emits)
    return CHANGED_OTHERWISE if bound else CORRUPTED


def _budgets(inputs: ReportInputs, seen: CheckObservation, count: int) -> tuple[str, ...]:
    """Say how far each example was changed: the size that was found, or what was done."""
    sizes = _listed(inputs.evidence(seen, "example_eps"), count)
    if not sizes:
        told = _words(inputs.evidence(seen, "example_budget"), count)
        return tuple(text.replace("_", " ") for text in told)
    settings = inputs.evidence(seen, "settings")
    norm = str(settings.get("norm", "")) if isinstance(settings, Mapping) else ""
    said = [
        f"a change of {format_change_size(norm, float(size))}"
        if isinstance(size, int | float)
        else ""
        for size in sizes[:count]
    ]
    return (*said, *[""] * (count - len(said)))


def _changed(inputs: ReportInputs, seen: CheckObservation) -> ChangeMap | None:
    """Draw where changes lie, where one row is a picture."""
    mean = inputs.evidence(seen, "mean_change")
    if not isinstance(mean, np.ndarray):
        return None
    pictures = convert_to_pictures(mean[np.newaxis])
    if pictures is None or not np.isfinite(pictures).all():
        return None
    places = pictures[0].mean(axis=2)
    return ChangeMap(build_heat_map(places), f"{float(places.max()):.2g} of its range")


def _example(
    words: Mapping[str, str],
    index: int,
    pictures: PictureTriple | None,
    changes: tuple[FeatureChange, ...],
) -> BrokenExample:
    return BrokenExample(
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
) -> list[tuple[PictureTriple | None, tuple[FeatureChange, ...]]]:
    before, after = convert_to_pictures(clean), convert_to_pictures(adversarial)
    if before is not None and after is not None:
        return [(triple, ()) for triple in build_picture_triples(before, after, room)]
    flat = clean.reshape(len(clean), -1).astype(np.float64)
    moved = adversarial.reshape(len(clean), -1).astype(np.float64)
    names = _words(features, flat.shape[1])
    return [(None, _changes(a, b, names)) for a, b in zip(flat, moved, strict=True)]


def _changes(
    before: NDArray[np.float64], after: NDArray[np.float64], names: Sequence[str]
) -> tuple[FeatureChange, ...]:
    # A missing value that was filled in, or the other way round, is a change without a size.
    distance = np.nan_to_num(np.abs(after - before), nan=np.inf)
    distance[np.isnan(before) & np.isnan(after)] = 0.0
    order = [int(index) for index in np.argsort(-distance, kind="stable")]
    return tuple(
        FeatureChange(names[i] or f"feature {i + 1}", _value(before[i]), _value(after[i]))
        for i in order
        if distance[i] > CHANGED
    )


def _value(value: float) -> str:
    return "missing" if np.isnan(value) else format_scalar(float(value))


def _words(item: "Item | None", count: int) -> tuple[str, ...]:
    words = tuple(format_scalar(value) for value in _listed(item, count))[:count]
    return words + ("",) * (count - len(words))


def _listed(item: "Item | None", count: int) -> Sequence[Any]:
    """Return one value an example; a single one holds for all."""
    if isinstance(item, np.ndarray):
        found: list[Any] = np.atleast_1d(item).tolist()
        return found
    if isinstance(item, Sequence) and not isinstance(item, str):
        return item
    return () if item is None else [item] * count


SHEET = "sheet"
"""The item that lists rows cluster by cluster."""
MOST_SHEET_BYTES = 400_000
"""Of all contact sheets together."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SheetRow:
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
    prints: tuple[SheetRow, ...]

    @property
    def wrong(self) -> int:
        """How many of them are decided wrongly."""
        return sum(item.wrong for item in self.prints)


def build_contact_sheets(inputs: ReportInputs) -> tuple[ContactSheet, ...]:
    """Return a sheet for each confirmed cluster; nothing without leave to show examples."""
    if not inputs.show_examples:
        return ()
    seen = [item for item in inputs.record.observations if SHEET in item.evidence]
    room = MOST_SHEET_BYTES // max(1, len(seen))
    return tuple(sheet for item in seen for sheet in _sheets(inputs, item, room))


def _sheets(inputs: ReportInputs, seen: CheckObservation, room: int) -> Iterator[ContactSheet]:
    listed = inputs.evidence(seen, SHEET)
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return
    entries = [item for item in listed if isinstance(item, Mapping)]
    shown = []
    sheets_names = ("task", "labels", "decided", "sheet_inputs", "sheet_texts")
    task, labels, decided, rows, texts = (inputs.evidence(seen, name) for name in sheets_names)
    classes = task.get("classes") if isinstance(task, Mapping) else None
    pictures = convert_to_pictures(rows) if isinstance(rows, np.ndarray) else None
    drawn = () if pictures is None else build_pictures(pictures, room)
    for at, entry in enumerate(entries):
        said = texts[at] if isinstance(texts, Sequence) and at < len(texts) else ""
        shown.append(
            SheetRow(
                row=format_scalar(entry.get("row")),
                wrong=entry.get("wrong") is True,
                label=_class(classes, labels, entry.get("place")),
                decision=_class(classes, decided, entry.get("place")),
                picture=drawn[at] if at < len(drawn) else "",
                text=said if isinstance(said, str) else "",
            )
        )
    names = [format_scalar(entry.get("cluster")) for entry in entries]
    for name in dict.fromkeys(names):
        prints = tuple(one for one, of in zip(shown, names, strict=True) if of == name)
        yield ContactSheet(name, seen.target, prints)


def _class(names: Json, codes: "Item | None", place: Json) -> str:
    if not isinstance(codes, np.ndarray) or not isinstance(names, Sequence):
        return ""
    if not isinstance(place, int) or not 0 <= place < len(codes):
        return ""
    code = int(codes[place])
    return format_scalar(names[code]) if 0 <= code < len(names) else ""


MADE = "shown_made"
"""The item that holds rows as attacks made them up."""
MOST_RECONSTRUCTION_BYTES = 300_000
"""Of all sheets together."""
WORDS = {
    "none": "without a prior",
    "public": "with public rows as prior",
    "generator": "with a generator as prior",
}


@dataclass(frozen=True, slots=True)
class ClassReconstruction:
    """One class as an attack made it up; ``member`` is empty where no members are known."""

    label: str
    made: str
    mean: str
    member: str


@dataclass(frozen=True, slots=True)
class ReconstructionSheet:
    """What one attack made up, class by class."""

    attack: str
    target: str
    classes: tuple[ClassReconstruction, ...]


def build_reconstruction_sheets(inputs: ReportInputs) -> tuple[ReconstructionSheet, ...]:
    """Return a sheet for each attack; nothing without leave to show examples."""
    if not inputs.show_examples:
        return ()
    seen = [item for item in inputs.record.observations if MADE in item.evidence]
    room = MOST_RECONSTRUCTION_BYTES // max(1, len(seen))
    return tuple(sheet for item in seen for sheet in _sheets_reconstructions(inputs, item, room))


def _sheets_reconstructions(
    inputs: ReportInputs, seen: CheckObservation, room: int
) -> Iterator[ReconstructionSheet]:
    names = (MADE, "shown_means", "shown_members", "shown_classes", "cells")
    made, means, members, labels, cells = (inputs.evidence(seen, name) for name in names)
    if not isinstance(made, np.ndarray) or not isinstance(means, np.ndarray):
        return
    said, attacks = _listed_reconstructions(labels), _listed_reconstructions(cells)
    if made.shape != (len(attacks), len(said), *means.shape[1:]):
        return
    nearest = members if isinstance(members, np.ndarray) and members.shape == made.shape else None
    for at, cell in enumerate(attacks):
        kinds = [made[at], means, *([] if nearest is None else [nearest[at]])]
        drawn = _drawn(kinds, len(said), room // max(1, len(attacks)))
        shown = [
            ClassReconstruction(format_scalar(label), *trio)
            for label, trio in zip(said, drawn, strict=False)
        ]
        if shown:
            told = cell if isinstance(cell, Mapping) else {}
            prior = str(told.get("prior", ""))
            yield ReconstructionSheet(
                f"by {told.get('attack', 'an attack')}, {WORDS.get(prior, prior)}",
                seen.target,
                tuple(shown),
            )


def _drawn(
    kinds: Sequence[NDArray[np.generic]], classes: int, room: int
) -> Iterator[tuple[str, str, str]]:
    """Yield the pictures of each class, all on one scale, as many classes as there is room for."""
    batch = convert_to_pictures(np.stack(kinds, axis=1).reshape(-1, *kinds[0].shape[1:]))
    pictures = () if batch is None else build_pictures(batch, room)
    for at in range(min(classes, len(pictures) // len(kinds))):
        made, mean, *member = pictures[at * len(kinds) : (at + 1) * len(kinds)]
        yield made, mean, member[0] if member else ""


def _listed_reconstructions(item: "Item | None") -> Sequence[Json]:
    return item if isinstance(item, Sequence) and not isinstance(item, str) else ()
