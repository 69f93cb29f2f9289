"""A family of the smallest specimens: a line that is right, or whose decisions are turned around;
and a policy that was loosened after people had agreed on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from small_audits import POLICY, linear_model, write_example

from auditor.selftest.scale import SelftestScale
from auditor.selftest.specimens import DeceptionRun, Specimen, SpecimenFamily, SpecimenRun

LOOSENED = ("policies", "diff", "policy.yaml", "later.yaml")


@dataclass(frozen=True, slots=True)
class Toys:
    """``harmless`` plants what no rule sees, ``broken`` what cannot be audited; and the audits of
    ``unread`` run another check than the one that its rule is about.
    """

    name: str = "toys"
    title: str = "lines that are wrong"
    packages: tuple[str, ...] = ()
    defects: tuple[str, ...] = ("turned", "loosened")
    twins: bool = True

    def specimens(self, scale: SelftestScale) -> Sequence[Specimen]:
        seeds = [1] if scale is SelftestScale.QUICK else [1, 2]
        return [
            Specimen(self.name, defect, "line", seed, planted)
            for defect in self.defects
            for seed in seeds
            for planted in (True, False)[: 1 + self.twins]
        ]

    def write(self, specimen: Specimen, folder: Path) -> SpecimenRun | DeceptionRun:
        write_example(folder)
        planted = specimen.defect if specimen.planted else ""
        if specimen.defect == "loosened":
            later = POLICY.replace("0.6", "0.5") if planted else POLICY
            (folder / "later.yaml").write_text(later)
            return DeceptionRun((remember,), LOOSENED, 1, ("accuracy",))
        if planted == "turned":
            linear_model(folder / "model.onnx", [-6.0, -4.0, 0.0], 5.0)
        if planted == "broken":
            (folder / "model.onnx").write_bytes(b"no model")
        if planted == "unmakeable":
            message = "the recipe is lost"
            raise RuntimeError(message)
        check = "data.duplicates" if specimen.defect == "unread" else "quality.accuracy"
        return SpecimenRun(folder / "audit.yaml", ("accuracy",), (check,))


def remember(folder: Path, home: Path) -> None:
    """A deed that changes a file, and is told where the keys lie."""
    (folder / "home.txt").write_text(str(home))


FAMILY: SpecimenFamily = Toys()
