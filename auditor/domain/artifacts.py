"""The artifact: the deployed bytes under one digest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated

from auditor.domain.digests import Digest, is_digest
from auditor.domain.json import Json, OmitUnset, build_field_error, digest_json, write_fields
from auditor.domain.trust_context import ModelBinding, TrustContext


def refuse_odd_hex(digits: str, place: str) -> None:
    """Raise ``RecordError`` for what is read as a SHA-256 in a record, and is none."""
    if not is_digest(f"sha256:{digits}"):
        raise build_field_error(place, "a SHA-256 of 64 lower-case hexadecimal digits")


@dataclass(frozen=True, slots=True, order=True)
class FileDigest:
    """One file's name (relative, with forward slashes), size in bytes and hexadecimal SHA-256."""

    name: str
    size: int
    sha256: Annotated[str, refuse_odd_hex]

    @classmethod
    def of(cls, name: str, raw: bytes) -> "FileDigest":
        """Return the digest of a file's bytes."""
        return cls(name, len(raw), hashlib.sha256(raw).hexdigest())

    to_json = write_fields

    @property
    def digest(self) -> Digest:
        """The SHA-256 as texts name it."""
        return Digest.of_hex(self.sha256)


def digest_files(files: tuple[FileDigest, ...]) -> Digest:
    """Return the one digest of several files: over the canonical list, in the order of names."""
    return digest_json([file.to_json() for file in sorted(files)])


@dataclass(frozen=True, slots=True)
class Artifact:
    """The deployed files, the main one first, apart from signature and twin."""

    name: str
    version: str
    files: tuple[FileDigest, ...]

    @property
    def digest(self) -> Digest:
        """SHA-256 over the canonical JSON list of ``{name, size, sha256}``."""
        return digest_files(self.files)

    @property
    def contents(self) -> frozenset[str]:
        """The SHA-256 of each file, whatever it is called: to rename one makes no other model."""
        return frozenset(file.sha256 for file in self.files)

    @property
    def size(self) -> int:
        """Bytes of all files together."""
        return sum(file.size for file in self.files)

    def to_json(self) -> dict[str, Json]:
        """Return the record's form, beside which stand its name and version."""
        return {"digest": self.digest, "files": [file.to_json() for file in self.files]}


@dataclass(frozen=True, slots=True)
class SignedResourceDigests:
    """Digests by the names of a signature's resources, the hash, and the bytes of a shard."""

    hash: str
    shard: int | None
    digests: Mapping[str, str]

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class SignatureMaterial:
    """What a signature check needs, as bytes: the bundle, the public key, and nothing opened.

    ``None`` means that the audit names no such file: the artifact is unsigned, or nobody said
    whose signature to trust. ``trust`` is the policy that says so instead of a ``key``.
    ``measured`` holds the artifact's digests as the signer took them, where those are not whole
    files by SHA-256. ``bindings`` are what was registered before that contradicts the artifact's
    name and version. ``timestamps`` are those over the bundle that lay beside it (RFC 3161).
    """

    bundle: bytes | None = None
    key: bytes | None = None
    measured: SignedResourceDigests | None = None
    trust: TrustContext | None = None
    bindings: tuple[ModelBinding, ...] = ()
    timestamps: bytes | None = None


@dataclass(frozen=True, slots=True)
class ModelStructure:
    """What parsing (never running) the artifact's files shows.

    ``operators`` counts operators as ``domain::Name`` (the standard domain is ``ai.onnx``);
    ``external`` lists the external-data paths exactly as the file spells them; ``unsafe`` lists
    what was found that may run code or reach outside, each ``{"code", "where", "what"}``.
    """

    kind: str
    opsets: Mapping[str, int] = field(default_factory=dict)
    operators: Mapping[str, int] = field(default_factory=dict)
    external: tuple[str, ...] = ()
    parameters: int = 0
    producer: str = ""
    unsafe: tuple[Mapping[str, str], ...] = ()
    integers: OmitUnset[tuple[Mapping[str, Json], ...]] = ()

    to_json = write_fields
