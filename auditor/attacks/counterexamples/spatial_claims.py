"""Claims of robustness to spatial transformations; challengers give the view, not the picture."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from auditor.attacks.corruptions.images import find_image_layout
from auditor.attacks.corruptions.spatial_search import first_breaking_budgets
from auditor.attacks.counterexamples.norm_ball_claims import explain_no_claim
from auditor.attacks.counterexamples.refutable_claims import (
    Changes,
    ClaimOutcome,
    Claims,
    claims_from_evidence,
    explain_unclaimed_row,
)
from auditor.attacks.counterexamples.submission import CounterexampleBatch
from auditor.attacks.evasion.evidence import read_task
from auditor.attacks.evasion.spatial_transformations import (
    BUDGETS,
    ImageTransformation,
    transform_images,
)
from auditor.domain.challenges import CounterexampleKind, ExampleResult, ExampleTrial
from auditor.domain.evidence import Evidence
from auditor.domain.json import Json
from auditor.domain.tasks import Floats


@dataclass(frozen=True, slots=True, eq=False)
class SpatialRobustnessClaim:
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

    def weigh(self, check: str, given: CounterexampleBatch) -> ClaimOutcome:
        """Apply every view to its row by the check's own transformation, and ask the target."""
        reached = [_budget(self.settings, view) for view in given.views]
        # The row of each view as it is seen there, where that is within reach
        ground, fill = given.ground, str(self.settings["fill"])
        pictures_seen = find_image_layout(
            ground.inputs.shape[1:], ground.declared, ground.takes, whole=ground.whole
        )
        if pictures_seen is None:
            message = "a record of views was made of pictures"
            raise TypeError(message)
        made = given.clean.copy()
        for pictures_at, view in enumerate(given.views):
            if reached[pictures_at] is not None:
                clean = given.clean[pictures_at : pictures_at + 1]
                before = pictures_seen.spread(clean)
                made[pictures_at : pictures_at + 1] = pictures_seen.settled(
                    transform_images(before, view, fill), clean, before
                )
        seen = given.asked(made)
        ids = cast("Sequence[str]", self.evidence["ids"])
        places, broken = (
            {name: at for at, name in enumerate(ids)},
            first_breaking_budgets(self.evidence),
        )
        trials = []
        for at, (row, budget) in enumerate(zip(seen.rows, reached, strict=True)):
            result = explain_unclaimed_row(seen, at, places)
            if result is None:
                judged_broken = int(broken[places[row]])
                task, label = read_task(self.settings), int(seen.labels[at])
                if judged_broken < 0 or int(task.decide(seen.said_clean[at : at + 1])[0]) != label:
                    result = ExampleResult.WRONG_BEFORE
                elif budget is None:
                    result = ExampleResult.OUTSIDE_BUDGET
                elif judged_broken <= budget:
                    result = ExampleResult.BROKEN_BEFORE
                else:
                    wrong = int(task.decide(seen.said[at : at + 1])[0]) != label
                    result = ExampleResult.HOLDS if wrong else ExampleResult.NOT_MISCLASSIFIED
            name = None if budget is None else self._names[budget]
            trials.append(ExampleTrial(at, row, check, result, seen.decided(at), budget=name))
        held = [item for item in trials if item.result is ExampleResult.HOLDS]
        return ClaimOutcome(tuple(trials), self._changes(held, places, seen) if held else None)

    def _changes(
        self, held: Sequence[ExampleTrial], places: Mapping[str, int], given: CounterexampleBatch
    ) -> Changes:
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


def _budget(settings: Mapping[str, Json], view: ImageTransformation) -> int | None:
    """Return the place of the smallest budget that reaches a view; ``None`` where none does."""
    height, width = cast("Sequence[int]", settings["size"])
    flips = bool(settings["flips"])
    names = cast("Sequence[str]", settings["budgets"])
    within = (BUDGETS[name].holds(view, (height, width), flips=flips) for name in names)
    return next((at for at, holds in enumerate(within) if holds), None)


def _views(evidence: Evidence) -> Claims | str:
    settings = cast("Mapping[str, Json]", evidence["settings"])
    if "row" in settings:
        return explain_no_claim(f"rows of shape {settings['row']} are no pictures")
    return {"": SpatialRobustnessClaim(evidence)}


VIEWS = claims_from_evidence(CounterexampleKind.VIEWS, _views)
"""The check's own transformations of a row, given by their parameters."""
