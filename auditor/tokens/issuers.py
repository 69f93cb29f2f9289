"""Which identity providers a service believes, and what their tokens may do in which project."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field

from auditor.documents import Strict, read_document, validate
from auditor.domain.api_keys import Role
from auditor.domain.canonical import Json
from auditor.errors import UsageError

MOST_BYTES = 2**20
HOUR, DAY = 3600, 24 * 3600
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Claim = Text | bool | int


class Algorithm(StrEnum):
    """How a token may be signed: by a key of which nobody but its issuer has the private half."""

    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"
    ED25519 = "Ed25519"


@dataclass(frozen=True, slots=True)
class Grant:
    """Tokens that say exactly this may do so much in one project."""

    claims: Mapping[str, Json]
    project: str
    role: Role

    def fits(self, claims: Mapping[str, Json]) -> bool:
        """Whether a token says all of it; of a list in a token one item is enough."""
        return all(_says(claims.get(name), wanted) for name, wanted in self.claims.items())


@dataclass(frozen=True, slots=True)
class Issuer:
    """An identity provider: its name, for whom its tokens must be, and where its keys are.

    ``keys`` is an address, or the path of a file; no token of it holds longer than ``longest``
    seconds.
    """

    name: str
    audience: str
    keys: str
    algorithms: frozenset[Algorithm]
    grants: tuple[Grant, ...]
    longest: int = DAY

    def grant(self, claims: Mapping[str, Json]) -> Grant | None:
        """Return the first grant that a token fits."""
        return next((item for item in self.grants if item.fits(claims)), None)


class _Grant(Strict):
    claims: Annotated[dict[Text, Claim], Field(min_length=1)]
    project: Text
    role: Role


class _Issuer(Strict):
    issuer: Text
    audience: Text
    jwks: Text
    algorithms: Annotated[list[Algorithm], Field(min_length=1)]
    grants: Annotated[list[_Grant], Field(min_length=1)]
    longest_hours: Annotated[int, Field(ge=1, le=8784)] = DAY // HOUR


class _Issuers(Strict):
    issuers: Annotated[list[_Issuer], Field(min_length=1)]


def read_issuers(path: Path) -> tuple[Issuer, ...]:
    """Read a file of identity providers. Raises ``UsageError`` with the line of a mistake."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", cure="Name a file of identity providers."
        ) from None
    document = read_document(raw, path.name, UsageError)
    found = validate(document, _Issuers, UsageError)
    issuers = tuple(_issuer(item, path) for item in found.issuers)
    names = [item.name for item in issuers]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{path.name} names the issuer {name} twice", cure="Name it once.")
    return issuers


def _issuer(said: _Issuer, path: Path) -> Issuer:
    keys = said.jwks
    if "://" not in keys:
        keys = str(path.parent / keys)
    elif not is_safe(keys):
        raise UsageError(
            f"{path.name}: the keys of {said.issuer} would come from {keys}, where anybody on the "
            "way could change them",
            cure="Write an address that begins with https://, or a file's path.",
        )
    if Role.AGENT in {item.role for item in said.grants}:
        raise UsageError(
            f"{path.name}: a grant of {said.issuer} has the role agent, which no token has",
            cure="Enrol an agent, which makes its key: POST /v1/agents.",
        )
    grants = tuple(Grant(dict(item.claims), item.project, item.role) for item in said.grants)
    return Issuer(
        said.issuer,
        said.audience,
        keys,
        frozenset(said.algorithms),
        grants,
        said.longest_hours * HOUR,
    )


def is_safe(url: str) -> bool:
    """Whether keys may be fetched from an address: by TLS, or on this machine."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        return bool(parts.hostname)
    try:
        return parts.scheme == "http" and ip_address(parts.hostname or "").is_loopback
    except ValueError:
        return False


def _says(claim: Json, wanted: Json) -> bool:
    if isinstance(claim, list):
        return any(_same(item, wanted) for item in claim)
    return _same(claim, wanted)


def _same(claim: Json, wanted: Json) -> bool:
    return type(claim) is type(wanted) and claim == wanted
