"""Search for the worst rotation and shift of each image, with its evidence and readings."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions.accuracy_survey import (
    CorruptionExample,
    CorruptionSample,
    Labels,
    build_examples,
    mean_over_conditions,
    share_interval,
)
from auditor.attacks.corruptions.catalogue import corruption_generator
from auditor.attacks.corruptions.images import ImageLayout
from auditor.attacks.evasion.evidence import read_task
from auditor.attacks.evasion.spatial_transformations import (
    BUDGETS,
    ImageTransformation,
    TransformationGrid,
    transform_images,
)
from auditor.domain.check_subject import ProgressReporter
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.readings import BoundKind, Gap, GapReason, Reading
from auditor.domain.tasks import Array, Floats

NONE = -1
"""The view of a row that no view was tried on, or that a smaller budget had broken."""

STEPS = 100
"""In how many steps progress within one budget is told."""

Mask = NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class SpatialOutcome:
    """What one budget came to: for each of ``n`` rows its worst view (``chosen``, an index into
    ``views``), the target's probabilities for it, how far a wrong class is ahead there, and
    whether it broke the row; ``drawn`` are decisions ``[draws, n]``.
    """

    views: tuple[ImageTransformation, ...]
    drawn: NDArray[np.int32]
    chosen: NDArray[np.int32]
    probabilities: Floats
    margin: Floats
    broken: Mask
    queries: int = 0

    @classmethod
    def nothing(
        cls, views: tuple[ImageTransformation, ...], draws: int, clean: Floats
    ) -> "SpatialOutcome":
        """Begin before any view, with the target's probabilities for the clean rows."""
        count = len(clean)
        return cls(
            views,
            np.zeros((draws, count), dtype=np.int32),
            np.full(count, NONE, dtype=np.int32),
            clean.copy(),
            np.full(count, -np.inf),
            np.zeros(count, dtype=np.bool_),
        )


@dataclass(frozen=True, slots=True, eq=False)
class SpatialSearch:
    """Looks at all rows by ``draws`` random views, then by a grid at those that still stand."""

    trial: CorruptionSample
    canvas: ImageLayout
    finder: TransformationGrid
    draws: int
    fill: str

    def evidence(
        self, budgets: Sequence[str], seed: int, progress: ProgressReporter, most_examples: int
    ) -> Evidence:
        """Search within each budget, the smallest first, and write down what was seen."""
        live = self.trial.decided == self.trial.labels
        found: list[SpatialOutcome] = []
        shown: list[CorruptionExample] = []
        for name in budgets:
            rng = corruption_generator(seed, name)
            report = _reporter(progress, name, len(found), len(budgets))
            seen = self._within(name, rng, live, report)
            shown += self._shown(seen, name, most_examples - len(shown))
            live = live & ~seen.broken
            found.append(seen)
        settings = {
            **self.trial.settings(),
            "budgets": list(budgets),
            "views": [[view.changed for view in seen.views] for seen in found],
            "queries": [seen.queries for seen in found],
            "size": list(self.finder.size),
            "flips": self.finder.flips,
            "fill": self.fill,
        }
        return {
            "settings": settings,
            "ids": list(self.trial.ids),
            "labels": self.trial.labels,
            "clean_probabilities": self.trial.clean,
            "drawn_decided": np.stack([seen.drawn for seen in found]),
            "adversarial_probabilities": np.stack([seen.probabilities for seen in found]),
            "chosen": np.stack([seen.chosen for seen in found]),
            **build_examples(self.trial, self.canvas.shape, shown),
        }

    def _within(
        self, name: str, rng: np.random.Generator, live: Mask, report: Callable[[float], None]
    ) -> SpatialOutcome:
        """Try every view of one budget; a row that breaks leaves the grid, not the draws."""
        reach, count = BUDGETS[name], len(self.trial.rows)
        views = (*self.finder.draws(reach, self.draws, rng), *self.finder.grid(reach))
        found = SpatialOutcome.nothing(views, self.draws, self.trial.clean)
        for index, view in enumerate(views):
            report(index / len(views))
            drawing = index < self.draws
            rows = np.arange(count) if drawing else np.flatnonzero(live & ~found.broken)
            if not rows.size:
                break
            parts = [
                self.trial.ask(self._changed(rows[start : start + self.canvas.batch], view))
                for start in range(0, len(rows), self.canvas.batch)
            ]
            said = np.concatenate(parts)
            found.queries += len(rows)
            if drawing:
                found.drawn[index] = self._decided(said)
            still = live[rows] & ~found.broken[rows]
            # Keep the view of each row at which the target is farthest from right
            note_rows = rows[still]
            note_said = said[still]
            labels = self.trial.labels[note_rows]
            wrong, ahead = self._decided(note_said) != labels, _margin(note_said, labels)
            better = wrong | (ahead > found.margin[note_rows])
            taken = note_rows[better]
            found.chosen[taken] = index
            found.probabilities[taken] = note_said[better]
            found.margin[taken] = ahead[better]
            found.broken[note_rows[wrong]] = True
        return found

    def _changed(self, rows: NDArray[np.intp], view: ImageTransformation) -> Array:
        clean = self.trial.rows[rows]
        before = self.canvas.spread(clean)
        return self.canvas.settled(transform_images(before, view, self.fill), clean, before)

    def _decided(self, probabilities: Floats) -> Labels:
        return self.trial.task.decide(probabilities)

    def _shown(self, seen: SpatialOutcome, name: str, most: int) -> Iterator[CorruptionExample]:
        said = self._decided(seen.probabilities)
        for row in np.flatnonzero(seen.broken)[: max(0, most)]:
            view = seen.views[seen.chosen[row]]
            changed = self._changed(np.array([row]), view)[0]
            yield CorruptionExample(int(row), changed, int(said[row]), f"{name}: {_words(view)}")


def describe_undefined(trial: CorruptionSample) -> Evidence:
    """Return the evidence of rows that are no pictures."""
    return {"settings": {"row": [int(side) for side in trial.rows.shape[1:]]}}


def _margin(probabilities: Floats, labels: Labels) -> Floats:
    """Return how far the best wrong class is ahead of the right one."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    ahead: Floats = others.max(axis=1) - probabilities[rows, labels]
    return ahead


def _words(view: ImageTransformation) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in view.changed.items()
    )


def _reporter(
    progress: ProgressReporter, name: str, done: int, budgets: int
) -> Callable[[float], None]:
    def report(share: float) -> None:
        progress(round(STEPS * (done + share)), STEPS * budgets, name)

    return report


def build_spatial_readings(evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
    """Return clean accuracy, then robust and mean accuracy of each budget.

    Successes are counted anew, from the target's probabilities for views within reach.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if "row" in settings:
        return (image_shape_gap(settings["row"]),)
    labels = cast("Labels", evidence["labels"])
    right = read_task(settings).decide(cast("Floats", evidence["clean_probabilities"])) == labels
    found: list[Reading] = [share_interval(right, "clean_accuracy", confidence, settings)]
    wrong = int((~right).sum())
    drawn = cast("NDArray[np.int32]", evidence["drawn_decided"]) == labels
    for index, name in enumerate(cast("Sequence[str]", settings["budgets"])):
        broken, families = _broken(evidence, settings, index, name)
        right = right & ~broken
        views = cast("Sequence[Sequence[Json]]", settings["views"])[index]
        details: dict[str, Json] = {
            "queries": cast("Sequence[int]", settings["queries"])[index],
            "views": len(views),
            "reach": dict(asdict(BUDGETS[name])),
            "shift_pixels": list(BUDGETS[name].pixels(_size(settings))),
            "flips": settings["flips"],
            "fill": settings["fill"],
            "wrong_without_attack": wrong,
            "broken": int((~right).sum()) - wrong,
            "broken_by": dict(families),
        }
        found.append(
            share_interval(
                right,
                "robust_accuracy",
                confidence,
                settings,
                bound=BoundKind.AT_MOST,
                params={"budget": name},
                details=details,
            )
        )
        found.append(_mean(drawn[index], confidence, settings, name))
    return tuple(found)


def first_breaking_budgets(evidence: Evidence) -> NDArray[np.int64]:
    """Return the place of the first budget that breaks each row ``[n]``.

    -1 where the row is wrong without any change, and the number of budgets where nothing breaks it.
    """
    settings = cast("Mapping[str, Json]", evidence["settings"])
    names = cast("Sequence[str]", settings["budgets"])
    labels = cast("Labels", evidence["labels"])
    found = np.full(len(labels), len(names), dtype=np.int64)
    for index in reversed(range(len(names))):
        found[_broken(evidence, settings, index, names[index])[0]] = index
    clean = read_task(settings).decide(cast("Floats", evidence["clean_probabilities"]))
    return np.where(clean == labels, found, -1)


def _mean(drawn: Mask, confidence: float, settings: Mapping[str, Json], name: str) -> Reading:
    params, details = {"budget": name}, {"draws": len(drawn)}
    made = mean_over_conditions(
        drawn, "mean_accuracy", confidence, settings, params=params, details=details
    )
    if made is not None:
        return made
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail="One row gives no interval of a mean.",
        cure="Evaluate on more rows.",
        metric="mean_accuracy",
        params=params,
    )


def _broken(
    evidence: Evidence, settings: Mapping[str, Json], index: int, name: str
) -> tuple[Mask, Counter[str]]:
    """Return which rows a view within reach breaks, and how often each family of views did."""
    listed = cast("Sequence[Sequence[Mapping[str, Any]]]", settings["views"])[index]
    views = [ImageTransformation(**view) for view in listed]
    size, flips = _size(settings), bool(settings["flips"])
    allowed = np.array([BUDGETS[name].holds(view, size, flips=flips) for view in views])
    chosen = cast("NDArray[np.int32]", evidence["chosen"])[index]
    said = cast("Floats", evidence["adversarial_probabilities"])[index]
    wrong = read_task(settings).decide(said) != cast("Labels", evidence["labels"])
    broken = wrong & (chosen != NONE) & allowed[chosen]
    return broken, Counter(views[place].family for place in chosen[broken])


def _size(settings: Mapping[str, Json]) -> tuple[int, int]:
    height, width = cast("Sequence[int]", settings["size"])
    return height, width


def image_shape_gap(row: Json) -> Gap:
    """Return the Gap of rows of a shape that nobody can turn or move."""
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"Rows of shape {row} are no pictures that could be turned or moved.",
        cure="Give pictures as height by width, with or without channels.",
    )
