"""Serialisations of a model as a list of digests: whole files, or shards, and by which hash."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

FILES = "files"
SHARDS = "shards"
LEAST_SHARD = 4096
"""Smaller shards make manifests that are larger than what they sign."""


class HashAlgorithm(StrEnum):
    """A hash that the format knows; ``blake2b`` is the one of 64 bytes."""

    SHA256 = "sha256"
    BLAKE2B = "blake2b"
    BLAKE3 = "blake3"

    @property
    def digits(self) -> int:
        """Hexadecimal digits of a digest."""
        return 128 if self is HashAlgorithm.BLAKE2B else 64


@dataclass(frozen=True, slots=True, order=True)
class FilePart:
    """A file, or the bytes from ``start`` up to ``end`` of one."""

    name: str
    start: int | None = None
    end: int | None = None

    @property
    def label(self) -> str:
        """The resource's name in a manifest."""
        return self.name if self.start is None else f"{self.name}:{self.start}:{self.end}"


@dataclass(frozen=True, slots=True)
class ModelSerialisation:
    """Whole files, or where ``shard`` is a number of bytes, pieces of at most so many."""

    hash: HashAlgorithm = HashAlgorithm.SHA256
    shard: int | None = None

    @property
    def method(self) -> str:
        """The format's name."""
        return FILES if self.shard is None else SHARDS

    @property
    def algorithm(self) -> str:
        """What resources say that they are hashed with, as the reference writes it."""
        return self.hash.value if self.shard is None else f"{self.hash}-sharded-{self.shard}"

    @property
    def algorithms(self) -> frozenset[str]:
        """Every spelling of the same."""
        return frozenset({self.hash.value, self.algorithm})

    def parts(self, sizes: Mapping[str, int]) -> tuple[FilePart, ...]:
        """Return what is hashed of files of these sizes, by name and place.

        An empty file is one empty shard: a name that no shard bears would not be signed.
        """
        return tuple(part for name in sorted(sizes) for part in self.parts_of(name, sizes[name]))

    def parts_of(self, name: str, size: int) -> tuple[FilePart, ...]:
        """Return the parts of one file."""
        if self.shard is None:
            return (FilePart(name),)
        starts = range(0, max(size, 1), self.shard)
        return tuple(FilePart(name, start, min(start + self.shard, size)) for start in starts)

    def count(self, size: int) -> int:
        """Return how many parts a file of ``size`` bytes has."""
        return 1 if self.shard is None else max(1, -(-size // self.shard))
