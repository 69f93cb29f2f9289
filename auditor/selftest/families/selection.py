"""Auditees who pick the rows that they are judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.domain.canonical import Json
from auditor.zoo.grids import pairs
from auditor.zoo.learners import learnt
from auditor.zoo.papers import Papers, rule
from auditor.zoo.people import BRANCH, LEVELS, RACE, SEX, peopled
from auditor.zoo.samples import PACKAGES, Rows
from auditor.zoo.specimens import Family, Scale, Specimen, Trial

RULES = (
    rule(
        "as-the-population",
        "data.representativeness/representation_gap",
        "Every group's share is within ten points of its share of the population",
        at_most=0.1,
    ),
)
POPULATION: Mapping[str, Json] = {
    name: dict.fromkeys(LEVELS[name], 1 / len(LEVELS[name])) for name in (SEX, RACE)
}

STRENGTHS: Mapping[str, Sequence[float]] = {"picked-rows": (0.3, 0.4, 0.5)}


@dataclass(frozen=True, slots=True)
class Selection:
    """Most rows of one group are left out, and as many of the others."""

    name: str = "selection"
    title: str = "evaluation rows that were picked: most of one group are left out"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: Scale) -> Sequence[Specimen]:
        """Return a choice that leaves out so large a share of the rows of one group."""
        picked = [("picked-rows", 0.6)]
        if scale is Scale.QUICK:
            return pairs(self.name, picked, ["logistic", "forest"], [1])
        return pairs(self.name, picked, ["logistic", "mlp", "forest"], range(1, 8))

    def write(self, specimen: Specimen, folder: Path) -> Trial:
        """Train, and leave out rows: of one group, or as many of all."""
        people = peopled(specimen.seed)
        learn = people.training
        model = learnt(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
        papers = Papers(
            model.parts().onnx(),
            people.classes,
            {"evaluation": _picked(people.evaluation, specimen)},
            RULES,
            {"evaluation": {"groups": [SEX, RACE], "slices": [BRANCH]}},
            more={"population": POPULATION},
        )
        only = ("data.representativeness",)
        return Trial(papers.write(specimen, folder), ("as-the-population",), only)


def _picked(rows: Rows, specimen: Specimen) -> Rows:
    random = np.random.default_rng([specimen.seed, 701])
    share = specimen.strength or 0.0
    unwanted = dict(rows.columns)[SEX] == LEVELS[SEX][0]
    chance = np.where(unwanted, share, 0.0) if specimen.planted else share / 2
    return rows.take(random.random(len(rows)) >= chance)


FAMILY: Family = Selection()
