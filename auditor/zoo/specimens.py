"""What a selftest audits: models with a planted defect, and their clean twins."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Protocol


class Scale(StrEnum):
    """How much of the zoo a selftest visits."""

    QUICK = "quick"
    FULL = "full"
    CURVE = "curve"


@dataclass(frozen=True, slots=True)
class Specimen:
    """A model with its data: one planted defect, or the clean twin that was made the same way.

    A clean twin carries the defect that its sibling has and it has not. The same specimen is the
    same bytes, wherever it is made with the same packages.
    """

    family: str
    defect: str
    architecture: str
    seed: int
    planted: bool
    strength: float | None = None

    @property
    def name(self) -> str:
        """A word that names it among all, fit for a folder."""
        strength = "" if self.strength is None else f"-{self.strength:g}"
        kind = "planted" if self.planted else "clean"
        return f"{self.family}-{self.defect}{strength}-{self.architecture}-{self.seed}-{kind}"


@dataclass(frozen=True, slots=True)
class Trial:
    """A specimen as files: an audit file whose policy denies what the family plants.

    The defect is found when one of ``rules`` fails; a clean twin is falsely alarmed when any
    denying rule of the policy fails. ``only`` restricts the audit to the checks that are needed.
    """

    audit: Path
    rules: tuple[str, ...]
    only: tuple[str, ...] = ()


Deed = tuple[str, ...] | Callable[[Path, Path], None]
"""What somebody does in a specimen's folder: the arguments of a command, or a change of files, told
that folder and the home in which the keys of the audits lie.
"""


@dataclass(frozen=True, slots=True)
class ActTrial:
    """A specimen as files, and what somebody does with them so as to be believed.

    ``before`` is done first; its commands may end with any verdict. The defect is found when the
    command ``asked`` ends with ``code`` and says every one of ``words``, white space apart; a clean
    twin, of which the same is asked, is falsely alarmed unless that ends with 0.
    """

    before: tuple[Deed, ...]
    asked: tuple[str, ...]
    code: int
    words: tuple[str, ...]


class Family(Protocol):
    """Defects of one kind: how they are planted, and which rules or commands have to see them."""

    @property
    def name(self) -> str:
        """The word of ``--family``."""

    @property
    def title(self) -> str:
        """What is planted, in a sentence."""

    @property
    def packages(self) -> tuple[str, ...]:
        """The modules that making it needs, beyond what auditor itself needs."""

    def specimens(self, scale: Scale) -> Sequence[Specimen]:
        """Return planted ones and as many clean twins, several seeds and architectures."""

    def write(self, specimen: Specimen, folder: Path) -> Trial | ActTrial:
        """Make a specimen in an empty folder."""
