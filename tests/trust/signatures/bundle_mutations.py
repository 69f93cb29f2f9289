"""Good bundles, and what is done to them so that they are no longer what was signed."""

import base64
import copy
import json
from collections.abc import Iterator
from typing import Any

from authority_forge import Pki
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import strategies as st
from signature_forge import FILES, Forge, key_of

from auditor.trust.signatures.trusted_signers import TrustedSigners

FORGE = Forge(key_of(ec.SECP256R1(), 7))
PKI = Pki.made()
TRUST = TrustedSigners(
    keys=TrustedSigners.key(FORGE.pem).keys,
    roots=PKI.trusted.roots,
    identities=PKI.trusted.identities,
)
BUNDLES = (FORGE.sign(FORGE.statement()), PKI.sign())
STATEMENT = FORGE.statement()
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | st.text()
    | st.sampled_from(
        ["", ".", "..", "/", "sha256", "blake3", "shards", "0" * 64, "AAAA", "\ud800"]
    )
)
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def spots(value: object, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a JSON value but the whole."""
    items = value.items() if isinstance(value, dict) else []
    items = enumerate(value) if isinstance(value, list) else items
    for key, item in items:
        yield (*path, key)
        yield from spots(item, (*path, key))


def changed(value: Any, path: tuple[Any, ...], how: str, other: object) -> Any:  # noqa: ANN401
    """A copy in which one place is another value, gone, or there twice."""
    found = copy.deepcopy(value)
    inner = found
    for key in path[:-1]:
        inner = inner[key]
    if how == "gone":
        del inner[path[-1]]
    elif how == "twice" and isinstance(inner, list):
        inner.insert(path[-1], copy.deepcopy(inner[path[-1]]))
    else:
        inner[path[-1]] = other
    return found


@st.composite
def mutated_bundles(draw: st.DrawFn) -> bytes:
    """A good bundle of either kind with a few places of its JSON changed, or bytes of its
    certificates, signature or payload.
    """
    bundle = json.loads(draw(st.sampled_from(BUNDLES)))
    for _ in range(draw(st.integers(1, 3))):
        places = [*spots(bundle)]
        if not places:
            break
        path = draw(st.sampled_from(places))
        how = draw(st.sampled_from(["gone", "twice", "other", "flipped"]))
        bundle = changed(
            bundle, path, how, draw(flips(bundle, path) if how == "flipped" else values)
        )
    return json.dumps(bundle).encode()


def flips(bundle: object, path: tuple[Any, ...]) -> st.SearchStrategy[object]:
    """The value at a place with one byte changed: of its bytes where it is base64."""
    here: Any = bundle
    for key in path:
        here = here[key]
    if not isinstance(here, str) or not here:
        return values
    try:
        raw = base64.b64decode(here, validate=True) or b"\0"
    except ValueError:
        return st.just(here[::-1])
    return st.builds(
        lambda place, by: base64.b64encode(
            raw[:place] + bytes([raw[place] ^ by]) + raw[place + 1 :]
        ).decode(),
        st.integers(0, len(raw) - 1),
        st.integers(1, 255),
    )


@st.composite
def mutated_statements(draw: st.DrawFn) -> bytes:
    """A properly signed statement with a few places changed."""
    statement: Any = STATEMENT
    for _ in range(draw(st.integers(1, 3))):
        path = draw(st.sampled_from([*spots(statement)] or [()]))
        if path:
            how = draw(st.sampled_from(["gone", "twice", "other"]))
            statement = changed(statement, path, how, draw(values))
    try:
        return FORGE.sign(statement)
    except ValueError:  # a text of half a character has no bytes
        return FORGE.sign(STATEMENT)


def says_the_same(raw: bytes) -> bool:
    """Whether a bundle is a good one but for what the formats leave open."""
    found = json.loads(raw)
    for bundle in map(json.loads, BUNDLES):
        material = found.get("verificationMaterial")
        known = bundle["verificationMaterial"]
        if material and "publicKey" in known and isinstance(material.get("publicKey"), dict):
            known["publicKey"]["hint"] = material["publicKey"].get("hint")  # a warning tells
        envelope = found.get("dsseEnvelope")
        if isinstance(envelope, dict) and _said(material) == _said(known):
            mine, its = envelope.get("signatures"), bundle["dsseEnvelope"]["signatures"]
            one = isinstance(mine, list) and len(mine) == 1 and isinstance(mine[0], dict)
            if one and mine[0].get("sig") == its[0]["sig"]:
                return bool(envelope.get("payload") == bundle["dsseEnvelope"]["payload"])
    return False


def _said(material: Any) -> Any:  # noqa: ANN401 -- JSON
    empty = (None, [], {})
    kept = material.items() if isinstance(material, dict) else ()
    return {key: item for key, item in kept if item not in empty}


def means_the_same(raw: bytes) -> bool:
    """Whether the signed statement still names these very files; the rest says nothing of them."""
    statement = json.loads(base64.b64decode(json.loads(raw)["dsseEnvelope"]["payload"]))
    named = [(item["name"], item["digest"]) for item in statement["predicate"]["resources"]]
    return named == [(item.name, item.sha256) for item in FILES]
