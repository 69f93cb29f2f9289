"""Owners who promise more than the model keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.zoo.grids import pairs
from auditor.zoo.learners import learnt
from auditor.zoo.papers import Papers, rule
from auditor.zoo.samples import PACKAGES, divided
from auditor.zoo.specimens import Family, Scale, Specimen, Trial

RULES = (
    rule(
        "as-good-as-claimed",
        "quality.claims/overclaim",
        "It is as good as its owner says, but for rounding",
        at_most=0.02,
    ),
)

STRENGTHS: Mapping[str, Sequence[float]] = {"accuracy": (0.03, 0.05, 0.06)}


@dataclass(frozen=True, slots=True)
class Claims:
    """An accuracy is claimed that is so much higher than what was measured on other rows."""

    name: str = "claims"
    title: str = "an accuracy that is claimed and not there"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: Scale) -> Sequence[Specimen]:
        """Return a claim that leaves out half of the errors and more."""
        wrong = [("accuracy", 0.08)]
        if scale is Scale.QUICK:
            return pairs(self.name, wrong, ["digits-logistic", "digits-forest"], [1, 2])
        kinds = [f"digits-{kind}" for kind in ("logistic", "mlp", "forest")]
        return pairs(self.name, wrong, kinds, range(1, 8))

    def write(self, specimen: Specimen, folder: Path) -> Trial:
        """Train on few rows, measure on half of the others, and claim that or more."""
        source, architecture = specimen.architecture.split("-")
        sample = divided(source, specimen.seed, learn=0.08)
        learn, rows = sample.training, sample.evaluation
        model = learnt(architecture, learn.inputs, learn.labels, specimen.seed)
        own = rows.take(np.arange(len(rows) // 3))
        measured = float(np.mean(model.scores(own.inputs).argmax(axis=1) == own.labels))
        more = specimen.strength or 0.0
        claimed = min(0.999, measured + more) if specimen.planted else measured
        papers = Papers(
            model.parts().onnx(),
            sample.classes,
            {"evaluation": rows.take(np.arange(len(own), len(rows)))},
            RULES,
            more={"claims": {"accuracy": round(claimed, 3)}},
        )
        return Trial(papers.write(specimen, folder), ("as-good-as-claimed",), ("quality.claims",))


FAMILY: Family = Claims()
