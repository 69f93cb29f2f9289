"""Ask the target about the same rows under every corruption."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions.catalogue import generator
from auditor.attacks.corruptions.media import Medium
from auditor.attacks.corruptions.trials import Trial
from auditor.domain.evidence import Item
from auditor.domain.subjects import Progress
from auditor.domain.tasks import Array
from auditor.errors import ModelFailedError

REFUSED = -1
"""The decision of a model that could not score a corrupted row."""


@dataclass(frozen=True, slots=True, eq=False)
class Shown:
    """A row that was right before and wrong after: its place, what it became, and how."""

    place: int
    changed: Array
    said: int
    how: str


@dataclass(slots=True, eq=False)
class Survey:
    """What the target decided: ``decided`` is ``[kinds, severities, n]``, ``REFUSED`` where the
    model failed; ``failed`` says why, by kind. ``shown`` holds one row a kind, the mildest.
    """

    decided: NDArray[np.int32]
    failed: dict[str, str] = field(default_factory=dict)
    shown: dict[str, Shown] = field(default_factory=dict)


def survey(  # noqa: PLR0913, PLR0917 -- what to ask, of whom, and how often
    trial: Trial,
    medium: Medium,
    kinds: Sequence[str],
    severities: Sequence[int],
    seed: int,
    progress: Progress,
) -> Survey:
    """Corrupt all rows by each kind at each severity, and ask the target once about each."""
    found = Survey(np.full((len(kinds), len(severities), len(trial.rows)), REFUSED, np.int32))
    for index, kind in enumerate(kinds):
        for step, severity in enumerate(severities):
            done = index * len(severities) + step
            progress(done, len(kinds) * len(severities), f"{kind}, severity {severity}")
            _ask(trial, medium, (kind, severity), seed, found, (index, step))
    return found


def _ask(  # noqa: PLR0913, PLR0917 -- one cell of the survey
    trial: Trial,
    medium: Medium,
    cell: tuple[str, int],
    seed: int,
    found: Survey,
    place: tuple[int, int],
) -> None:
    kind, severity = cell
    rng = generator(seed, kind)
    decided = found.decided[place]
    for start in range(0, len(trial.rows), medium.batch):
        part = slice(start, start + medium.batch)
        changed = medium.corrupt(trial.rows[part], kind, severity, rng)
        try:
            said = trial.task.decide(trial.ask(changed))
        except ModelFailedError as error:
            decided[:] = REFUSED
            found.failed[kind] = error.problem
            return
        decided[part] = said
        if kind not in found.shown:
            _keep(trial, changed, said, start, found, cell)


def _keep(  # noqa: PLR0913, PLR0917 -- as above
    trial: Trial,
    changed: Array,
    said: NDArray[np.int64],
    start: int,
    found: Survey,
    cell: tuple[str, int],
) -> None:
    part = slice(start, start + len(changed))
    labels = trial.labels[part]
    broken = np.flatnonzero((trial.decided[part] == labels) & (said != labels))
    if broken.size:
        at = int(broken[0])
        how = f"{cell[0]}, severity {cell[1]}"
        found.shown[cell[0]] = Shown(start + at, changed[at], int(said[at]), how)


def worst_first(shown: Mapping[str, Shown], accuracy: Mapping[str, float]) -> list[Shown]:
    """Order what may be shown by the accuracy of its kind, the lowest first."""
    return [shown[kind] for kind in sorted(shown, key=lambda kind: (accuracy[kind], kind))]


def examples(trial: Trial, shape: tuple[int, ...], shown: Sequence[Shown]) -> dict[str, Item]:
    """Return rows before and after, in the shape in which one is shown, under the names that a
    report looks for.
    """
    if not shown:
        return {}
    places = [item.place for item in shown]
    classes = trial.task.classes
    return {
        "example_clean": trial.rows[places].reshape(len(shown), *shape),
        "example_adversarial": np.stack([item.changed for item in shown]).reshape(-1, *shape),
        "example_places": np.array(places, dtype=np.int64),
        "example_rows": [trial.ids[place] for place in places],
        "example_clean_class": [classes[trial.labels[place]] for place in places],
        "example_adversarial_class": [classes[item.said] for item in shown],
        "example_budget": [item.how for item in shown],
        "features": list(trial.dataset.features),
    }
