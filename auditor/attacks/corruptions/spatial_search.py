"""The worst view of each picture: the search on the target, and its evidence."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions.catalogue import generator
from auditor.attacks.corruptions.pictures import Canvas
from auditor.attacks.corruptions.survey import Shown, examples
from auditor.attacks.corruptions.trials import Labels, Trial
from auditor.attacks.spatial import BUDGETS, Finder, Transformation, transform
from auditor.domain.canonical import Json
from auditor.domain.evidence import Evidence
from auditor.domain.subjects import Progress
from auditor.domain.tasks import Array, Floats

NONE = -1
"""The view of a row that no view was tried on, or that a smaller budget had broken."""

STEPS = 100
"""In how many steps progress within one budget is told."""

Mask = NDArray[np.bool_]


@dataclass(slots=True, eq=False)
class Found:
    """What one budget came to: for each of ``n`` rows its worst view (``chosen``, an index into
    ``views``), the target's probabilities for it, how far a wrong class is ahead there, and
    whether it broke the row; ``drawn`` are decisions ``[draws, n]``.
    """

    views: tuple[Transformation, ...]
    drawn: NDArray[np.int32]
    chosen: NDArray[np.int32]
    probabilities: Floats
    margin: Floats
    broken: Mask
    queries: int = 0

    @classmethod
    def nothing(cls, views: tuple[Transformation, ...], draws: int, clean: Floats) -> "Found":
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
class Search:
    """Looks at all rows by ``draws`` random views, then by a grid at those that still stand."""

    trial: Trial
    canvas: Canvas
    finder: Finder
    draws: int
    fill: str

    def evidence(
        self, budgets: Sequence[str], seed: int, progress: Progress, most_examples: int
    ) -> Evidence:
        """Search within each budget, the smallest first, and write down what was seen."""
        live = self.trial.decided == self.trial.labels
        found: list[Found] = []
        shown: list[Shown] = []
        for name in budgets:
            rng = generator(seed, name)
            report = _reporter(progress, name, len(found), len(budgets))
            seen = self._within(name, rng, live, report)
            shown += self._shown(seen, name, most_examples - len(shown))
            live = live & ~seen.broken
            found.append(seen)
        return {
            "settings": self._settings(budgets, found),
            "ids": list(self.trial.ids),
            "labels": self.trial.labels,
            "clean_probabilities": self.trial.clean,
            "drawn_decided": np.stack([seen.drawn for seen in found]),
            "adversarial_probabilities": np.stack([seen.probabilities for seen in found]),
            "chosen": np.stack([seen.chosen for seen in found]),
            **examples(self.trial, self.canvas.shape, shown),
        }

    def _within(
        self, name: str, rng: np.random.Generator, live: Mask, report: Callable[[float], None]
    ) -> Found:
        """Try every view of one budget; a row that breaks leaves the grid, not the draws."""
        reach, count = BUDGETS[name], len(self.trial.rows)
        views = (*self.finder.draws(reach, self.draws, rng), *self.finder.grid(reach))
        found = Found.nothing(views, self.draws, self.trial.clean)
        for index, view in enumerate(views):
            report(index / len(views))
            drawing = index < self.draws
            rows = np.arange(count) if drawing else np.flatnonzero(live & ~found.broken)
            if not rows.size:
                break
            said = self._ask(rows, view)
            found.queries += len(rows)
            if drawing:
                found.drawn[index] = self._decided(said)
            still = live[rows] & ~found.broken[rows]
            self._note(found, rows[still], said[still], index)
        return found

    def _note(self, found: Found, rows: NDArray[np.intp], said: Floats, index: int) -> None:
        """Keep the view of each row at which the target is farthest from right."""
        labels = self.trial.labels[rows]
        wrong, ahead = self._decided(said) != labels, _margin(said, labels)
        better = wrong | (ahead > found.margin[rows])
        taken = rows[better]
        found.chosen[taken] = index
        found.probabilities[taken] = said[better]
        found.margin[taken] = ahead[better]
        found.broken[rows[wrong]] = True

    def _ask(self, rows: NDArray[np.intp], view: Transformation) -> Floats:
        parts = [
            self.trial.ask(self._changed(rows[start : start + self.canvas.batch], view))
            for start in range(0, len(rows), self.canvas.batch)
        ]
        return np.concatenate(parts)

    def _changed(self, rows: NDArray[np.intp], view: Transformation) -> Array:
        clean = self.trial.rows[rows]
        before = self.canvas.spread(clean)
        return self.canvas.settled(transform(before, view, self.fill), clean, before)

    def _decided(self, probabilities: Floats) -> Labels:
        return self.trial.task.decide(probabilities)

    def _shown(self, seen: Found, name: str, most: int) -> Iterator[Shown]:
        said = self._decided(seen.probabilities)
        for row in np.flatnonzero(seen.broken)[: max(0, most)]:
            view = seen.views[seen.chosen[row]]
            changed = self._changed(np.array([row]), view)[0]
            yield Shown(int(row), changed, int(said[row]), f"{name}: {_words(view)}")

    def _settings(self, budgets: Sequence[str], found: Sequence[Found]) -> dict[str, Json]:
        return {
            **self.trial.settings(),
            "budgets": list(budgets),
            "views": [[view.changed for view in seen.views] for seen in found],
            "queries": [seen.queries for seen in found],
            "size": list(self.finder.size),
            "flips": self.finder.flips,
            "fill": self.fill,
        }


def undefined(trial: Trial) -> Evidence:
    """Return the evidence of rows that are no pictures."""
    return {"settings": {"row": [int(side) for side in trial.rows.shape[1:]]}}


def _margin(probabilities: Floats, labels: Labels) -> Floats:
    """Return how far the best wrong class is ahead of the right one."""
    rows = np.arange(len(labels))
    others = probabilities.copy()
    others[rows, labels] = -np.inf
    ahead: Floats = others.max(axis=1) - probabilities[rows, labels]
    return ahead


def _words(view: Transformation) -> str:
    return ", ".join(
        f"{name} {value:.3g}" if isinstance(value, float) else f"{name} {value}"
        for name, value in view.changed.items()
    )


def _reporter(progress: Progress, name: str, done: int, budgets: int) -> Callable[[float], None]:
    def report(share: float) -> None:
        progress(round(STEPS * (done + share)), STEPS * budgets, name)

    return report
