"""Planted label errors."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.selftest.datasets import PACKAGES, SampleRows, load_split
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
    # The share is doubted on both sides, so that no bound on it can fail: a condition can.
    build_deny_rule(
        "labels-right",
        "data.labels/noise_share",
        "At most one label in twenty is wrong, as far as can be estimated",
        require="reading.low <= 0.05",
    ),
)

STRENGTHS: Mapping[str, Sequence[float]] = {"noise": (0.06, 0.08, 0.1, 0.15)}


@dataclass(frozen=True, slots=True)
class LabelsFamily:
    """A share of the evaluation labels is exchanged for another class, drawn at random."""

    name: str = "labels"
    title: str = "labels of the evaluation data that are wrong"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return noise of one label in seven; all sources and architectures in full."""
        noise = [("noise", 0.15)]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(
                self.name, noise, ["digits-logistic", "digits-forest"], [1, 2]
            )
        kinds = [f"{s}-{k}" for s in ("digits", "cancer") for k in ("logistic", "mlp", "forest")]
        return build_specimen_pairs(self.name, noise, kinds, range(1, 5))

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train on right labels, and judge by rows of which some have wrong ones."""
        source, architecture = specimen.architecture.split("-")
        sample = load_split(source, specimen.seed)
        model = train_model(
            architecture, sample.training.inputs, sample.training.labels, specimen.seed
        )
        rows = sample.evaluation
        if specimen.planted and specimen.strength is not None:
            rows = flip_some_labels(rows, len(sample.classes), specimen.strength, specimen.seed)
        papers = SpecimenFiles(model.parts().onnx(), sample.classes, {"evaluation": rows}, RULES)
        return SpecimenRun(papers.write(specimen, folder), ("labels-right",), ("data.labels",))


def flip_some_labels(rows: SampleRows, classes: int, share: float, seed: int) -> SampleRows:
    """Give a share of the rows another label."""
    random = np.random.default_rng([seed, 101])
    chosen = random.permutation(len(rows))[: round(share * len(rows))]
    labels = rows.labels.copy()
    labels[chosen] = (labels[chosen] + random.integers(1, classes, len(chosen))) % classes
    return rows.labelled(labels)


FAMILY: SpecimenFamily = LabelsFamily()
