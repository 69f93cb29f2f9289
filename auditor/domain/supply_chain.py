"""What an audit was given, part by part, and the documents that speak of such parts."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import cast

from auditor.domain.artifacts import FileDigest
from auditor.domain.json import Json

PREFIX = "sha256:"


class SupplyPart(StrEnum):
    """What a file is to the model. The datasets bear the names of their roles."""

    MODEL = "model"
    BASE_MODEL = "base_model"
    CODE = "code"
    TRAINING = "training"
    EVALUATION = "evaluation"
    REFERENCE = "reference"
    PRODUCTION = "production"


DATASETS = frozenset(
    {SupplyPart.TRAINING, SupplyPart.EVALUATION, SupplyPart.REFERENCE, SupplyPart.PRODUCTION}
)


@dataclass(frozen=True, slots=True)
class SupplyItem:
    """One thing that the audit had in its hands: what it is, its name, its hexadecimal SHA-256.

    ``name`` is empty for the one digest of several files together.
    """

    part: SupplyPart
    name: str
    sha256: str

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form."""
        return {"part": self.part.value, "name": self.name, "sha256": self.sha256}


def read_supply_item(said: Mapping[str, Json]) -> SupplyItem:
    """Return a given thing from its evidence form."""
    told = cast("Mapping[str, str]", said)
    return SupplyItem(SupplyPart(told["part"]), told["name"], told["sha256"])


def list_supply_items(
    part: SupplyPart, files: tuple[FileDigest, ...], whole: str
) -> tuple[SupplyItem, ...]:
    """Return the files of one part, and their one digest (``sha256:...``) together."""
    each = tuple(SupplyItem(part, item.name, item.sha256) for item in files)
    return (*each, SupplyItem(part, "", whole.removeprefix(PREFIX)))


@dataclass(frozen=True, slots=True)
class SupplyDocument:
    """A document that came with the model; ``raw`` is ``None`` for one too large to be read."""

    file: FileDigest
    raw: bytes | None


@dataclass(frozen=True, slots=True)
class ModelSupply:
    """The documents that came with a model, and all that was given that they may speak of."""

    documents: tuple[SupplyDocument, ...] = ()
    given: tuple[SupplyItem, ...] = ()
