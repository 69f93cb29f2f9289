"""Canonical JSON: the same value gives the same bytes, and nothing doubtful gets in."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.json import Json, compute_digest, digest_json, encode_canonical, parse_json

SCALARS = (
    st.none()
    | st.booleans()
    | st.integers(-(2**53) + 1, 2**53 - 1)
    | st.floats(-(2**53) + 1, 2**53 - 1)
    | st.text(st.characters(codec="utf-8"))
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=12
)


def test_the_digest_of_nothing_is_the_known_one() -> None:
    empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert compute_digest(b"") == f"sha256:{empty}"


def test_keys_are_sorted_and_numbers_shortest_as_rfc_8785_appendix_has_them() -> None:
    assert encode_canonical({"b": 1.0, "a": [1e30, 4.5, 2e-3]}) == b'{"a":[1e+30,4.5,0.002],"b":1}'


@given(VALUES)
def test_reading_back_and_writing_again_gives_the_same_bytes(value: Json) -> None:
    raw = encode_canonical(value)
    assert encode_canonical(parse_json(raw)) == raw


@given(st.dictionaries(st.text(), SCALARS))
def test_the_order_of_keys_does_not_change_the_digest(value: dict[str, Json]) -> None:
    assert digest_json(dict(reversed(value.items()))) == digest_json(value)


@pytest.mark.parametrize("number", [float("nan"), float("inf"), -float("inf"), 2**53 + 1])
def test_what_is_no_json_number_is_refused(number: float) -> None:
    with pytest.raises(ValueError, match=r".+"):
        encode_canonical({"x": number})


@pytest.mark.parametrize("text", ["NaN", "Infinity", "-Infinity", '{"a":1,"a":2}', "", "{"])
def test_doubtful_json_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_json(text.encode())


def test_tuples_and_lists_are_the_same_value() -> None:
    assert encode_canonical((1, 2)) == encode_canonical(json.loads("[1, 2]"))
