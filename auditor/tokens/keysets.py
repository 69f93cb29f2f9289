"""The public keys of an identity provider: fetched when they are needed, and kept a while."""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from joserfc.errors import JoseError
from joserfc.jwk import ECKey, OKPKey, RSAKey, import_key

from auditor.domain.canonical import Json, parse
from auditor.refusals import IssuerLostError
from auditor.tokens.issuers import Algorithm

FRESH, AGAIN, STALE = 600.0, 60.0, 24 * 3600.0
"""Seconds that keys are taken as they are, that a fetch is not repeated within, and that keys hold
where their provider does not answer."""
LEAST_BITS = 2048
MOST_KEYS = 100
PRIVATE = frozenset({"d", "k", "p", "q"})
Key = RSAKey | ECKey | OKPKey
Keys = Mapping[tuple[str, Algorithm], Key]


@dataclass(slots=True)
class KeySet:
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

    def find(self, kid: str, algorithm: Algorithm) -> Key | None:
        """Return the key of that name, if it signs so. Raises ``IssuerLostError``."""
        found = self._keys.get((kid, algorithm))
        if found is None or self._older(self._got, FRESH):
            self._refresh()
            found = self._keys.get((kid, algorithm))
        if self._older(self._got, STALE):
            raise IssuerLostError(
                f"the keys of {self.name} cannot be had now", cure="Try again later."
            )
        return found

    def _refresh(self) -> None:
        """Fetch the keys, unless that was tried just now, or another call does so meanwhile."""
        if not self._lock.acquire(blocking=self._got is None):
            return
        try:
            if self._older(self._asked, AGAIN):
                self._asked = self.tick()
                self._keys = read_keys(self.fetch())
                self._got = self.tick()
        except (OSError, ValueError, RecursionError):
            pass  # the keys at hand hold for a while; without any, ``find`` says so
        finally:
            self._lock.release()

    def _older(self, since: float | None, seconds: float) -> bool:
        return since is None or self.tick() - since > seconds


def read_keys(raw: bytes) -> Keys:
    """Read a JWK set: its public keys by name and algorithm. Raises ``ValueError`` for none.

    Left out is what cannot verify what we take: keys for encryption, secrets, short RSA keys.
    """
    body = parse(raw)
    listed = body.get("keys") if isinstance(body, Mapping) else None
    if not isinstance(listed, list) or len(listed) > MOST_KEYS:
        raise ValueError("no JWK set")
    found: dict[tuple[str, Algorithm], Key] = {}
    for item in listed:
        if isinstance(item, dict) and item.get("use", "sig") == "sig" and not PRIVATE & set(item):
            found |= _key(item)
    return found


def _key(item: dict[str, Json]) -> dict[tuple[str, Algorithm], Key]:
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


def _algorithms(item: dict[str, Json]) -> tuple[Algorithm, ...]:
    """Return what a key of its type signs, less what it says itself that it does not."""
    signs: dict[tuple[Json, Json], tuple[Algorithm, ...]] = {
        ("RSA", None): (Algorithm.RS256,),
        ("EC", "P-256"): (Algorithm.ES256,),
        ("OKP", "Ed25519"): (Algorithm.EDDSA, Algorithm.ED25519),
    }
    kind, curve, said = item.get("kty"), item.get("crv"), item.get("alg")
    if not isinstance(kind, str) or not isinstance(curve, str | None):
        return ()
    return tuple(one for one in signs.get((kind, curve), ()) if said in (None, one.value))
