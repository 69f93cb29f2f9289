"""Labels that somebody got wrong."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.zoo.grids import pairs
from auditor.zoo.learners import learnt
from auditor.zoo.papers import Papers, rule
from auditor.zoo.samples import PACKAGES, Rows, divided
from auditor.zoo.specimens import Family, Scale, Specimen, Trial

RULES = (
    # The share is doubted on both sides, so that no bound on it can fail: a condition can.
    rule(
        "labels-right",
        "data.labels/noise_share",
        "At most one label in twenty is wrong, as far as can be estimated",
        require="reading.low <= 0.05",
    ),
)

STRENGTHS: Mapping[str, Sequence[float]] = {"noise": (0.06, 0.08, 0.1, 0.15)}


@dataclass(frozen=True, slots=True)
class Labels:
    """A share of the evaluation labels is exchanged for another class, drawn at random."""

    name: str = "labels"
    title: str = "labels of the evaluation data that are wrong"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: Scale) -> Sequence[Specimen]:
        """Return noise of one label in seven; all sources and architectures in full."""
        noise = [("noise", 0.15)]
        if scale is Scale.QUICK:
            return pairs(self.name, noise, ["digits-logistic", "digits-forest"], [1, 2])
        kinds = [f"{s}-{k}" for s in ("digits", "cancer") for k in ("logistic", "mlp", "forest")]
        return pairs(self.name, noise, kinds, range(1, 5))

    def write(self, specimen: Specimen, folder: Path) -> Trial:
        """Train on right labels, and judge by rows of which some have wrong ones."""
        source, architecture = specimen.architecture.split("-")
        sample = divided(source, specimen.seed)
        model = learnt(architecture, sample.training.inputs, sample.training.labels, specimen.seed)
        rows = sample.evaluation
        if specimen.planted and specimen.strength is not None:
            rows = noisy(rows, len(sample.classes), specimen.strength, specimen.seed)
        papers = Papers(model.parts().onnx(), sample.classes, {"evaluation": rows}, RULES)
        return Trial(papers.write(specimen, folder), ("labels-right",), ("data.labels",))


def noisy(rows: Rows, classes: int, share: float, seed: int) -> Rows:
    """Give a share of the rows another label."""
    random = np.random.default_rng([seed, 101])
    chosen = random.permutation(len(rows))[: round(share * len(rows))]
    labels = rows.labels.copy()
    labels[chosen] = (labels[chosen] + random.integers(1, classes, len(chosen))) % classes
    return rows.labelled(labels)


FAMILY: Family = Labels()
