"""The manifest inside a model signature: which files, under which names, with which digests.

Source: OpenSSF Model Signing 1.0 (github.com/ossf/model-signing-spec), sections 5 and 6. Objections
here are those of the strict profile: every MUST of the specification, and whatever would let two
verifiers see two different models. What the specification asks verifiers to ignore is ignored.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.signatures.objections import Code, Refused, quoted
from auditor.signatures.serialisations import (
    FILES,
    LEAST_SHARD,
    SHARDS,
    Hash,
    Part,
    Serialisation,
)
from auditor.signatures.statements import Statement
from auditor.signatures.strict import expect

LONE = "."
"""What ``model_signing`` writes as the name of a model's only file; the specification says its
own name."""
WHOLE = Serialisation()
_HEX = re.compile(r"[0-9a-f]*")
_SHARD = re.compile(r"(.*):(0|[1-9][0-9]{0,18}):(0|[1-9][0-9]{0,18})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Resource:
    """A signed file or part of one, and its digest in hexadecimal."""

    part: Part
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """What was signed, in the order signed, how it was hashed, and the paths that the signer says
    it left out.
    """

    resources: tuple[Resource, ...]
    ignored: tuple[str, ...] = ()
    serialisation: Serialisation = WHOLE

    @property
    def names(self) -> tuple[str, ...]:
        """The files' names, once each, in the order signed."""
        return tuple(dict.fromkeys(item.part.name for item in self.resources))

    @property
    def digests(self) -> Mapping[str, str]:
        """Digest by the resource's name."""
        return {item.part.label: item.digest for item in self.resources}

    @property
    def sizes(self) -> Mapping[str, int]:
        """The size in bytes that the shards of each file say it has; nothing for whole files."""
        found: dict[str, int] = {}
        for item in self.resources:
            if item.part.end is not None:
                found[item.part.name] = max(found.get(item.part.name, 0), item.part.end)
        return found


def root_digest(resources: Sequence[Resource]) -> str:
    """Return SHA-256 over the concatenated digests (section 6.5.1); names are no part of it."""
    joined = b"".join(bytes.fromhex(item.digest) for item in resources)
    return hashlib.sha256(joined).hexdigest()


def read_manifest(statement: Statement) -> Manifest:
    """Read the predicate of a model signature. Raises ``Refused`` where it cannot be meant."""
    serialization = expect(statement.predicate.get("serialization"), dict, "serialization")
    how = _read_serialisation(serialization)
    ignored = expect(serialization.get("ignore_paths", []), list, "ignore_paths")
    resources = expect(statement.predicate.get("resources"), list, "resources")
    if not resources:
        raise Refused(Code.EMPTY, "the signature covers no file at all")
    return Manifest(
        tuple(_read_resource(item, f"resources[{i}]", how) for i, item in enumerate(resources)),
        tuple(expect(item, str, "ignore_paths[]") for item in ignored),
        how,
    )


def read_digest(value: object, place: str, kind: Hash) -> str:
    """Read a digest in lower-case hexadecimal. Raises ``Refused``."""
    if not isinstance(value, str) or len(value) != kind.digits or not _HEX.fullmatch(value):
        text = f"{place}.digest is not a {kind} of {kind.digits} digits in lower-case hex"
        raise Refused(Code.DIGEST_FORMAT, text)
    return value


def is_clean(name: str) -> bool:
    """Whether a name is the one spelling of a path inside the model's folder (section 6.1.2)."""
    if not name or "\\" in name or not name.isprintable():
        return False
    return all(part not in {"", ".", ".."} for part in name.split("/"))


def hides(path: str, name: str) -> bool:
    """Whether the ignored ``path`` leaves out the file ``name`` (section 6.2.1)."""
    return name == path or name.startswith(f"{path}/")


def _read_serialisation(found: Mapping[str, object]) -> Serialisation:
    method = found.get("method")
    if not isinstance(method, str) or method not in {FILES, SHARDS}:
        raise Refused(
            Code.METHOD, f"the method {quoted(method)} is not known; sign {FILES} or {SHARDS}"
        )
    kind = found.get("hash_type")
    if not isinstance(kind, str) or kind not in set(Hash):
        raise Refused(Code.HASH_TYPE, f"the hash {quoted(kind)} is none of {', '.join(Hash)}")
    if expect(found.get("allow_symlinks"), bool, "allow_symlinks"):
        # Followed links reach outside the folder, and linked folders were never walked.
        raise Refused(Code.SYMLINKS, "the signer followed symbolic links")
    return Serialisation(Hash(kind), _read_shard(found) if method == SHARDS else None)


def _read_shard(found: Mapping[str, object]) -> int:
    size = found.get("shard_size")
    if isinstance(size, float) and size.is_integer():
        size = int(size)  # the reference writes whole numbers as 1000000000.0
    if expect(size, int, "shard_size") < LEAST_SHARD:
        raise Refused(Code.SHARDS, f"shard_size must be at least {LEAST_SHARD} bytes")
    return expect(size, int, "shard_size")


def _read_resource(value: object, place: str, how: Serialisation) -> Resource:
    found = expect(value, dict, place)
    name = expect(found.get("name"), str, f"{place}.name")
    algorithm = found.get("algorithm")
    if not isinstance(algorithm, str) or algorithm not in how.algorithms:
        raise Refused(Code.HASH_TYPE, f"{place} is hashed with {quoted(algorithm)}")
    digest = read_digest(found.get("digest"), place, how.hash)
    return Resource(Part(name) if how.shard is None else _read_part(name, place), digest)


def _read_part(name: str, place: str) -> Part:
    found = _SHARD.fullmatch(name)
    if found is None:
        raise Refused(Code.SHARDS, f"{place} is not named as a shard, path:start:end")
    return Part(found[1], int(found[2]), int(found[3]))
