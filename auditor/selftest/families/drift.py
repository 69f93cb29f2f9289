"""Planted drift: production data that differ from the data that the model was judged by."""

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
        "same-inputs",
        "data.drift/largest_distance",
        "No column has moved by more than a fifth of its mass",
        at_most=0.2,
    ),
    # The alarm is doubted, since silence proves nothing: a condition can fail on it.
    build_deny_rule(
        "no-decay",
        "data.decay/alarm",
        "It is not proven to be worse than before",
        require="!reading.value",
    ),
)
MEANT = {"inputs": ("same-inputs",), "concept": ("no-decay",)}
MOVED = 0.25
"""The share of columns whose sensor fails."""

STRENGTHS: Mapping[str, Sequence[float]] = {"inputs": (0.2, 0.3, 0.4), "concept": (0.05, 0.1, 0.2)}


@dataclass(frozen=True, slots=True)
class DriftFamily:
    """Sensors that lose half of their gain; or truths that are now called otherwise."""

    name: str = "drift"
    title: str = "production whose inputs have moved, or whose truth has"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return both; a strength is the gain that is lost, or the share of rows called anew."""
        defects = [("inputs", 0.5), ("concept", 0.3)]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(
                self.name, defects, ["digits-logistic", "digits-forest"], [1]
            )
        kinds = [f"digits-{kind}" for kind in ("logistic", "mlp", "forest")]
        return build_specimen_pairs(self.name, defects, kinds, range(1, 5))

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train; half of the other rows are those of before, half are production."""
        source, architecture = specimen.architecture.split("-")
        sample = load_split(source, specimen.seed)
        learn = sample.training
        model = train_model(architecture, learn.inputs, learn.labels, specimen.seed)
        half = len(sample.evaluation) // 2
        before = sample.evaluation.take(np.arange(half))
        now = sample.evaluation.take(np.arange(half, len(sample.evaluation)))
        if specimen.planted:
            random = np.random.default_rng([specimen.seed, 503])
            strength = specimen.strength or 0.0
            if specimen.defect == "concept":
                called = random.random(len(now)) < strength
                now = now.labelled(
                    np.where(called, (now.labels + 1) % len(sample.classes), now.labels)
                )
            else:
                width = now.inputs.shape[1]
                # The weakest pixels are always dark, so that a sensor there would fail unseen.
                bright = np.argsort(-now.inputs.mean(axis=0), kind="stable")[: width // 2]
                failing = random.permutation(bright)[: round(MOVED * width)]
                inputs = now.inputs.copy()
                inputs[:, failing] *= 1 - strength
                now = now.moved(inputs)
        data = {"evaluation": before, "reference": before, "production": now}
        papers = SpecimenFiles(model.parts().onnx(), sample.classes, data, RULES)
        only = ("data.drift", "data.decay")
        return SpecimenRun(papers.write(specimen, folder), MEANT[specimen.defect], only)


FAMILY: SpecimenFamily = DriftFamily()
