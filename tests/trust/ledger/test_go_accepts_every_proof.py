"""Go's tlog, its note, and transparency-dev/merkle accept what we prove, and refuse what is not."""

import os
import random
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from debian import installed

from auditor.trust.ledger.merkle import SIZE, MerkleTree, TreeHead, leaf_hash
from auditor.trust.ledger.notes import LogCheckpoint, MemoryNoteSigner, sign_checkpoint
from auditor.trust.ledger.tiles import (
    HEIGHT,
    LogTile,
    NodeCache,
    RightEdge,
    TilePath,
    append_leaf_hashes,
)

SOURCES = Path("/usr/share/gocode/src")
LIBRARIES = ("golang.org/x/mod/sumdb/tlog", "github.com/transparency-dev/merkle/proof")
PACKAGES = ("golang-go", "golang-golang-x-mod-dev", "golang-github-transparency-dev-merkle-dev")
PROGRAM = Path(__file__).parent / "foreign" / "check.go"
SEED = 20_26
PROOFS = 12_000
MOST_LEAVES = 70_000
SIZES = (1, 2, 255, 256, 257, 511, 512, 513, 65_535, 65_536, 65_537, MOST_LEAVES)
LOG = MemoryNoteSigner("log.example/1", Ed25519PrivateKey.from_private_bytes(bytes(32)))

pytestmark = [pytest.mark.slow, pytest.mark.fetches]


@pytest.fixture(scope="module")
def go(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the program that asks the libraries, without a network and without modules."""
    installed(PACKAGES, shows=("go", *(SOURCES / name for name in LIBRARIES)))
    folder = tmp_path_factory.mktemp("go")
    settings = {
        "GO111MODULE": "off",
        "GOPATH": str(SOURCES.parent),
        "GOFLAGS": "",
    }
    words = ["go", "build", "-o", str(folder / "check"), str(PROGRAM)]
    subprocess.run(words, check=True, env={**os.environ, **settings}, timeout=300)
    return folder / "check"


def answers(program: Path, lines: list[str]) -> list[str]:
    told = subprocess.run(
        [program], input="\n".join(lines), capture_output=True, text=True, check=True, timeout=300
    )
    return told.stdout.split()


class Log:
    """A log of many leaves, in memory."""

    def __init__(self, size: int) -> None:
        self.leaves = [leaf_hash(f"leaf {index}".encode()) for index in range(size)]
        edge, full = append_leaf_hashes(RightEdge(0, {}), b"".join(self.leaves))
        self.tiles = {(item.level, item.index): LogTile(item.hashes, item.inner) for item in full}
        for level, row in edge.partial.items():
            self.tiles[level, edge.size >> HEIGHT * (level + 1)] = LogTile(row)
        self.nodes = NodeCache()
        self.roots: dict[int, bytes] = {}

    def tree(self, size: int) -> MerkleTree:
        return self.nodes.tree(size, lambda *place: self.tiles[place])

    def root(self, size: int) -> bytes:
        if size not in self.roots:
            self.roots[size] = self.tree(size).root()
        return self.roots[size]

    def includes(self, index: int, size: int, leaf: bytes | None = None) -> str:
        proof = self.tree(size).inclusion(index)
        parts = (leaf or self.leaves[index], self.root(size), *proof)
        return f"includes {index} {size} {' '.join(item.hex() for item in parts)}"

    def continues(self, old: int, size: int, root: bytes | None = None) -> str:
        proof = self.tree(size).consistency(old)
        parts = (root or self.root(old), self.root(size), *proof)
        return f"continues {old} {size} {' '.join(item.hex() for item in parts)}"


@pytest.fixture(scope="module")
def log() -> Log:
    return Log(MOST_LEAVES)


def drawn(count: int) -> list[tuple[int, int]]:
    """Draw pairs of a size and what lies below it; the sizes around tiles come up often."""
    chance = random.Random(SEED)  # noqa: S311 -- a sample, not a secret
    sizes = [
        chance.choice(SIZES) if chance.random() < 0.25 else chance.randint(1, MOST_LEAVES)
        for _ in range(count)
    ]
    return [(chance.randrange(size), size) for size in sizes]


def test_every_random_proof_is_accepted(go: Path, log: Log) -> None:
    pairs = drawn(PROOFS)
    lines = [log.includes(index, size) for index, size in pairs[: PROOFS // 2]]
    lines += [log.continues(index + 1, size) for index, size in pairs[PROOFS // 2 :]]
    said = answers(go, lines)
    assert len(said) == PROOFS >= 10_000
    assert set(said) == {"ok"}


def test_every_bad_proof_is_refused_by_all(go: Path, log: Log) -> None:
    pairs = [(index, size) for index, size in drawn(600) if index > 0]
    other = leaf_hash(b"another")
    lines = [log.includes(index, size, other) for index, size in pairs]
    lines += [log.continues(index, size, other) for index, size in pairs]
    cut = [log.includes(index, size).rsplit(" ", 1)[0] for index, size in pairs]
    moved = [
        log.includes(index, size).replace(f"includes {index} ", f"includes {index - 1} ", 1)
        for index, size in pairs
    ]
    said = answers(go, [*lines, *cut, *moved])
    assert len(said) == 4 * len(pairs)
    assert set(said) == {"no"}


def test_tiles_and_their_names_are_those_of_go(go: Path, log: Log) -> None:
    lines = []
    for (level, index), tile in sorted(log.tiles.items()):
        width = len(tile.hashes) // SIZE
        for row, nodes in enumerate(LogTile(tile.hashes).rows()):
            count = len(nodes) // SIZE
            if row == HEIGHT or not count:
                continue  # the root of a tile stands in the tile above
            at = (index + row) % count
            place = f"{level * HEIGHT + row} {(index << HEIGHT - row) + at}"
            node = nodes[at * SIZE : (at + 1) * SIZE].hex()
            path = TilePath(level, index, width)
            lines.append(f"tile {level} {index} {width} {path} {tile.hashes.hex()} {place} {node}")
    said = answers(go, lines)
    assert len(said) > 2_000
    assert set(said) == {"ok"}


def test_checkpoints_open_as_notes(go: Path, log: Log) -> None:
    heads = [TreeHead(size, log.root(size)) for size in SIZES]
    notes = [sign_checkpoint(LogCheckpoint(LOG.name, head), LOG) for head in heads]
    lines = [f"opens {LOG.key} {note.hex()}" for note in notes]
    forged = [f"opens {LOG.key} {note.replace(b'log.', b'bog.', 1).hex()}" for note in notes]
    assert answers(go, lines + forged) == ["ok"] * len(SIZES) + ["no"] * len(SIZES)
