"""Planted defects of claims: owners who promise more than the model keeps."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.selftest.datasets import PACKAGES, load_split
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
        "as-good-as-claimed",
        "quality.claims/overclaim",
        "It is as good as its owner says, but for rounding",
        at_most=0.02,
    ),
)

STRENGTHS: Mapping[str, Sequence[float]] = {"accuracy": (0.03, 0.05, 0.06)}


@dataclass(frozen=True, slots=True)
class ClaimsFamily:
    """An accuracy is claimed that is so much higher than what was measured on other rows."""

    name: str = "claims"
    title: str = "an accuracy that is claimed and not there"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return a claim that leaves out half of the errors and more."""
        wrong = [("accuracy", 0.08)]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(
                self.name, wrong, ["digits-logistic", "digits-forest"], [1, 2]
            )
        kinds = [f"digits-{kind}" for kind in ("logistic", "mlp", "forest")]
        return build_specimen_pairs(self.name, wrong, kinds, range(1, 8))

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train on few rows, measure on half of the others, and claim that or more."""
        source, architecture = specimen.architecture.split("-")
        sample = load_split(source, specimen.seed, learn=0.08)
        learn, rows = sample.training, sample.evaluation
        model = train_model(architecture, learn.inputs, learn.labels, specimen.seed)
        own = rows.take(np.arange(len(rows) // 3))
        measured = float(np.mean(model.scores(own.inputs).argmax(axis=1) == own.labels))
        more = specimen.strength or 0.0
        claimed = min(0.999, measured + more) if specimen.planted else measured
        papers = SpecimenFiles(
            model.parts().onnx(),
            sample.classes,
            {"evaluation": rows.take(np.arange(len(own), len(rows)))},
            RULES,
            more={"claims": {"accuracy": round(claimed, 3)}},
        )
        return SpecimenRun(
            papers.write(specimen, folder), ("as-good-as-claimed",), ("quality.claims",)
        )


FAMILY: SpecimenFamily = ClaimsFamily()
