"""Planted duplicates: rows of the evaluation data that stand there twice."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from auditor.selftest.datasets import (
    PACKAGES,
    copy_rows,
    edit_rows,
    load_split,
    mislabel_rows,
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
        "rows-once", "data.duplicates/exact_share", "Hardly a row stands there twice", at_most=0.01
    ),
    build_deny_rule(
        "rows-hardly-alike",
        "data.duplicates/near_share",
        "Hardly a row nearly repeats another",
        at_most=0.02,
        accept="withstood",
    ),
    build_deny_rule(
        "labels-agree",
        "data.duplicates/conflicting_share",
        "Hardly a row stands there with two labels",
        at_most=0.01,
    ),
)
MEANT = {"exact": "rows-once", "near": "rows-hardly-alike", "conflicting": "labels-agree"}
SHARE = 0.05

STRENGTHS: Mapping[str, Sequence[float]] = dict.fromkeys(("exact", "near"), (0.02, 0.03, 0.05))


@dataclass(frozen=True, slots=True)
class DuplicatesFamily:
    """One evaluation row in twenty is another one: as it is, edited, or with another label."""

    name: str = "duplicates"
    title: str = "evaluation rows that stand there twice"
    packages: tuple[str, ...] = PACKAGES

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return STRENGTHS

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        """Return equal rows, nearly equal ones, and equal ones whose labels contradict."""
        defects = [(name, SHARE) for name in MEANT]
        if scale is SelftestScale.QUICK:
            return build_specimen_pairs(self.name, defects, ["cancer-logistic"], [1, 2])
        kinds = [
            f"{source}-{kind}" for source in ("cancer", "digits") for kind in ("mlp", "forest")
        ]
        return build_specimen_pairs(self.name, defects, kinds, range(1, 4))

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun:
        """Train, and put copies among the rows that judge."""
        source, architecture = specimen.architecture.split("-")
        sample = load_split(source, specimen.seed)
        learn = sample.training
        model = train_model(architecture, learn.inputs, learn.labels, specimen.seed)
        rows = sample.evaluation
        if specimen.planted:
            # Let copies of the rows before stand in the place of the last ones
            count = round((specimen.strength or 0.0) * len(rows))
            kept = rows.take(np.arange(len(rows) - count))
            again = copy_rows(kept, count, specimen.seed)
            match specimen.defect:
                case "near":
                    again = edit_rows(again, specimen.seed)
                case "conflicting":
                    again = mislabel_rows(again, len(sample.classes))
            rows = kept.joined(again)
        papers = SpecimenFiles(model.parts().onnx(), sample.classes, {"evaluation": rows}, RULES)
        return SpecimenRun(
            papers.write(specimen, folder), (MEANT[specimen.defect],), ("data.duplicates",)
        )


FAMILY: SpecimenFamily = DuplicatesFamily()
