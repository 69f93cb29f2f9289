"""Tiles and bundles: their names, their bytes, and what is refused."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.errors import LedgerError
from auditor.trust.ledger.merkle import SIZE, leaf_hash, merkle_root
from auditor.trust.ledger.tiles import (
    SPAN,
    TilePath,
    decode_entry_bundle,
    encode_entry_bundle,
    expand_tile_rows,
    tile_width,
)

LEAVES = [leaf_hash(str(index).encode()) for index in range(SPAN)]


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (TilePath(0, 1234067), "tile/0/x001/x234/067"),
        (TilePath(63, 0, 1), "tile/63/000.p/1"),
        (TilePath(None, 999, 255), "tile/entries/999.p/255"),
        (TilePath(None, 1000), "tile/entries/x001/000"),
    ],
)
def test_a_tile_is_named_as_the_specification_says(path: TilePath, text: str) -> None:
    assert str(path) == text
    assert TilePath.parse(text) == path


@given(st.none() | st.integers(0, 63), st.integers(0, 10**12), st.integers(1, 256))
def test_every_name_reads_back(level: int | None, index: int, width: int) -> None:
    assert TilePath.parse(str(TilePath(level, index, width))) == TilePath(level, index, width)


@pytest.mark.parametrize(
    "text",
    [
        "tile/64/000", "tile/00/000", "tile/0/0", "tile/0/x000/001", "tile/0/001.p/256",
        "tile/0/001.p/0", "tile/0/001.p/01", "tile/0/1000", "tile/0/../000", "tile/data/000", "",
    ],
)  # fmt: skip
def test_a_name_that_is_spelled_otherwise_is_refused(text: str) -> None:
    with pytest.raises(LedgerError):
        TilePath.parse(text)


def test_the_widths_of_seventy_thousand_leaves_are_those_of_the_specification() -> None:
    assert tile_width(0, 272, 70_000) == 256
    assert tile_width(0, 273, 70_000) == 112
    assert tile_width(0, 274, 70_000) == 0
    assert tile_width(1, 0, 70_000) == 256
    assert tile_width(1, 1, 70_000) == 17
    assert tile_width(2, 0, 70_000) == 1
    assert tile_width(1, 0, 256) == 1


@given(st.integers(1, SPAN))
def test_a_tile_expands_into_every_complete_node(width: int) -> None:
    for height, row in enumerate(expand_tile_rows(b"".join(LEAVES[:width]))):
        span = 1 << height
        nodes = [merkle_root(LEAVES[at * span : (at + 1) * span]) for at in range(width // span)]
        assert row == b"".join(nodes)
        assert len(row) == width // span * SIZE


@given(st.lists(st.binary(max_size=300), max_size=20))
def test_a_bundle_reads_back(entries: list[bytes]) -> None:
    assert list(decode_entry_bundle(encode_entry_bundle(entries))) == entries


def test_a_bundle_that_breaks_off_and_an_entry_that_is_too_long_are_refused() -> None:
    for cut in (1, 3):
        with pytest.raises(LedgerError, match="breaks off"):
            decode_entry_bundle(encode_entry_bundle([b"abc"])[:-cut])
    with pytest.raises(LedgerError, match="65536 bytes"):
        encode_entry_bundle([bytes(2**16)])
