"""Planted selection: auditees who pick the rows that they are judged by."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.domain.json import Json
from auditor.selftest.datasets import BRANCH, LEVELS, PACKAGES, RACE, SEX, SampleRows, load_people
from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import (
    Specimen,
    SpecimenFamily,
    SpecimenFiles,
    SpecimenRun,
    build_deny_rule,
    build_specimen_pairs,
)
from auditor.selftest.train import train_model

RULES = (
    build_deny_rule(
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
class SelectionFamily:
    """Most rows of one group are left out, and as many of the others."""

    name: str = "selection"
    title: str = "evaluation rows that were picked: most of one group are left out"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return a choice that leaves out so large a share of the rows of one group."""
        picked = [("picked-rows", 0.6)]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(self.name, picked, ["logistic", "forest"], [1])
        return build_specimen_pairs(self.name, picked, ["logistic", "mlp", "forest"], range(1, 8))

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train, and leave out rows: of one group, or as many of all."""
        people = load_people(specimen.seed)
        learn = people.training
        model = train_model(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
        papers = SpecimenFiles(
            model.parts().onnx(),
            people.classes,
            {"evaluation": _picked(people.evaluation, specimen)},
            RULES,
            {"evaluation": {"groups": [SEX, RACE], "slices": [BRANCH]}},
            more={"population": POPULATION},
        )
        only = ("data.representativeness",)
        return SpecimenRun(papers.write(specimen, folder), ("as-the-population",), only)


def _picked(rows: SampleRows, specimen: Specimen) -> SampleRows:
    random = np.random.default_rng([specimen.seed, 701])
    share = specimen.strength or 0.0
    unwanted = dict(rows.columns)[SEX] == LEVELS[SEX][0]
    chance = np.where(unwanted, share, 0.0) if specimen.planted else share / 2
    return rows.take(random.random(len(rows)) >= chance)


FAMILY: SpecimenFamily = SelectionFamily()
