"""Families as tables: each defect with its architectures and strengths, and what plants it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.zoo.grids import pairs
from auditor.zoo.specimens import ActTrial, Scale, Specimen, Trial


@dataclass(frozen=True, slots=True)
class Defect:
    """One kind of defect, and what makes a specimen of it, planted or clean.

    A quick selftest visits the first strength by one seed, in the architectures of ``quick``;
    ``curve`` are the strengths at which it is looked where the defect begins to be found.
    """

    name: str
    plant: Callable[[Specimen, Path], Trial | ActTrial]
    architectures: tuple[str, ...]
    quick: tuple[str, ...] = ()
    strengths: tuple[float | None, ...] = (None,)
    seeds: int = 2
    curve: tuple[float, ...] = ()

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

    @property
    def strengths(self) -> Mapping[str, Sequence[float]]:
        """Return what its defects are tried at, from weak to strong."""
        return {defect.name: defect.curve for defect in self.defects if defect.curve}

    def specimens(self, scale: Scale) -> Sequence[Specimen]:
        """Return planted ones and as many clean twins, several seeds and architectures."""
        return [one for defect in self.defects for one in defect.specimens(self.name, scale)]

    def write(self, specimen: Specimen, folder: Path) -> Trial | ActTrial:
        """Make a specimen in an empty folder. Raises ``KeyError`` for another family's defect."""
        planters = {defect.name: defect.plant for defect in self.defects}
        return planters[specimen.defect](specimen, folder)
