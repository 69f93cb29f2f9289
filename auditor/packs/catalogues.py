"""Catalogues of published controls: pinned data that rules may cite."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, StrictStr

from auditor.documents import Strict, read_document, validate
from auditor.domain.canonical import digest
from auditor.errors import PolicyError

SUBFOLDER = "catalogues"


@dataclass(frozen=True, slots=True)
class Catalogue:
    """The controls of one framework in one version, by reference, with their titles.

    ``source`` says where the titles were read, ``verified`` the day on which that was done,
    ``digest`` which bytes it was read from.
    """

    framework: str
    title: str
    version: str
    source: str
    verified: str
    controls: Mapping[str, str]
    digest: str


class _MetadataShape(Strict):
    framework: StrictStr
    title: StrictStr
    version: StrictStr
    source: StrictStr
    verified: Annotated[StrictStr, Field(pattern=r"^\d{4}-\d{2}(-\d{2})?$")]
    note: StrictStr = ""


class _CatalogueShape(Strict):
    apiVersion: Literal["auditor/v1"]  # noqa: N815 -- the contract's spelling
    kind: Literal["Catalogue"]
    metadata: _MetadataShape
    controls: Annotated[dict[str, StrictStr], Field(min_length=1)]


def load_catalogues(folder: Path) -> Mapping[str, Catalogue]:
    """Read every catalogue that lies beside the packs in ``folder``, by framework.

    Raises ``PolicyError`` for a malformed one, and for a framework that two files describe.
    """
    found: dict[str, Catalogue] = {}
    for path in sorted((folder / SUBFOLDER).glob("*.yaml")):
        catalogue = read_catalogue(path.read_bytes(), path.name)
        if catalogue.framework in found:
            raise PolicyError(
                f"{path.name} describes {catalogue.framework}, which another catalogue does",
                cure="Keep one catalogue a framework.",
            )
        found[catalogue.framework] = catalogue
    return found


def read_catalogue(raw: bytes, source: str) -> Catalogue:
    """Read one catalogue. Raises ``PolicyError`` with file and line."""
    shape = validate(read_document(raw, source, PolicyError), _CatalogueShape, PolicyError)
    about = shape.metadata
    return Catalogue(
        about.framework,
        about.title,
        about.version,
        about.source,
        about.verified,
        shape.controls,
        digest(raw),
    )
