"""Planted leakage: evaluation rows that are in the training data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.selftest.datasets import (
    PACKAGES,
    copy_rows,
    edit_rows,
    load_split,
)
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
        "no-exact-leak",
        "data.leakage/exact_share",
        "Hardly a row stands in the training data",
        at_most=0.01,
    ),
    build_deny_rule(
        "no-near-leak",
        "data.leakage/near_share",
        "Hardly a row nearly stands in the training data",
        at_most=0.02,
        accept="withstood",
    ),
    build_deny_rule(
        "no-entity-leak",
        "data.leakage/entity_share",
        "Few rows belong to a person in the training data",
        at_most=0.01,
    ),
)
SHARE = 0.05
PERSON, ROWS_A_PERSON = "person", 3

STRENGTHS: Mapping[str, Sequence[float]] = dict.fromkeys(("exact", "near"), (0.02, 0.03, 0.05))


@dataclass(frozen=True, slots=True)
class LeakageFamily:
    """One evaluation row in twenty is a training row: as it is, edited, or of the same person."""

    name: str = "leakage"
    title: str = "evaluation rows that the model has learnt from"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return rows that leak exactly, nearly, and by the person that they are of."""
        defects = [(name, SHARE) for name in ("exact", "near", "entity")]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(self.name, defects, ["cancer-logistic"], [1, 2])
        kinds = [
            f"{source}-{kind}" for source in ("cancer", "digits") for kind in ("mlp", "forest")
        ]
        return build_specimen_pairs(self.name, defects, kinds, range(1, 4))

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train, and put training rows among those that judge."""
        source, architecture = specimen.architecture.split("-")
        sample = load_split(source, specimen.seed)
        rows = sample.training
        model = train_model(architecture, rows.inputs, rows.labels, specimen.seed)
        # Say of whom each row is: of others on either side, unless that is what is planted
        sides = []
        for side, people_rows in (("t", sample.training), ("e", sample.evaluation)):
            names = np.array(
                [f"{side}{place // ROWS_A_PERSON}" for place in range(len(people_rows))]
            )
            if side == "e" and specimen.planted and specimen.defect == "entity":
                names[: round(SHARE * len(people_rows))] = "t0"
            sides.append(people_rows.told(PERSON, names))
        known, met = sides[0], sides[1]
        if specimen.planted and specimen.defect != "entity":
            count = round((specimen.strength or 0.0) * len(met))
            leaked = copy_rows(known, count, specimen.seed).told_again(met.columns)
            if specimen.defect == "near":
                leaked = edit_rows(leaked, specimen.seed)
            met = met.take(np.arange(len(met) - count)).joined(leaked)
        data = {"evaluation": met, "training": known}
        about = {role: {"cluster": PERSON} for role in data}
        papers = SpecimenFiles(model.parts().onnx(), sample.classes, data, RULES, about)
        meant = f"no-{specimen.defect}-leak"
        return SpecimenRun(papers.write(specimen, folder), (meant,), ("data.leakage",))


FAMILY: SpecimenFamily = LeakageFamily()
