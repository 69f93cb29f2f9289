"""Patterns of names, what two of them have in common, and the order of versions."""

from fnmatch import fnmatchcase
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.trust.policies.globs import find_common_match, matches_pattern
from auditor.trust.policies.trust_policy import version_sort_key

PATTERNS = st.text("ab*?", max_size=7)
TEXTS = st.text("ab", max_size=7)


@given(PATTERNS, TEXTS)
def test_a_pattern_matches_what_the_shell_says(pattern: str, text: str) -> None:
    assert matches_pattern(pattern, text) is fnmatchcase(text, pattern)


@given(PATTERNS, PATTERNS, TEXTS)
def test_what_two_patterns_have_in_common_is_found_and_matches_both(
    left: str, right: str, text: str
) -> None:
    found = find_common_match(left, right)
    if found is None:
        assert not (matches_pattern(left, text) and matches_pattern(right, text))
    else:
        assert matches_pattern(left, found)
        assert matches_pattern(right, found)


def signs(length: int, alphabet: str) -> list[str]:
    """Every text of at most so many signs, the shortest first."""
    return ["".join(it) for size in range(length + 1) for it in product(alphabet, repeat=size)]


def test_what_two_short_patterns_have_in_common_is_as_short_as_can_be() -> None:
    patterns, texts = signs(3, "ab*?"), signs(4, "abx")
    stand = {one: [text for text in texts if fnmatchcase(text, one)] for one in patterns}
    for left, right in product(patterns, patterns):
        shared = set(stand[left]).intersection(stand[right])
        found = find_common_match(left, right)
        assert (found is None) is not bool(shared), (left, right)
        if found is not None:
            assert found in shared, (left, right)
            assert len(found) == min(map(len, shared)), (left, right)


def test_many_stars_take_no_long_time() -> None:
    assert not matches_pattern("*a" * 60 + "b", "a" * 200)
    assert find_common_match("*a" * 60 + "b", "*a" * 60 + "c") is None


IN_ORDER = ("0-a", "0", "0.0.1", "0.9", "1.0.0-0", "1.0.0-2", "1.0.0-11", "1.0.0-alpha",
            "1.0.0-alpha.1", "1.0.0-alpha.beta", "1.0.0-beta.2", "1.0.0-beta.11", "1.0.0-beta-2",
            "1.0.0", "1.0.1-1", "1.0.1", "1.2", "1.10", "2026.11", "2026.11.0.0.1")  # fmt: skip


def test_versions_stand_in_their_order() -> None:
    orders = [version_sort_key(version) for version in IN_ORDER]
    assert None not in orders
    assert orders == sorted(orders, key=lambda item: item or ((), False, ()))
    assert len(set(orders)) == len(orders)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        *(("1.2", "1.2.0"), ("1.2.0.0", "1.2"), ("0", "0.0"), ("v3", "3"), ("1.0+a", "1.0+b")),
        ("1.0-rc.1+a", "v1-rc.1"),
    ],
)
def test_versions_that_say_the_same_are_equal(one: str, other: str) -> None:
    assert version_sort_key(one) == version_sort_key(other) is not None


def test_a_version_has_at_most_200_signs() -> None:
    longest = "v1" + ".1" * 99
    assert version_sort_key(longest) == ((1,) * 100, True, ())
    assert version_sort_key(f"{longest}1") is None


@pytest.mark.parametrize(
    "version",
    ["", "newest", "1.", "1..2", "-1", "1.0-", "1 ", "1-" + "9" * 5000, "\u0661.\u0662"],
    ids=["empty", "word", "dot", "dots", "sign", "hyphen", "space", "endless", "arabic"],
)
def test_other_texts_have_no_place_in_the_order(version: str) -> None:
    assert version_sort_key(version) is None
