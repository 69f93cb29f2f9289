"""Identity providers of our own, and whatever tokens a test wants of them."""

import base64
import hmac
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric import rsa
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey
from joserfc.jws import JWSRegistry
from joserfc.jwt import encode

ISSUER, AUDIENCE = "https://idp.example", "https://auditor.example"
NOW = 1_800_000_000.0
Key = RSAKey | ECKey | OKPKey | OctKey


class Anything(JWSRegistry):
    """Signs by whatever algorithm there is, also those that nobody should take."""

    def get_alg(self, name: str) -> Any:  # noqa: ANN401 -- the library's own
        return self.algorithms[name]


def keys() -> dict[str, Key]:
    """Make a key of each kind, by its name."""
    return {
        "rsa": RSAKey.generate_key(2048),
        "ec": ECKey.generate_key("P-256"),
        "ed": OKPKey.generate_key("Ed25519"),
    }


def jwks(made: dict[str, Key], **more: Any) -> bytes:  # noqa: ANN401 -- JSON
    """Return the public halves as a provider publishes them."""
    listed = [{**key.as_dict(private=False), "kid": kid, **more} for kid, key in made.items()]
    return json.dumps({"keys": listed}).encode()


def signed(key: Key, kid: str | None, algorithm: str, claims: dict[str, Any]) -> str:
    header = {"alg": algorithm, "typ": "JWT", **({} if kid is None else {"kid": kid})}
    return encode(header, claims, key, registry=Anything())


def by_secret(secret: bytes, kid: str, claims: dict[str, Any]) -> str:
    """Sign by a shared secret, as HS256 has it."""
    begun = f"{part({'alg': 'HS256', 'kid': kid})}.{part(claims)}"
    return f"{begun}.{part(hmac.digest(secret, begun.encode(), 'sha256'))}"


def short_key() -> dict[str, str]:
    """Return an RSA key of 1024 bits, which the library does not make."""
    numbers = rsa.generate_private_key(65537, 1024).public_key().public_numbers()  # noqa: S505
    return {"kty": "RSA", "kid": "k", "e": "AQAB", "n": part(numbers.n.to_bytes(128, "big"))}


def part(said: Any) -> str:  # noqa: ANN401 -- JSON
    raw = said if isinstance(said, bytes) else json.dumps(said).encode()
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


@dataclass
class Provider:
    """A provider whose keys lie in a file beside the service's own settings."""

    folder: Path
    keys: dict[str, Key] = field(default_factory=keys)

    def write(self, **changes: Any) -> Path:  # noqa: ANN401 -- JSON
        """Write the settings of a service that believes this provider."""
        (self.folder / "jwks.json").write_bytes(jwks(self.keys))
        grants = [
            {"claims": {"repository": "acme/model", "ref": "main"}, "project": "default",
             "role": "submitter"},
            {"claims": {"groups": "auditors"}, "project": "default", "role": "admin"},
        ]  # fmt: skip
        issuer = {
            "issuer": ISSUER, "audience": AUDIENCE, "jwks": "jwks.json",
            "algorithms": ["RS256", "ES256", "EdDSA"], "grants": grants, **changes,
        }  # fmt: skip
        path = self.folder / "oidc.yaml"
        path.write_text(json.dumps({"issuers": [issuer]}))
        return path

    def claims(self, **changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
        usual = {
            "iss": ISSUER, "aud": AUDIENCE, "sub": "repo:acme/model", "iat": NOW, "nbf": NOW,
            "exp": NOW + 300, "repository": "acme/model", "ref": "main",
        }  # fmt: skip
        return {name: said for name, said in {**usual, **changes}.items() if said is not None}

    def token(self, kid: str = "rsa", algorithm: str = "RS256", **changes: Any) -> str:  # noqa: ANN401
        return signed(self.keys[kid], kid, algorithm, self.claims(**changes))
