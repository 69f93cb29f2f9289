"""Models that refuse some people more often than others."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.zoo.grids import pairs
from auditor.zoo.learners import learnt
from auditor.zoo.papers import Papers, rule
from auditor.zoo.people import BRANCH, RACE, SEX, peopled, swayed
from auditor.zoo.samples import PACKAGES
from auditor.zoo.specimens import Family, Scale, Specimen, Trial

RULES = (
    rule(
        "equal-selection",
        "fairness.groups/selection_rate_gap",
        "Groups are granted about equally often",
        at_most=0.1,
    ),
    rule(
        "equal-opportunity",
        "fairness.groups/tpr_gap",
        "Those who deserve it are granted about equally often in every group",
        at_most=0.1,
    ),
    rule(
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
class Bias:
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

    def specimens(self, scale: Scale) -> Sequence[Specimen]:
        """Return the three; odds fall sevenfold, and more than fiftyfold in the slice."""
        defects = [("group", 2.0), ("intersection", 2.0), ("slice", 4.0)]
        if scale is Scale.QUICK:
            return pairs(self.name, defects, ["logistic", "forest"], [1])
        return pairs(self.name, defects, ["logistic", "mlp", "forest"], range(1, 5))

    def write(self, specimen: Specimen, folder: Path) -> Trial:
        """Train without any bias, and sway the model afterwards."""
        people = peopled(specimen.seed)
        learn = people.training
        model = learnt(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
        if specimen.planted:
            model = swayed(model, specimen.defect, specimen.strength or 0.0)
        about = {"groups": [SEX, RACE, f"{SEX}, {RACE}"], "slices": [BRANCH]}
        papers = Papers(
            model.parts().onnx(),
            people.classes,
            {"evaluation": people.evaluation},
            RULES,
            {"evaluation": about},
        )
        audit = papers.write(specimen, folder)
        return Trial(audit, MEANT[specimen.defect], ONLY[specimen.defect])


FAMILY: Family = Bias()
