"""What an audit was given, part by part, and the documents that speak of such parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from auditor.domain.artifacts import FileDigest
from auditor.domain.canonical import Json

PREFIX = "sha256:"


class Part(StrEnum):
    """What a file is to the model. The datasets bear the names of their roles."""

    MODEL = "model"
    BASE_MODEL = "base_model"
    CODE = "code"
    TRAINING = "training"
    EVALUATION = "evaluation"
    REFERENCE = "reference"
    PRODUCTION = "production"


DATASETS = frozenset({Part.TRAINING, Part.EVALUATION, Part.REFERENCE, Part.PRODUCTION})


@dataclass(frozen=True, slots=True)
class Given:
    """One thing that the audit had in its hands: what it is, its name, its hexadecimal SHA-256.

    ``name`` is empty for the one digest of several files together.
    """

    part: Part
    name: str
    sha256: str

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form."""
        return {"part": self.part.value, "name": self.name, "sha256": self.sha256}


def read_given(said: Mapping[str, Json]) -> Given:
    """Return a given thing from its evidence form."""
    told = cast("Mapping[str, str]", said)
    return Given(Part(told["part"]), told["name"], told["sha256"])


def given_files(part: Part, files: tuple[FileDigest, ...], whole: str) -> tuple[Given, ...]:
    """Return the files of one part, and their one digest (``sha256:...``) together."""
    each = tuple(Given(part, item.name, item.sha256) for item in files)
    return (*each, Given(part, "", whole.removeprefix(PREFIX)))


@dataclass(frozen=True, slots=True)
class SupplyDocument:
    """A document that came with the model; ``raw`` is ``None`` for one too large to be read."""

    file: FileDigest
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class Supply:
    """The documents that came with a model, and all that was given that they may speak of."""

    documents: tuple[SupplyDocument, ...] = ()
    given: tuple[Given, ...] = ()
