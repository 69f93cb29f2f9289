"""Catalogues of published controls: pinned data that rules may cite."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal, TypeAlias

from pydantic import AfterValidator, Field, StrictBool, StrictStr
from pydantic_core import PydanticCustomError

from auditor._yaml import StrictModel, read_yaml_document, validate_document
from auditor.domain.json import compute_digest
from auditor.domain.policies import UNREAD
from auditor.domain.text_limits import MOST_TEXT
from auditor.errors import PolicyError

SUBFOLDER = "catalogues"


def _day(text: str) -> str:
    if text != UNREAD:
        try:
            date.fromisoformat(text)
        except ValueError:
            raise PydanticCustomError("day", "there is no such day") from None
    return text


Day: TypeAlias = Annotated[StrictStr, Field(pattern=r"^\d{4}-\d{2}-\d{2}$"), AfterValidator(_day)]
Verified: TypeAlias = Annotated[
    StrictStr, Field(pattern=r"^(unread|\d{4}-\d{2}-\d{2})$"), AfterValidator(_day)
]


@dataclass(frozen=True, slots=True)
class FrameworkCatalogue:
    """The controls of one framework in one version, by reference, with their titles.

    ``source`` says where the framework is published, ``verified`` the day on which the titles
    were last compared with what they name (``unread`` where nobody did), ``review_by`` until
    when that holds, ``unread`` which controls were listed without their text, ``digest`` which
    bytes it was read from. ``other_editions`` are references that this edition does not have and
    policies of other days cite, with what became of them.
    """

    framework: str
    title: str
    version: str
    source: str
    verified: str
    controls: Mapping[str, str]
    digest: str
    review_by: str = ""
    unread: frozenset[str] = field(default=frozenset())
    other_editions: Mapping[str, str] = field(default_factory=dict)


class _CatalogueMetadataSchema(StrictModel):
    framework: StrictStr
    title: StrictStr
    version: StrictStr
    source: StrictStr
    verified: Verified
    review_by: Day | None = None
    note: Annotated[StrictStr, Field(max_length=MOST_TEXT)] = ""
    complete: StrictBool = False
    unread: list[StrictStr] = Field(default_factory=list)


class _CatalogueSchema(StrictModel):
    apiVersion: Literal["auditor/v1"]  # noqa: N815 -- the contract's spelling
    kind: Literal["Catalogue"]
    metadata: _CatalogueMetadataSchema
    controls: Annotated[
        dict[str, Annotated[StrictStr, Field(max_length=MOST_TEXT)]], Field(min_length=1)
    ]
    other_editions: dict[str, StrictStr] = Field(default_factory=dict)


def load_catalogues(folder: Path) -> Mapping[str, FrameworkCatalogue]:
    """Read every catalogue that lies beside the packs in ``folder``, by framework.

    Raises ``PolicyError`` for a malformed one, and for a framework that two files describe.
    """
    found: dict[str, FrameworkCatalogue] = {}
    for path in sorted((folder / SUBFOLDER).glob("*.yaml")):
        catalogue = read_catalogue(path.read_bytes(), path.name)
        if catalogue.framework in found:
            raise PolicyError(
                f"{path.name} describes {catalogue.framework}, which another catalogue does",
                cure="Keep one catalogue a framework.",
            )
        found[catalogue.framework] = catalogue
    return found


@lru_cache(maxsize=64)
def read_catalogue(raw: bytes, source: str) -> FrameworkCatalogue:
    """Read one catalogue. Raises ``PolicyError`` with file and line."""
    shape = validate_document(
        read_yaml_document(raw, source, PolicyError), _CatalogueSchema, PolicyError
    )
    about = shape.metadata
    strangers = [ref for ref in about.unread if ref not in shape.controls]
    if strangers:
        raise PolicyError(
            f"{source}: unread names {', '.join(strangers)}, which the catalogue does not list",
            cure="Name only controls that it lists.",
        )
    return FrameworkCatalogue(
        about.framework,
        about.title,
        about.version,
        about.source,
        about.verified,
        shape.controls,
        compute_digest(raw),
        about.review_by or "",
        frozenset(about.unread),
        shape.other_editions,
    )
