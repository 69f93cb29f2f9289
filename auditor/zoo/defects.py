"""Families as tables: each defect with its architectures and strengths, and what plants it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.zoo.grids import pairs
from auditor.zoo.specimens import Scale, Specimen, Trial


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind of defect, and what makes a specimen of it, planted or clean.

    A quick selftest visits the first strength by one seed, in the architectures of ``quick``.
    """

    name: str
    plant: Callable[[Specimen, Path], Trial]
    architectures: tuple[str, ...]
    quick: tuple[str, ...] = ()
    strengths: tuple[float | None, ...] = (None,)
    seeds: int = 2

    def specimens(self, family: str, scale: Scale) -> Sequence[Specimen]:
        """Return planted ones, and as many clean twins."""
        kinds = [(self.name, strength) for strength in self.strengths]
        if scale is Scale.QUICK:
            return pairs(family, kinds[:1], self.quick, [1])
        return pairs(family, kinds, self.architectures, range(1, self.seeds + 1))


@dataclass(frozen=True, slots=True)
class DefectFamily:
    """A family that is all that its defects name."""

    name: str
    title: str
    packages: tuple[str, ...]
    defects: tuple[Defect, ...]

    def specimens(self, scale: Scale) -> Sequence[Specimen]:
        """Return planted ones and as many clean twins, several seeds and architectures."""
        return [one for defect in self.defects for one in defect.specimens(self.name, scale)]

    def write(self, specimen: Specimen, folder: Path) -> Trial:
        """Make a specimen in an empty folder. Raises ``KeyError`` for another family's defect."""
        planters = {defect.name: defect.plant for defect in self.defects}
        return planters[specimen.defect](specimen, folder)
