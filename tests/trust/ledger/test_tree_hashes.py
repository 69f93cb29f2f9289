"""Roots and proofs against a naive reference, and the known answers of others."""

import itertools
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from auditor.trust.ledger.merkle import (
    EMPTY,
    MerkleTree,
    TreeHead,
    leaf_hash,
    merkle_root,
    node_hash,
    verify_consistency,
    verify_inclusion,
)
from auditor.trust.ledger.tiles import LogTile, NodeCache, RightEdge, append_leaf_hashes

# The inputs, roots and proofs of Certificate Transparency's reference tests (RFC 6962).
INPUTS = [
    bytes.fromhex(text)
    for text in (
        "", "00", "10", "2021", "3031", "40414243",
        "5051525354555657", "606162636465666768696a6b6c6d6e6f",
    )
]  # fmt: skip
ROOTS = [
    "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
    "fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125",
    "aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77",
    "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    "4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4",
    "76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef",
    "ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c",
    "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328",
]
INCLUSIONS = {
    (0, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (5, 8): [
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 3): ["fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125"],
    (1, 5): [
        "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
CONSISTENCIES = {
    (1, 8): [
        "96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7",
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "6b47aaf29ee3c2af9af889bc1fb9254dabd31177f16232dd6aab035ca39bf6e4",
    ],
    (6, 8): [
        "0ebc5d3437fbe2db158b9f126a1d118e308181031d0a949f8dededebc558ef6a",
        "ca854ea128ed050b41b35ffc1b87b8eb2bde461e9e3b5596ece6b9d5975a0ae0",
        "d37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7",
    ],
    (2, 5): [
        "5f083f0a1a33ca076a95279832580db3e0ef4584bdff1f54c8a360f50de3031e",
        "bc1a0643b12e4d2d7c77918f44e0f4f79a838b6cf9ec5b5c283e1f4d88599e6b",
    ],
}
SIZES = st.integers(1, 1100)


def naive_root(hashes: Sequence[bytes]) -> bytes:
    """Work out MTH(D[n]) as RFC 6962, section 2.1, spells it."""
    if len(hashes) < 2:
        return hashes[0] if hashes else EMPTY
    cut = 1 << (len(hashes) - 1).bit_length() - 1
    return node_hash(naive_root(hashes[:cut]), naive_root(hashes[cut:]))


def naive_path(index: int, hashes: Sequence[bytes]) -> list[bytes]:
    """Work out PATH(m, D[n]) as RFC 6962, section 2.1.1, spells it."""
    if len(hashes) == 1:
        return []
    cut = 1 << (len(hashes) - 1).bit_length() - 1
    if index < cut:
        return [*naive_path(index, hashes[:cut]), naive_root(hashes[cut:])]
    return [*naive_path(index - cut, hashes[cut:]), naive_root(hashes[:cut])]


def naive_subproof(old: int, hashes: Sequence[bytes], *, whole: bool = True) -> list[bytes]:
    """Work out SUBPROOF(m, D[n], b) as RFC 6962, section 2.1.2, spells it."""
    if old == len(hashes):
        return [] if whole else [naive_root(hashes)]
    cut = 1 << (len(hashes) - 1).bit_length() - 1
    if old <= cut:
        return [*naive_subproof(old, hashes[:cut], whole=whole), naive_root(hashes[cut:])]
    rest = naive_subproof(old - cut, hashes[cut:], whole=False)
    return [*rest, naive_root(hashes[:cut])]


LEAVES = [leaf_hash(str(index).encode()) for index in range(1100)]


def tree_of(hashes: Sequence[bytes]) -> MerkleTree:
    edge, full = append_leaf_hashes(RightEdge(0, {}), b"".join(hashes))
    tiles = {(tile.level, tile.index): LogTile(tile.hashes, tile.inner) for tile in full}
    tiles |= {(at, edge.size >> 8 * (at + 1)): LogTile(row) for at, row in edge.partial.items()}
    return NodeCache().tree(len(hashes), lambda *place: tiles[place])


def test_roots_and_proofs_are_those_of_certificate_transparency() -> None:
    hashes = [leaf_hash(item) for item in INPUTS]
    assert [merkle_root(hashes[: size + 1]).hex() for size in range(8)] == ROOTS
    for (index, size), path in INCLUSIONS.items():
        assert [item.hex() for item in tree_of(hashes[:size]).inclusion(index)] == path
    for (old, size), proof in CONSISTENCIES.items():
        assert [item.hex() for item in tree_of(hashes[:size]).consistency(old)] == proof


def test_an_empty_tree_has_the_hash_of_nothing() -> None:
    assert merkle_root([]) == RightEdge(0, {}).root() == tree_of([]).root() == EMPTY


@given(SIZES, st.data())
def test_proofs_are_those_that_the_rfc_spells_and_hold(size: int, data: st.DataObject) -> None:
    hashes, tree = LEAVES[:size], tree_of(LEAVES[:size])
    head = TreeHead(size, naive_root(hashes))
    assert tree.root() == merkle_root(hashes) == head.root
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    path, proof = tree.inclusion(index), tree.consistency(old)
    assert list(path) == naive_path(index, hashes)
    assert list(proof) == naive_subproof(old, hashes)
    assert verify_inclusion(head, index, hashes[index], path)
    assert verify_consistency(head, TreeHead(old, naive_root(hashes[:old])), proof)


@pytest.mark.parametrize("size", range(1, 18))
def test_every_proof_of_a_small_tree_holds_for_its_own_place_alone(size: int) -> None:
    hashes = LEAVES[:size]
    head = TreeHead(size, naive_root(hashes))
    paths = [naive_path(index, hashes) for index in range(size)]
    for index, path in enumerate(paths):
        for at in range(size):
            assert verify_inclusion(head, at, hashes[index], path) == (at == index)
    heads = [TreeHead(old, naive_root(hashes[:old])) for old in range(1, size + 1)]
    for old in heads:
        proof = naive_subproof(old.size, hashes)
        for other in heads:
            assert verify_consistency(head, other, proof) == (other == old)


@given(SIZES, st.data())
def test_no_proof_holds_for_anything_else(size: int, data: st.DataObject) -> None:
    hashes, tree = LEAVES[:size], tree_of(LEAVES[:size])
    head = TreeHead(size, tree.root())
    index, old = data.draw(st.integers(0, size - 1)), data.draw(st.integers(1, size))
    path, proof = tree.inclusion(index), tree.consistency(old)
    other = data.draw(st.integers(0, size + 3).filter(lambda at: at != index))
    assert not verify_inclusion(head, other, hashes[index], path)
    assert not verify_inclusion(head, index, leaf_hash(b"another"), path)
    assert not verify_inclusion(TreeHead(size, EMPTY), index, hashes[index], path)
    assert not verify_inclusion(head, index, hashes[index], (*path, EMPTY))
    assert not verify_inclusion(head, index, hashes[index], path[:-1]) or not path
    before = TreeHead(old, naive_root(hashes[:old]))
    assert not verify_consistency(head, TreeHead(old, EMPTY), proof)
    assert not verify_consistency(TreeHead(size, EMPTY), before, proof)
    assert not verify_consistency(head, before, (*proof, EMPTY))
    if proof:
        at = data.draw(st.integers(0, len(proof) - 1))
        bad = [*proof[:at], EMPTY, *proof[at + 1 :]]
        assert not verify_consistency(head, before, bad)
        assert not verify_consistency(head, before, proof[:-1])


def test_every_tree_continues_nothing_and_itself_without_a_proof() -> None:
    head = TreeHead(5, tree_of(LEAVES[:5]).root())
    assert verify_consistency(head, TreeHead(0, EMPTY), ())
    assert verify_consistency(head, head, ())
    assert not verify_consistency(head, TreeHead(0, EMPTY), (EMPTY,))
    assert not verify_consistency(head, TreeHead(0, head.root), ())
    assert not verify_consistency(head, TreeHead(6, head.root), ())
    assert not verify_consistency(head, head, (EMPTY,))


def test_what_a_tree_does_not_have_is_refused() -> None:
    tree = tree_of(LEAVES[:5])
    for index in (-1, 5):
        with pytest.raises(ValueError, match="no leaf"):
            tree.inclusion(index)
    with pytest.raises(ValueError, match="does not continue"):
        tree.consistency(6)


@given(st.lists(st.integers(0, 600), max_size=6))
def test_growing_in_parts_gives_the_same_tiles(parts: list[int]) -> None:
    ends = [min(end, len(LEAVES)) for end in itertools.accumulate(parts)]
    edge, tiles = RightEdge(0, {}), []
    for start, end in itertools.pairwise([0, *ends]):
        edge, full = append_leaf_hashes(edge, b"".join(LEAVES[start:end]))
        tiles += full
    size = ends[-1] if ends else 0
    whole, full = append_leaf_hashes(RightEdge(0, {}), b"".join(LEAVES[:size]))
    key = lambda tile: (tile.level, tile.index)  # noqa: E731 -- one order for both
    assert edge == whole
    assert sorted(tiles, key=key) == sorted(full, key=key)
    assert not edge.mistake()
    assert edge.root() == naive_root(LEAVES[:size])


def test_a_right_edge_that_misses_a_tile_says_so() -> None:
    edge, _ = append_leaf_hashes(RightEdge(0, {}), b"".join(LEAVES[:300]))
    assert "level 0" in RightEdge(300, {1: edge.partial[1]}).mistake()
    assert "level 1" in RightEdge(300, {0: edge.partial[0]}).mistake()


def test_few_tiles_in_memory_are_enough() -> None:
    edge, full = append_leaf_hashes(RightEdge(0, {}), b"".join(LEAVES))
    tiles = {(tile.level, tile.index): LogTile(tile.hashes, tile.inner) for tile in full}
    tiles |= {(at, edge.size >> 8 * (at + 1)): LogTile(row) for at, row in edge.partial.items()}
    nodes = NodeCache(most=2)
    for index in range(0, 1100, 37):
        tree = nodes.tree(1100, lambda *place: tiles[place])
        assert verify_inclusion(
            TreeHead(1100, edge.root()), index, LEAVES[index], tree.inclusion(index)
        )


def test_a_tile_that_grew_is_fetched_again() -> None:
    nodes, known = NodeCache(), 5
    tree = lambda: nodes.tree(known, lambda *_: LogTile(b"".join(LEAVES[:known])))  # noqa: E731 -- as known grows
    assert tree().root() == naive_root(LEAVES[:5])
    known = 9
    assert tree().root() == naive_root(LEAVES[:9])


def test_a_proof_that_ends_too_early_or_too_late_for_its_size_is_refused() -> None:
    two = tree_of(LEAVES[:2])
    assert verify_inclusion(TreeHead(2, two.root()), 0, LEAVES[0], two.inclusion(0))
    assert not verify_inclusion(TreeHead(4, two.root()), 0, LEAVES[0], two.inclusion(0))
    assert not verify_inclusion(TreeHead(1, two.root()), 0, LEAVES[0], two.inclusion(0))
    first = TreeHead(1, LEAVES[0])
    assert verify_consistency(TreeHead(2, two.root()), first, two.consistency(1))
    assert not verify_consistency(TreeHead(4, two.root()), first, two.consistency(1))


def test_a_proof_with_a_hash_too_many_is_refused_though_it_leads_to_the_root() -> None:
    beside = LEAVES[0]
    assert not verify_inclusion(TreeHead(1, node_hash(beside, LEAVES[1])), 0, LEAVES[1], (beside,))
    proof = naive_subproof(3, LEAVES[:5])
    before, after = naive_root(LEAVES[:3]), naive_root(LEAVES[:5])
    assert verify_consistency(TreeHead(5, after), TreeHead(3, before), proof)
    above = [TreeHead(size, node_hash(beside, it)) for size, it in ((5, after), (3, before))]
    assert not verify_consistency(*above, [*proof, beside])


def test_a_tree_continues_no_larger_one_though_their_roots_are_equal() -> None:
    root = naive_root(LEAVES[:5])
    assert not verify_consistency(TreeHead(5, root), TreeHead(8, root), ())
    assert not verify_consistency(TreeHead(5, root), TreeHead(-1, root), ())


def test_a_proof_without_hashes_does_not_show_that_a_tree_grew() -> None:
    head, old = TreeHead(5, naive_root(LEAVES[:5])), TreeHead(3, naive_root(LEAVES[:3]))
    assert verify_consistency(head, old, naive_subproof(3, LEAVES[:5]))
    assert not verify_consistency(head, old, ())


def test_hashes_of_another_length_prove_nothing() -> None:
    """Two hashes side by side can be cut elsewhere, so that other values lead to the same root."""
    left, right = LEAVES[:2]
    head = TreeHead(2, node_hash(left, right))
    assert verify_inclusion(head, 0, left, (right,))
    assert not verify_inclusion(head, 0, left + right[:1], (right[1:],))
    assert not verify_inclusion(head, 0, left[:-1], (left[-1:] + right,))
    assert not verify_inclusion(TreeHead(1, b"short"), 0, b"short", ())
    assert verify_consistency(head, TreeHead(1, left), (right,))
    assert not verify_consistency(head, TreeHead(1, left + right[:1]), (right[1:],))
    assert not verify_consistency(TreeHead(3, b"short"), TreeHead(3, b"short"), ())
