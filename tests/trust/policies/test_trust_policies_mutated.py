"""Whatever stands in the place of one value, a trust policy is read or refused, never broken."""

from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from trust_papers import Document, authority, document, judged, named, ruled, signer

from auditor.errors import TrustPolicyError
from auditor.trust.policies.read import read_trust_policy

WHOLE = document(
    ruled(min_version="1.0", max_age="9d", timestamp="required", tags=["a"], hash=["sha256"]),
    lambda d: d.update(
        roots={"sigstore": {"trusted_root": "{}"}, "tsa": {"pem": authority().decode()}},
        clocks={"roots": ["tsa"], "policies": ["1.2.3"]},
        revoked={"keys": [{"sha256": named(signer(9)), "since": "2026-01-01"}]},
        bind_versions=True,
        default="deny",
    ),
)
Place = tuple[str | int, ...]


def places(value: Any, at: Place = ()) -> list[Place]:  # noqa: ANN401 -- any JSON
    inner = value.items() if isinstance(value, dict) else enumerate(value)
    found: list[Place] = []
    for key, item in inner:
        found.append((*at, key))
        if isinstance(item, dict | list):
            found += places(item, (*at, key))
    return found


SPOTS = places(WHOLE)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9)
VALUES = st.recursive(
    SCALARS | st.sampled_from(["*", "2026-01-01", "release", "A3", "key", "{}", "1.0", "deny"]),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=6,
)


def exchanged(place: Place, value: object) -> Document:
    found = deepcopy(WHOLE)
    holder: Any = found
    for part in place[:-1]:
        holder = holder[part]
    holder[place[-1]] = value
    return found


@given(st.sampled_from(SPOTS), VALUES)
def test_one_other_value_is_read_or_refused_with_a_place_and_a_cure(
    place: Place, value: object
) -> None:
    mistake = None
    try:
        found = read_trust_policy(exchanged(place, value), lambda at: f"trust.yaml {at}")
    except TrustPolicyError as error:
        mistake = error
    if mistake is None:
        # What can be read can be digested, signed and judged.
        assert found.digest.startswith("sha256:")
        assert isinstance(judged(found).verified, bool)
    else:
        assert mistake.problem.startswith("trust.yaml (")
        assert mistake.cure
