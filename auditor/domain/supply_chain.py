"""Supply-chain inputs of an audit, and the documents that describe them."""

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.artifacts import FileDigest
from auditor.domain.digests import Digest
from auditor.domain.json import write_fields


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

    to_json = write_fields


def list_supply_items(
    part: SupplyPart, files: tuple[FileDigest, ...], whole: str
) -> tuple[SupplyItem, ...]:
    """Return the files of one part, and their one digest (``sha256:...``) together."""
    each = tuple(SupplyItem(part, item.name, item.sha256) for item in files)
    return (*each, SupplyItem(part, "", Digest(whole).hex))


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
