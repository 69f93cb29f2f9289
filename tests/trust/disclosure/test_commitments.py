"""Commitments hide rows and bind them: nobody can try out a row, and nobody can change one."""

import hashlib
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from auditor.domain.evidence import Item, encode_evidence
from auditor.errors import AuditorError, RecordError
from auditor.trust.disclosure import (
    CommitmentOpening,
    DisclosedRow,
    EvidenceCommitment,
    EvidenceLocation,
    RowEncoding,
    build_full_opening,
    commit_evidence,
    derive_salts,
    join_item_rows,
    split_item_rows,
)

KEY, OTHER = bytes(range(32)), bytes(32)
PLACE = EvidenceLocation("cpu", "quality.accuracy", "labels")
LABELS = np.array([0, 1, 1, 0, 1, 0, 0, 1])
TEXTS = st.text(st.characters(codec="utf-8"), max_size=4)
PLAIN = st.one_of(st.booleans(), st.integers(-9, 9), TEXTS, st.none())
TYPES = st.sampled_from(["<f8", "<f4", "<i8", "<i2", "|b1", "<U3", "|u1"])


@st.composite
def items(draw: st.DrawFn) -> tuple[Item, int]:
    """An item that goes by row, and how many rows it has."""
    kind = draw(st.sampled_from(["array", "list", "columns"]))
    if kind == "array":
        shape = draw(array_shapes(min_dims=1, max_dims=3, min_side=0, max_side=5))
        return draw(arrays(draw(TYPES), shape)), shape[0]
    rows = draw(st.integers(0, 6))
    lists = st.lists(PLAIN, min_size=rows, max_size=rows)
    if kind == "list":
        return draw(lists), rows
    return draw(st.dictionaries(TEXTS, lists, max_size=3)), rows


def rows_of(item: Item, rows: int, kept: list[int]) -> Item:
    """Those rows of an item, taken from it in another way than by its commitment."""
    if isinstance(item, np.ndarray):
        return item[kept]
    if isinstance(item, dict):
        return {name: [column[at] for at in kept] for name, column in item.items()}
    assert isinstance(item, list)
    return [item[at] for at in kept]


def guesses(labels: np.ndarray, row: int) -> list[np.ndarray]:
    """What somebody tries who knows every label but one."""
    found = []
    for guess in (0, 1):
        tried = labels.copy()
        tried[row] = guess
        found.append(tried)
    return found


def test_a_plain_digest_confirms_a_guess_and_a_commitment_does_not() -> None:
    row = 2
    named = encode_evidence(LABELS).digest
    plain = [encode_evidence(tried).digest == named for tried in guesses(LABELS, row)]
    assert plain == [False, True]  # the second guess is the label
    bound = commit_evidence(KEY, PLACE, LABELS, 8)
    shown = build_full_opening(KEY, PLACE, LABELS, bound).withhold({row})
    (hidden,) = (at for at in shown.rows if isinstance(at, bytes))
    known = [at.salt for at in shown.rows if isinstance(at, DisclosedRow)]
    for tried in guesses(LABELS, row):
        byte = tried[row].tobytes()
        # Neither without a salt, nor with any salt that was shown, nor under a key of one's own.
        assert hidden not in {hashlib.sha256(b"\0" + salt + byte).digest() for salt in known}
        assert hidden != hashlib.sha256(b"\0" + byte).digest()
        assert commit_evidence(OTHER, PLACE, tried, 8).root != bound.root
    assert (
        hidden
        == hashlib.sha256(b"\0" + derive_salts(KEY, PLACE, 8)[row] + LABELS[row].tobytes()).digest()
    )


def test_every_row_of_every_item_has_a_salt_of_its_own() -> None:
    places = [
        PLACE,
        EvidenceLocation("gpu", PLACE.check, PLACE.item),
        EvidenceLocation(PLACE.target, "quality.errors", PLACE.item),
        EvidenceLocation(PLACE.target, PLACE.check, "decided"),
    ]
    found = [
        salt for place in places for key in (KEY, OTHER) for salt in derive_salts(key, place, 50)
    ]
    assert len(set(found)) == len(found)
    assert {len(salt) for salt in found} == {32}
    assert derive_salts(KEY, PLACE, 9)[:5] == derive_salts(KEY, PLACE, 5)


def test_equal_rows_have_nothing_in_common() -> None:
    opening = build_full_opening(
        KEY, PLACE, LABELS, commit_evidence(KEY, PLACE, LABELS, 8)
    ).withhold(set(range(8)))
    assert len(set(opening.rows)) == len(LABELS)


def test_the_same_key_and_rows_give_the_same_bytes() -> None:
    assert (
        commit_evidence(KEY, PLACE, LABELS, 8).emit()
        == commit_evidence(KEY, PLACE, LABELS.copy(), 8).emit()
    )
    assert (
        commit_evidence(OTHER, PLACE, LABELS, 8).emit()
        != commit_evidence(KEY, PLACE, LABELS, 8).emit()
    )


def test_what_has_not_as_many_rows_is_one_leaf_and_says_nothing_of_its_shape() -> None:
    for item, rows in ((LABELS, 7), (LABELS, None), ([1, 2], 3), ({"a": [1]}, 2), (5, 1)):
        bound = commit_evidence(KEY, PLACE, item, rows)
        assert (bound.header.form, bound.header.leaves) == (RowEncoding.WHOLE, 1)
        assert (bound.header.shape, bound.header.dtype) == ((), "")
        opening = build_full_opening(KEY, PLACE, item, bound)
        assert encode_evidence(opening.item(bound)).raw == encode_evidence(item).raw


@given(items(), st.data())
def test_any_rows_can_be_shown_and_any_withheld(
    given: tuple[Item, int], data: st.DataObject
) -> None:
    item, rows = given
    bound = commit_evidence(KEY, PLACE, item, rows)
    assert EvidenceCommitment.parse(bound.emit()) == bound
    hidden = data.draw(st.sets(st.integers(0, max(rows - 1, 0)))) if rows else set()
    opening = CommitmentOpening.parse(
        build_full_opening(KEY, PLACE, item, bound).withhold(hidden).emit()
    )
    assert opening.withheld == hidden
    kept = [at for at in range(rows) if at not in hidden]
    assert (
        encode_evidence(opening.item(bound)).raw == encode_evidence(rows_of(item, rows, kept)).raw
    )


@given(items(), st.data())
def test_any_byte_of_an_opening_that_is_changed_is_refused(
    given: tuple[Item, int], data: st.DataObject
) -> None:
    item, rows = given
    bound = commit_evidence(KEY, PLACE, item, rows)
    hidden = data.draw(st.sets(st.integers(0, max(rows - 1, 0)))) if rows else set()
    raw = build_full_opening(KEY, PLACE, item, bound).withhold(hidden).emit()
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != raw[at]))
    changed = raw[:at] + bytes([byte]) + raw[at + 1 :]
    with pytest.raises(RecordError):
        CommitmentOpening.parse(changed).item(bound)


@given(items(), st.data())
def test_any_byte_of_a_commitment_that_is_changed_gives_another_name(
    given: tuple[Item, int], data: st.DataObject
) -> None:
    item, rows = given
    bound = commit_evidence(KEY, PLACE, item, rows)
    raw = bound.emit()
    at = data.draw(st.integers(0, len(raw) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != raw[at]))
    changed = raw[:at] + bytes([byte]) + raw[at + 1 :]
    try:
        other = EvidenceCommitment.parse(changed)
    except AuditorError:
        return
    assert other.digest != bound.digest
    with pytest.raises(RecordError):
        build_full_opening(KEY, PLACE, item, bound).item(other)


@given(items())
def test_rows_make_the_item_again(given: tuple[Item, int]) -> None:
    item, rows = given
    header, parts = split_item_rows(item, rows)
    assert encode_evidence(join_item_rows(header, parts)).raw == encode_evidence(item).raw
    assert all(len(one) == len(other) for one, other in pairwise(parts) if header.row_bytes)


def test_the_tree_is_that_of_rfc_6962() -> None:
    """The root over three leaves, worked out by hand."""

    def leaf(row: int) -> bytes:
        return hashlib.sha256(b"\0" + derive_salts(KEY, PLACE, 3)[row] + bytes([row])).digest()

    left = hashlib.sha256(b"\1" + leaf(0) + leaf(1)).digest()
    root = hashlib.sha256(b"\1" + left + leaf(2)).digest()
    assert commit_evidence(KEY, PLACE, np.arange(3, dtype=np.uint8), 3).root == root
