"""What owners declare beside an audit: the system, and its risks."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.canonical import Json, canonical, digest_json
from auditor.domain.risks import Risk
from auditor.domain.systems import System


@dataclass(frozen=True, slots=True)
class SystemPaper:
    """A system file as parsed: the document, over which the digest is taken, and what it says."""

    document: Mapping[str, Json]
    system: System


@dataclass(frozen=True, slots=True)
class RisksPaper:
    """A file of risks as parsed: the document, over which the digest is taken, and what it says."""

    document: Mapping[str, Json]
    risks: tuple[Risk, ...]


@dataclass(frozen=True, slots=True)
class Dossier:
    """What was declared beside an audit, if anything."""

    system: SystemPaper | None = None
    risks: RisksPaper | None = None

    @property
    def digests(self) -> tuple[str | None, str | None]:
        """The digests of both documents, by which a request names them."""
        both = (self.system, self.risks)
        first, second = (None if item is None else digest_json(item.document) for item in both)
        return first, second

    @property
    def blobs(self) -> tuple[bytes, ...]:
        """The canonical bytes of the documents that are there."""
        both = (self.system, self.risks)
        return tuple(canonical(item.document) for item in both if item is not None)


NOTHING = Dossier()
"""What is declared where neither file is named."""
