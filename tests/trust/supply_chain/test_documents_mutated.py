"""No document, however broken, makes reading or comparing it fail."""

import json

from hypothesis import example, given
from hypothesis import strategies as st
from supply_papers import CARD, GIVEN, SIGNER, bom, bundled, croissant, dumped, slsa_v0_2, slsa_v1

from auditor.domain.json import encode_canonical
from auditor.trust.supply_chain.verify import (
    KeyDocumentVerifier,
    match_declarations,
    read_supply_document,
)

KEY = SIGNER.public_pem()
PAPERS = [
    dumped(slsa_v1()),
    dumped(slsa_v0_2()),
    dumped(bom()),
    dumped(croissant()),
    bundled(slsa_v1()),
    dumped(slsa_v1() | {"predicateType": "https://cyclonedx.org/bom", "predicate": bom()}),
    CARD,
]
NAMES = ["a.json", "README.md", "all.intoto.jsonl"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)


def looked_at(name: str, raw: bytes) -> None:
    """Read and compare a document, and write down all that came of it as a record would."""
    told = read_supply_document(name, raw, KeyDocumentVerifier(KEY))
    assert told
    encode_canonical([item.to_json() for item in match_declarations(told, GIVEN)])
    encode_canonical([dict(item.declaration.about) for item in told])
    encode_canonical([remark.to_json() for item in told for remark in item.remarks])


@st.composite
def changed_bytes(draw: st.DrawFn) -> bytes:
    """A document of which some bytes are others, gone, or double."""
    raw = bytearray(draw(st.sampled_from(PAPERS)))
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(raw) - 1))
        raw[at : at + draw(st.integers(0, 9))] = draw(st.binary(max_size=9))
        raw += b" "
    return bytes(raw)


@st.composite
def changed_values(draw: st.DrawFn) -> bytes:
    """A document in JSON of which one value is any other value."""
    found = json.loads(draw(st.sampled_from(PAPERS[:-1])))
    holder, places = found, []
    while isinstance(holder, dict | list) and holder:
        keys = list(holder) if isinstance(holder, dict) else list(range(len(holder)))
        places.append((holder, draw(st.sampled_from(keys))))
        holder = holder[places[-1][1]]
    inside, key = draw(st.sampled_from(places))
    inside[key] = draw(JSON)
    return dumped(found)


@given(name=st.sampled_from(NAMES), raw=st.binary(max_size=200) | changed_bytes())
@example(name="a.json", raw=b'{"_type": "\\ud800"}')
@example(name="README.md", raw=b"---\n? [a]\n: b\n---\n")
def test_bytes_that_were_changed_are_read_or_refused(name: str, raw: bytes) -> None:
    looked_at(name, raw)


@given(raw=changed_values())
def test_values_that_were_changed_are_read_or_refused(raw: bytes) -> None:
    looked_at("a.json", raw)


@given(front=st.text(alphabet="-:[]{}&*!|>?#%@ \n\tabdes_mol0'\"", max_size=80))
def test_any_front_matter_is_read_or_refused(front: str) -> None:
    looked_at("README.md", f"---\n{front}\n---\n".encode())
