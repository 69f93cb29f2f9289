"""Tokens that an identity provider signed for a caller, in place of a key of the service."""

import base64
import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from joserfc.errors import JoseError, UnsupportedAlgorithmError
from joserfc.jws import JWSRegistry
from joserfc.jwt import decode

from auditor.clock import written
from auditor.domain.api_keys import SIGN_ON, ApiKey
from auditor.domain.canonical import Json, parse
from auditor.refusals import ForbiddenError, UnauthorizedError
from auditor.tokens.issuers import HOUR, Algorithm, Issuer
from auditor.tokens.keysets import KeySet

SKEW = 60
"""Seconds by which clocks may differ."""
MOST_BYTES = 16 * 2**10
LONGEST_SUBJECT = 500
PARTS = 3
CURE = "Get a fresh token whose issuer and audience are those that this service was told."


class _Allowed(JWSRegistry):
    """Lets in what we take, without the library's word on the older name of Ed25519."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 -- of a part that the library hides
        """Return an algorithm of ours, and no other."""
        if name not in list(Algorithm):
            raise UnsupportedAlgorithmError(f"{name[:20]!r} is not taken")
        return self.algorithms[name]


@dataclass(frozen=True, slots=True)
class Tokens:
    """The identity providers that a service believes, each with its keys; ``now`` is POSIX time."""

    believed: Mapping[str, tuple[Issuer, KeySet]]
    now: Callable[[], float]

    def caller_of(self, text: str) -> ApiKey:
        """Return whom a token speaks of, as a caller of the project that its grant names.

        Raises ``UnauthorizedError`` for a token that does not hold, ``ForbiddenError`` for one
        that nobody gave a project, and ``IssuerLostError`` where its issuer's keys cannot be had.
        """
        issuer, claims = self._verified(text)
        self._refuse_out_of_time(claims, issuer.longest)
        if issuer.audience not in _texts(claims.get("aud")):
            raise UnauthorizedError("the token is not for this service", cure=CURE)
        subject = claims.get("sub")
        if not isinstance(subject, str) or not 0 < len(subject) <= LONGEST_SUBJECT:
            raise UnauthorizedError("the token says of nobody who it is", cure=CURE)
        grant = issuer.grant(claims)
        if grant is None:
            raise ForbiddenError(
                "the token holds, and nobody gave callers with its claims a project here",
                cure="Ask who runs the service for a grant in the file of --oidc.",
            )
        return ApiKey(
            id=name_of(issuer.name, subject),
            project=grant.project,
            role=grant.role,
            name=subject,
            secret_hash="",
            created=written(datetime.fromtimestamp(self.now(), UTC)),
            subject=f"{issuer.name} {subject}",
        )

    def _verified(self, text: str) -> tuple[Issuer, Mapping[str, Json]]:
        """Return who issued a token and what it says, once its signature is known to hold."""
        header, unproven = _opened(text)
        name, kid, algorithm = unproven.get("iss"), header.get("kid"), header.get("alg")
        believed = self.believed.get(name) if isinstance(name, str) else None
        if believed is None:
            raise UnauthorizedError("the token's issuer is not one of this service", cure=CURE)
        issuer, keys = believed
        taken = isinstance(algorithm, str) and algorithm in issuer.algorithms
        if not taken or not isinstance(kid, str):
            raise UnauthorizedError("the token is not signed as its issuer signs", cure=CURE)
        key = keys.find(kid, Algorithm(str(algorithm)))
        if key is None:
            raise UnauthorizedError("the token's key is not one of its issuer", cure=CURE)
        try:
            claims = decode(text, key, registry=_Allowed(strict_check_header=False)).claims
        except (JoseError, ValueError):
            raise UnauthorizedError("the token's signature does not hold", cure=CURE) from None
        if claims.get("iss") != issuer.name:
            raise UnauthorizedError("the token names two issuers", cure=CURE)
        return issuer, claims

    def _refuse_out_of_time(self, claims: Mapping[str, Json], longest: int) -> None:
        """Raise ``UnauthorizedError`` before and after the token's time; it must end soon."""
        now, ends = self.now(), _seconds(claims, "exp")
        if ends is None or ends <= now - SKEW:
            raise UnauthorizedError("the token has come to its end, or has none", cure=CURE)
        issued = _seconds(claims, "iat")
        if ends - (now if issued is None else min(issued, now)) > longest + SKEW:
            raise UnauthorizedError(
                f"the token holds longer than the {longest // HOUR} hours that its issuer has",
                cure="Get one that ends sooner, or ask who runs the service for longest_hours.",
            )
        for name in ("nbf", "iat"):
            begins = _seconds(claims, name)
            if name in claims and (begins is None or begins > now + SKEW):
                raise UnauthorizedError("the token is of a time to come", cure=CURE)


def is_token(text: str) -> bool:
    """Whether a text has the form of a signed token."""
    return text.count(".") == PARTS - 1


def name_of(issuer: str, subject: str) -> str:
    """Return the id under which logs and submissions know whom an issuer speaks of."""
    both = f"{issuer}\0{subject}".encode(errors="surrogatepass")
    return f"{SIGN_ON}{hashlib.sha256(both).hexdigest()[:16]}"


def _opened(text: str) -> tuple[Mapping[str, Json], Mapping[str, Json]]:
    """Read header and claims of a token of which nothing is proven yet."""
    if len(text) > MOST_BYTES or not is_token(text):
        raise UnauthorizedError("the token is none", cure=CURE)
    try:
        header, claims = (parse(_decoded(part)) for part in text.split(".")[:2])
    except (ValueError, RecursionError):
        raise UnauthorizedError("the token cannot be read", cure=CURE) from None
    if not isinstance(header, Mapping) or not isinstance(claims, Mapping):
        raise UnauthorizedError("the token cannot be read", cure=CURE)
    return header, claims


def _decoded(part: str) -> bytes:
    return base64.urlsafe_b64decode(part.encode("ascii") + b"=" * (-len(part) % 4))


def _texts(said: Json) -> Sequence[Json]:
    return said if isinstance(said, list) else [said]


def _seconds(claims: Mapping[str, Json], name: str) -> float | None:
    said = claims.get(name)
    return None if isinstance(said, bool) or not isinstance(said, int | float) else float(said)
