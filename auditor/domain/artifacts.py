"""The artifact: the deployed bytes under one digest."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from auditor.domain.json import Json, digest_json
from auditor.domain.trust import ModelBinding, TrustContext


@dataclass(frozen=True, slots=True, order=True)
class FileDigest:
    """One file's name (relative, with forward slashes), size in bytes and hexadecimal SHA-256."""

    name: str
    size: int
    sha256: str

    @classmethod
    def of(cls, name: str, raw: bytes) -> "FileDigest":
        """Return the digest of a file's bytes."""
        return cls(name, len(raw), hashlib.sha256(raw).hexdigest())

    def to_json(self) -> dict[str, Json]:
        """Return the form that digests are taken over."""
        return {"name": self.name, "size": self.size, "sha256": self.sha256}


def digest_files(files: tuple[FileDigest, ...]) -> str:
    """Return the one digest of several files: over the canonical list, in the order of names."""
    return digest_json([file.to_json() for file in sorted(files)])


@dataclass(frozen=True, slots=True)
class Artifact:
    """The deployed files, the main one first, apart from signature and twin."""

    name: str
    version: str
    files: tuple[FileDigest, ...]

    @property
    def digest(self) -> str:
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


@dataclass(frozen=True, slots=True)
class SignedResourceDigests:
    """Digests by the names of a signature's resources, the hash, and the bytes of a shard."""

    hash: str
    shard: int | None
    digests: Mapping[str, str]

    def to_json(self) -> dict[str, Json]:
        """Return the form that evidence holds."""
        return {"hash": self.hash, "shard": self.shard, "digests": dict(self.digests)}


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
    integers: tuple[Mapping[str, Json], ...] = ()

    def to_json(self) -> dict[str, Json]:
        """Return the evidence form."""
        return {
            "kind": self.kind,
            "opsets": dict(self.opsets),
            "operators": dict(self.operators),
            "external": list(self.external),
            "parameters": self.parameters,
            "producer": self.producer,
            "unsafe": [dict(item) for item in self.unsafe],
            **({"integers": [dict(item) for item in self.integers]} if self.integers else {}),
        }
