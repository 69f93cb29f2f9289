"""Pictures seen from elsewhere: who challenges gives the view, and the frame makes the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions.pictures import canvas
from auditor.attacks.corruptions.sightings import first_broken
from auditor.attacks.counterexamples.balls import unsaid
from auditor.attacks.counterexamples.claims import (
    Changes,
    Claims,
    Verdict,
    objection,
    of_evidence,
)
from auditor.attacks.counterexamples.given import Given, Kind
from auditor.attacks.spatial import BUDGETS, Transformation, transform
from auditor.attacks.trials import read_task
from auditor.domain.canonical import Json
from auditor.domain.challenges import Result, Trial
from auditor.domain.evidence import Evidence
from auditor.domain.tasks import Array, Floats


@dataclass(frozen=True, slots=True, eq=False)
class Views:
    """What a search for the worst view of each picture left standing, budget by budget."""

    evidence: Evidence

    @property
    def settings(self) -> Mapping[str, Json]:
        """What the search was asked for."""
        return cast("Mapping[str, Json]", self.evidence["settings"])

    @property
    def _names(self) -> Sequence[str]:
        """The names of the budgets, the smallest first."""
        return cast("Sequence[str]", self.settings["budgets"])

    def weigh(self, check: str, given: Given) -> Verdict:
        """Apply every view to its row by the check's own transformation, and ask the target."""
        reached = [_budget(self.settings, view) for view in given.views]
        seen = given.asked(self._pictures(given, reached))
        ids = cast("Sequence[str]", self.evidence["ids"])
        places, broken = {name: at for at, name in enumerate(ids)}, first_broken(self.evidence)
        trials = []
        for at, (row, budget) in enumerate(zip(seen.rows, reached, strict=True)):
            result = objection(seen, at, places)
            if result is None:
                result = self._judged(at, budget, int(broken[places[row]]), seen)
            name = None if budget is None else self._names[budget]
            trials.append(Trial(at, row, check, result, seen.decided(at), budget=name))
        held = [item for item in trials if item.result is Result.HOLDS]
        return Verdict(tuple(trials), self._changes(held, places, seen) if held else None)

    def _pictures(self, given: Given, reached: Sequence[int | None]) -> Array:
        """Return the row of each view as it is seen there, where that is within reach."""
        ground, fill = given.ground, str(self.settings["fill"])
        seen = canvas(ground.inputs.shape[1:], ground.declared, ground.takes, whole=ground.whole)
        if seen is None:
            message = "a record of views was made of pictures"
            raise TypeError(message)
        made = given.clean.copy()
        for at, view in enumerate(given.views):
            if reached[at] is not None:
                clean = given.clean[at : at + 1]
                before = seen.spread(clean)
                made[at : at + 1] = seen.settled(transform(before, view, fill), clean, before)
        return made

    def _judged(self, at: int, budget: int | None, broken: int, given: Given) -> Result:
        """Judge one view by the first budgets that reach it and that break its row already."""
        task, label = read_task(self.settings), int(given.labels[at])
        if broken < 0 or int(task.decide(given.said_clean[at : at + 1])[0]) != label:
            return Result.WRONG_BEFORE
        if budget is None:
            return Result.OUTSIDE_BUDGET
        if broken <= budget:
            return Result.BROKEN_BEFORE
        wrong = int(task.decide(given.said[at : at + 1])[0]) != label
        return Result.HOLDS if wrong else Result.NOT_MISCLASSIFIED

    def _changes(self, held: Sequence[Trial], places: Mapping[str, int], given: Given) -> Changes:
        """Return the evidence in which these are the worst views of their rows."""
        chosen = cast("NDArray[np.int32]", self.evidence["chosen"]).copy()
        said = cast("Floats", self.evidence["adversarial_probabilities"]).copy()
        views = [list(one) for one in cast("Sequence[Sequence[Json]]", self.settings["views"])]
        for trial in held:
            at, place = self._names.index(str(trial.budget)), places[trial.row]
            chosen[at, place] = len(views[at])
            said[at, place] = given.said[trial.example]
            views[at].append(given.views[trial.example].changed)
        listed: list[Json] = [list[Json](one) for one in views]
        settings: dict[str, Json] = {**self.settings, "views": listed}
        return {"settings": settings, "chosen": chosen, "adversarial_probabilities": said}


def _budget(settings: Mapping[str, Json], view: Transformation) -> int | None:
    """Return the place of the smallest budget that reaches a view; ``None`` where none does."""
    height, width = cast("Sequence[int]", settings["size"])
    flips = bool(settings["flips"])
    names = cast("Sequence[str]", settings["budgets"])
    within = (BUDGETS[name].holds(view, (height, width), flips=flips) for name in names)
    return next((at for at, holds in enumerate(within) if holds), None)


def _views(evidence: Evidence) -> Claims | str:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if "row" in settings:
        return unsaid(f"rows of shape {settings['row']} are no pictures")
    return {"": Views(evidence)}


VIEWS = of_evidence(Kind.VIEWS, _views)
"""The check's own transformations of a row, given by their parameters."""
