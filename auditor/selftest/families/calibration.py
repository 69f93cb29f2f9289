"""Planted defects of calibration: probabilities that do not come true."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.selftest.datasets import (
    BRANCH,
    PACKAGES,
    RACE,
    SEX,
    SampleRows,
    bias_people_model,
    load_people,
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
from auditor.selftest.train import DenseNetwork, TrainedModel, train_model

SATURATED = "saturated"
RULES = (
    build_deny_rule(
        "sure-as-right",
        "quality.calibration/slope",
        "It is neither over-confident nor timid",
        within=[0.5, 2.0],
    ),
    build_deny_rule(
        "close-on-average",
        "quality.calibration/debiased_l2",
        "Its probabilities are within ten points of what comes true",
        at_most=0.1,
    ),
    build_deny_rule(
        "close-for-all",
        "fairness.calibration/in_the_large_gap",
        "They mean the same for every group",
        at_most=0.1,
    ),
)
BOUNDED = build_deny_rule(
    "no-wild-mistakes",
    "quality.accuracy/nll",
    "No mistake is made with next to no doubt",
    at_most=5.0,
)
"""Mistakes alone, at a floor of 1e-7 under each probability, would not reach that."""
MEANT = {
    "over": ("sure-as-right", "close-on-average"),
    "under": ("sure-as-right", "close-on-average"),
    "group": ("close-for-all",),
    SATURATED: ("no-wild-mistakes",),
}
CALIBRATED_ON = 250
"""Rows that one temperature is fitted on; all others judge."""
SHARPNESS = np.geomspace(0.1, 10, 81)

STRENGTHS: Mapping[str, Sequence[float]] = {
    "over": (1.5, 2.0, 3.0),
    "under": (1.5, 2.0, 3.0),
    "group": (1.0, 1.5, 2.0, 2.5),
}


@dataclass(frozen=True, slots=True)
class CalibrationFamily:
    """Logits four times too large or too small, or moved for one group of people alone; or so large
    that every probability is 0 or 1: that file answers with its logits, and so does its clean twin.

    Every model is calibrated first, on rows that it has not learnt from. Moved by 2, odds are seven
    times as high as they should be, as much as `bias` lowers them.
    """

    name: str = "calibration"
    title: str = "probabilities that are too sure, too timid, or wrong for one group"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return the four, as logistic models and as networks."""
        defects = [("over", 4.0), ("under", 4.0), ("group", 2.0), (SATURATED, 1000.0)]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(self.name, defects, ["logistic", "mlp"], [1])
        return build_specimen_pairs(self.name, defects, ["logistic", "mlp"], range(1, 5))

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train and calibrate, and spoil that afterwards."""
        people = load_people(specimen.seed)
        learn, rows = people.training, people.evaluation
        model = train_model(specimen.architecture, learn.inputs, learn.labels, specimen.seed)
        if not isinstance(model, DenseNetwork):
            message = f"{specimen.architecture} has no logits"
            raise TypeError(message)
        model = calibrate_model(model, rows.take(np.arange(CALIBRATED_ON)))
        spoilt = _spoilt(model, specimen) if specimen.planted else model
        saturated = specimen.defect == SATURATED
        parts = (
            spoilt.logit_parts()
            if saturated and isinstance(spoilt, DenseNetwork)
            else spoilt.parts()
        )
        papers = SpecimenFiles(
            parts.onnx(),
            people.classes,
            {"evaluation": rows.take(np.arange(CALIBRATED_ON, len(rows)))},
            (BOUNDED,) if saturated else RULES,
            {"evaluation": {"groups": [SEX, RACE], "slices": [BRANCH]}},
        )
        only: tuple[str, ...] = ("quality.calibration", "fairness.calibration")
        if saturated:
            only = ("quality.accuracy",)
        return SpecimenRun(papers.write(specimen, folder), MEANT[specimen.defect], only)


def _spoilt(model: DenseNetwork, specimen: Specimen) -> TrainedModel:
    strength = specimen.strength or 1.0
    match specimen.defect:
        case "group":
            return bias_people_model(model, "group", strength)
        case "under":
            return model.sharper(1 / strength)
        case _:
            return model.sharper(strength)


def calibrate_model(model: DenseNetwork, rows: SampleRows) -> DenseNetwork:
    """Return the model at the temperature under which the rows are likeliest."""
    losses = []
    for factor in SHARPNESS:
        stated = model.sharper(float(factor)).scores(rows.inputs)
        losses.append(-np.mean(np.log(stated[np.arange(len(rows)), rows.labels] + 1e-12)))
    return model.sharper(float(SHARPNESS[int(np.argmin(losses))]))


FAMILY: SpecimenFamily = CalibrationFamily()
