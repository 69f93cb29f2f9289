"""Planted defects of fairness: models that refuse some people more often than others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.selftest.datasets import BRANCH, PACKAGES, RACE, SEX, bias_people_model, load_people
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
        "equal-selection",
        "fairness.groups/selection_rate_gap",
        "Groups are granted about equally often",
        at_most=0.1,
    ),
    build_deny_rule(
        "equal-opportunity",
        "fairness.groups/tpr_gap",
        "Those who deserve it are granted about equally often in every group",
        at_most=0.1,
    ),
    build_deny_rule(
        "no-weak-slice",
        "fairness.slices/worst_slice_error",
        "Nowhere does it err for more than a third of the people",
        at_most=0.33,
        accept="withstood",
    ),
)
GAPS = ("equal-selection", "equal-opportunity")
MEANT = {"group": GAPS, "intersection": GAPS, "slice": ("no-weak-slice",)}
ONLY = {
    "group": ("fairness.groups",),
    "intersection": ("fairness.groups",),
    "slice": ("fairness.slices",),
}

STRENGTHS: Mapping[str, Sequence[float]] = {
    "group": (0.5, 1.0, 1.5),
    "intersection": (0.5, 1.0, 1.5),
    "slice": (2.0, 3.0, 4.0),
}


@dataclass(frozen=True, slots=True)
class BiasFamily:
    """The logit of being granted is lowered for some people, by the strength.

    For one group; for two of the four intersections, crosswise, so that neither column alone shows
    it; or for all who went to one of five branches, which no column of groups names.
    """

    name: str = "bias"
    title: str = "a bias against a group, an intersection, or a slice that nobody names"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return the three; odds fall sevenfold, and more than fiftyfold in the slice."""
        defects = [("group", 2.0), ("intersection", 2.0), ("slice", 4.0)]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(self.name, defects, ["logistic", "forest"], [1])
        return build_specimen_pairs(self.name, defects, ["logistic", "mlp", "forest"], range(1, 5))

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train without any bias, and sway the model afterwards."""
        people = load_people(specimen.seed)
        learn = people.training
        model = train_model(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
        if specimen.planted:
            model = bias_people_model(model, specimen.defect, specimen.strength or 0.0)
        about = {"groups": [SEX, RACE, f"{SEX}, {RACE}"], "slices": [BRANCH]}
        papers = SpecimenFiles(
            model.parts().onnx(),
            people.classes,
            {"evaluation": people.evaluation},
            RULES,
            {"evaluation": about},
        )
        audit = papers.write(specimen, folder)
        return SpecimenRun(audit, MEANT[specimen.defect], ONLY[specimen.defect])


FAMILY: SpecimenFamily = BiasFamily()
