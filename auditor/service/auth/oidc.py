"""OpenID Connect sign-on: trusted issuers, their public keys, and verification of caller tokens.

Issuer keys come from a file or from the address that the operator configured, and are cached.
"""

import base64
import hashlib
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key
from joserfc.jws import JWSRegistry
from joserfc.jwt import decode
from pydantic import Field

from auditor._http import request_bytes
from auditor._time import format_time
from auditor._yaml import StrictModel, read_yaml_document, validate_document
from auditor.domain.json import Json, parse_json
from auditor.errors import ForbiddenError, IssuerLostError, UnauthorizedError, UsageError
from auditor.service.domain.access import SIGN_ON, AccessRole, ApiKey

MOST_ISSUER_FILE_BYTES = 2**20
HOUR, DAY = 3600, 24 * 3600
Text = Annotated[str, Field(min_length=1, max_length=1000)]
Claim = Text | bool | int


class TokenAlgorithm(StrEnum):
    """How a token may be signed: by a key of which nobody but its issuer has the private half."""

    RS256 = "RS256"
    ES256 = "ES256"
    EDDSA = "EdDSA"
    ED25519 = "Ed25519"


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """Tokens that say exactly this may do so much in one project."""

    claims: Mapping[str, Json]
    project: str
    role: AccessRole

    def fits(self, claims: Mapping[str, Json]) -> bool:
        """Whether a token says all of it; of a list in a token one item is enough."""
        return all(_says(claims.get(name), wanted) for name, wanted in self.claims.items())


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """An identity provider: its name, for whom its tokens must be, and where its keys are.

    ``keys`` is an address, or the path of a file; no token of it holds longer than ``longest``
    seconds.
    """

    name: str
    audience: str
    keys: str
    algorithms: frozenset[TokenAlgorithm]
    grants: tuple[TokenGrant, ...]
    longest: int = DAY

    def grant(self, claims: Mapping[str, Json]) -> TokenGrant | None:
        """Return the first grant that a token fits."""
        return next((item for item in self.grants if item.fits(claims)), None)


class _GrantForm(StrictModel):
    claims: Annotated[dict[Text, Claim], Field(min_length=1)]
    project: Text
    role: AccessRole


class _IssuerForm(StrictModel):
    issuer: Text
    audience: Text
    jwks: Text
    algorithms: Annotated[list[TokenAlgorithm], Field(min_length=1)]
    grants: Annotated[list[_GrantForm], Field(min_length=1)]
    longest_hours: Annotated[int, Field(ge=1, le=8784)] = DAY // HOUR


class _IssuerListForm(StrictModel):
    issuers: Annotated[list[_IssuerForm], Field(min_length=1)]


def read_issuers(path: Path) -> tuple[TokenIssuer, ...]:
    """Read a file of identity providers. Raises ``UsageError`` with the line of a mistake."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_ISSUER_FILE_BYTES)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}", cure="Name a file of identity providers."
        ) from None
    document = read_yaml_document(raw, path.name, UsageError)
    found = validate_document(document, _IssuerListForm, UsageError)
    issuers = tuple(_issuer(item, path) for item in found.issuers)
    names = [item.name for item in issuers]
    for name in names:
        if names.count(name) > 1:
            raise UsageError(f"{path.name} names issuer {name} twice", cure="Name it once.")
    return issuers


def _issuer(said: _IssuerForm, path: Path) -> TokenIssuer:
    keys = said.jwks
    if "://" not in keys:
        keys = str(path.parent / keys)
    elif not is_safe_key_source(keys):
        raise UsageError(
            f"{path.name}: the keys of {said.issuer} come from {keys}, where others on "
            "the network can change them",
            cure="Use an address that starts with https://, or the path of a file.",
        )
    if AccessRole.AGENT in {item.role for item in said.grants}:
        raise UsageError(
            f"{path.name}: a grant of {said.issuer} has the role agent, which tokens cannot have",
            cure="Enrol an agent with POST /v1/agents, which creates its API key.",
        )
    grants = tuple(TokenGrant(dict(item.claims), item.project, item.role) for item in said.grants)
    return TokenIssuer(
        said.issuer,
        said.audience,
        keys,
        frozenset(said.algorithms),
        grants,
        said.longest_hours * HOUR,
    )


def is_safe_key_source(url: str) -> bool:
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


FRESH, AGAIN, STALE = 600.0, 60.0, 24 * 3600.0
"""Seconds that keys are taken as they are, that a fetch is not repeated within, and that keys hold
where their provider does not answer."""
LEAST_BITS = 2048
MOST_KEYS = 100
PRIVATE = frozenset({"d", "k", "p", "q"})
Key = RSAKey | ECKey | OKPKey
Keys = Mapping[tuple[str, TokenAlgorithm], Key]


@dataclass(slots=True)
class IssuerKeySet:
    """The keys of one provider, as ``fetch`` gave them last; ``tick`` counts seconds.

    A key that is not among them is looked for again, but not more than once a minute: whoever
    makes up names of keys does not make a service fetch.
    """

    name: str
    fetch: Callable[[], bytes]
    tick: Callable[[], float]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _keys: Keys = field(default_factory=dict)
    _got: float | None = None
    _asked: float | None = None

    def find(self, kid: str, algorithm: TokenAlgorithm) -> Key | None:
        """Return the key of that name, if it signs so. Raises ``IssuerLostError``."""
        found = self._keys.get((kid, algorithm))
        if found is None or self._older(self._got, FRESH):
            # Fetch the keys, unless that was tried just now, or another call does so meanwhile
            if self._lock.acquire(blocking=self._got is None):
                try:
                    if self._older(self._asked, AGAIN):
                        self._asked = self.tick()
                        self._keys = read_key_set(self.fetch())
                        self._got = self.tick()
                except (OSError, ValueError, RecursionError):
                    pass  # the keys at hand hold for a while; without any, ``find`` says so
                finally:
                    self._lock.release()
            found = self._keys.get((kid, algorithm))
        if self._older(self._got, STALE):
            raise IssuerLostError(
                f"the keys of {self.name} are not available now", cure="Try again later."
            )
        return found

    def _older(self, since: float | None, seconds: float) -> bool:
        return since is None or self.tick() - since > seconds


def read_key_set(raw: bytes) -> Keys:
    """Read a JWK set: its public keys by name and algorithm. Raises ``ValueError`` for none.

    Left out is what cannot verify what we take: keys for encryption, secrets, short RSA keys.
    """
    body = parse_json(raw)
    listed = body.get("keys") if isinstance(body, Mapping) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError("no JWK set")
    found: dict[tuple[str, TokenAlgorithm], Key] = {}
    for item in listed:
        if isinstance(item, dict) and item.get("use", "sig") == "sig" and not PRIVATE & set(item):
            found |= _key(item)
    return found


def _key(item: dict[str, Json]) -> dict[tuple[str, TokenAlgorithm], Key]:
    kid, algorithms = item.get("kid"), _algorithms(item)
    if not isinstance(kid, str) or not algorithms or _short(item):
        return {}
    try:
        key = import_key({name: said for name, said in item.items() if isinstance(said, str)})
    except (JoseError, ValueError, TypeError):
        return {}
    if not isinstance(key, RSAKey | ECKey | OKPKey):
        return {}
    return {(kid, algorithm): key for algorithm in algorithms}


def _short(item: dict[str, Json]) -> bool:
    """Whether an RSA key is too short to be believed: six bits a letter of its modulus."""
    return item["kty"] == "RSA" and len(str(item.get("n", ""))) * 6 < LEAST_BITS


def _algorithms(item: dict[str, Json]) -> tuple[TokenAlgorithm, ...]:
    """Return what a key of its type signs, less what it says itself that it does not."""
    signs: dict[tuple[Json, Json], tuple[TokenAlgorithm, ...]] = {
        ("RSA", None): (TokenAlgorithm.RS256,),
        ("EC", "P-256"): (TokenAlgorithm.ES256,),
        ("OKP", "Ed25519"): (TokenAlgorithm.EDDSA, TokenAlgorithm.ED25519),
    }
    kind, curve, said = item.get("kty"), item.get("crv"), item.get("alg")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return ()
    return tuple(one for one in signs.get((kind, curve), ()) if said in (None, one.value))


SKEW = 60
"""Seconds by which clocks may differ."""
MOST_TOKEN_BYTES = 16 * 2**10
LONGEST_SUBJECT = 500
PARTS = 3
CURE = "Get a new token with an issuer and an audience that this service accepts."


class _AlgorithmRegistry(JWSRegistry):
    """Lets in what we take, without the library's word on the older name of Ed25519."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 -- of a part that the library hides
        """Return an algorithm of ours, and no other."""
        if name not in list(TokenAlgorithm):
            raise UnsupportedAlgorithmError(f"{name[:20]!r} is not taken")
        return self.algorithms[name]


@dataclass(frozen=True, slots=True)
class TokenVerifier:
    """The identity providers that a service believes, each with its keys; ``now`` is POSIX time."""

    believed: Mapping[str, tuple[TokenIssuer, IssuerKeySet]]
    now: Callable[[], float]

    def caller_of(self, text: str) -> ApiKey:
        """Return whom a token speaks of, as a caller of the project that its grant names.

        Raises ``UnauthorizedError`` for a token that does not hold, ``ForbiddenError`` for one
        that nobody gave a project, and ``IssuerLostError`` where its issuer's keys cannot be had.
        """
        issuer, claims = self._verified(text)
        self._refuse_out_of_time(claims, issuer.longest)
        said = claims.get("aud")
        if issuer.audience not in (said if isinstance(said, list) else [said]):
            raise UnauthorizedError("the token is not for this service", cure=CURE)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise UnauthorizedError("the token has no valid subject", cure=CURE)
        grant = issuer.grant(claims)
        if grant is None:
            raise ForbiddenError(
                "the token is valid, but no grant matches its claims",
                cure="Ask the operator of the service to add a grant to the --oidc file.",
            )
        return ApiKey(
            id=derive_caller_id(issuer.name, subject),
            project=grant.project,
            role=grant.role,
            name=subject,
            secret_hash="",
            created=format_time(datetime.fromtimestamp(self.now(), UTC)),
            subject=f"{issuer.name} {subject}",
        )

    def _verified(self, text: str) -> tuple[TokenIssuer, Mapping[str, Json]]:
        """Return who issued a token and what it says, once its signature is known to hold."""
        # Read header and claims of a token of which nothing is proven yet
        if len(text) > MOST_TOKEN_BYTES or not is_token(text):
            raise UnauthorizedError("this is not a token", cure=CURE)
        try:
            header, unproven = (
                parse_json(base64.urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4)))
                for part in text.split(".")[:2]
            )
        except (ValueError, RecursionError):
            raise UnauthorizedError("the token cannot be read", cure=CURE) from None
        if not isinstance(header, Mapping) or not isinstance(unproven, Mapping):
            raise UnauthorizedError("the token cannot be read", cure=CURE)
        name, kid, algorithm = unproven.get("iss"), header.get("kid"), header.get("alg")
        believed = self.believed.get(name) if isinstance(name, str) else None
        if believed is None:
            raise UnauthorizedError("the token's issuer is not one of this service", cure=CURE)
        issuer, keys = believed
        taken = isinstance(algorithm, str) and algorithm in issuer.algorithms
        if not taken or not isinstance(kid, str):
            raise UnauthorizedError("the token is not signed as its issuer signs", cure=CURE)
        key = keys.find(kid, TokenAlgorithm(str(algorithm)))
        if key is None:
            raise UnauthorizedError("the token's key is not one of its issuer", cure=CURE)
        try:
            claims = decode(
                text, key, registry=_AlgorithmRegistry(strict_check_header=False)
            ).claims
        except (JoseError, ValueError):
            raise UnauthorizedError("the signature of the token is invalid", cure=CURE) from None
        if claims.get("iss") != issuer.name:
            raise UnauthorizedError("the token names two issuers", cure=CURE)
        return issuer, claims

    def _refuse_out_of_time(self, claims: Mapping[str, Json], longest: int) -> None:
        """Raise ``UnauthorizedError`` before and after the token's time; it must end soon."""
        now, ends = self.now(), _seconds(claims, "exp")
        if ends is None or ends <= now - SKEW:
            raise UnauthorizedError("the token has expired, or has no expiry", cure=CURE)
        issued = _seconds(claims, "iat")
        if ends - (now if issued is None else min(issued, now)) > longest + SKEW:
            raise UnauthorizedError(
                (
                    f"the token is valid for more than {longest // HOUR} hours, the limit "
                    "for its issuer"
                ),
                cure=(
                    "Get a token with a shorter validity, or ask the operator of the "
                    "service to change longest_hours."
                ),
            )
        for name in ("nbf", "iat"):
            begins = _seconds(claims, name)
            if name in claims and (begins is None or begins > now + SKEW):
                raise UnauthorizedError("the token is not valid yet", cure=CURE)


def is_token(text: str) -> bool:
    """Whether a text has the form of a signed token."""
    return text.count(".") == PARTS - 1


def derive_caller_id(issuer: str, subject: str) -> str:
    """Return the id under which logs and submissions know whom an issuer speaks of."""
    both = f"{issuer}\0{subject}".encode(errors="surrogatepass")
    return f"{SIGN_ON}{hashlib.sha256(both).hexdigest()[:16]}"


def _seconds(claims: Mapping[str, Json], name: str) -> float | None:
    said = claims.get(name)
    return None if isinstance(said, bool) or not isinstance(said, int | float) else float(said)


PATIENCE, OK = 5.0, 200
MOST_KEY_DOCUMENT_BYTES = 2**20


def load_token_verifier(path: Path) -> TokenVerifier:
    """Return the identity providers of a file. Raises ``UsageError`` for a mistake in it.

    Keys in files are read at once, so that a wrong path stops the start; an address is asked when
    the first token comes.
    """
    believed = {}
    for issuer in read_issuers(path):
        if "://" not in issuer.keys:
            try:
                found = read_key_set(fetch_key_document(issuer.keys))
            except (OSError, ValueError):
                found = {}
            if not found:
                raise UsageError(
                    f"{issuer.keys} has no usable keys of {issuer.name}",
                    cure="Name a JWK set with public keys that have a kid: RSA, P-256 or Ed25519.",
                )
        keys = IssuerKeySet(issuer.name, partial(fetch_key_document, issuer.keys), time.monotonic)
        believed[issuer.name] = (issuer, keys)
    return TokenVerifier(believed, time.time)


def fetch_key_document(place: str) -> bytes:
    """Return what a file or an address holds. Raises ``OSError`` or ``ValueError``."""
    if "://" not in place:
        with Path(place).open("rb") as file:
            return _bounded(file.read(MOST_KEY_DOCUMENT_BYTES + 1))
    found = request_bytes("GET", place, most_bytes=MOST_KEY_DOCUMENT_BYTES + 1, seconds=PATIENCE)
    if found.status != OK:
        raise OSError(f"{place} answers {found.status}")
    return _bounded(found.body)


def _bounded(raw: bytes) -> bytes:
    if len(raw) > MOST_KEY_DOCUMENT_BYTES:
        raise ValueError("longer than any set of keys")
    return raw
