"""The manifest inside a model signature: which files, under which names, with which digests.

Source: OpenSSF Model Signing 1.0 (github.com/ossf/model-signing-spec), sections 5 and 6.
Here is the strict profile: every MUST of the specification, and whatever would let two verifiers
see two different models. What the specification asks verifiers to ignore is ignored.
"""

import hashlib
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.signatures.objections import Code, Grade, Objection, Refused, quoted
from auditor.signatures.statements import Statement, is_sha256
from auditor.signatures.strict import expect

METHOD = "files"
HASH = "sha256"
LONE = "."
"""What ``model_signing`` writes as the name of a model's only file; the specification says its
own name."""


@dataclass(frozen=True, slots=True)
class Resource:
    """A signed file: its name and hexadecimal SHA-256."""

    name: str
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The signed files in the order signed, and the paths that the signer says it left out."""

    resources: tuple[Resource, ...]
    ignored: tuple[str, ...]

    @property
    def digests(self) -> Mapping[str, str]:
        """Digest by name."""
        return {item.name: item.digest for item in self.resources}


def root_digest(resources: Sequence[Resource]) -> str:
    """Return SHA-256 over the concatenated digests (section 6.5.1); names are no part of it."""
    joined = b"".join(bytes.fromhex(item.digest) for item in resources)
    return hashlib.sha256(joined).hexdigest()


def read_manifest(statement: Statement) -> Manifest:
    """Read the predicate of a model signature. Raises ``Refused`` where it cannot be meant."""
    serialization = expect(statement.predicate.get("serialization"), dict, "serialization")
    _check_serialization(serialization)
    ignored = expect(serialization.get("ignore_paths", []), list, "ignore_paths")
    resources = expect(statement.predicate.get("resources"), list, "resources")
    if not resources:
        raise Refused(Code.EMPTY, "the signature covers no file at all")
    return Manifest(
        tuple(_read_resource(item, f"resources[{i}]") for i, item in enumerate(resources)),
        tuple(expect(item, str, "ignore_paths[]") for item in ignored),
    )


def object_to_manifest(manifest: Manifest, statement: Statement) -> tuple[Objection, ...]:
    """Return what speaks against a manifest by itself, before any file is looked at."""
    found: list[Objection] = []
    names = [item.name for item in manifest.resources]
    found += [_unclean(name) for name in names if not is_clean(name) and names != [LONE]]
    if names == [LONE]:
        found.append(_LONE_NAME)
    found += [_unclean_ignored(path) for path in manifest.ignored if not _may_ignore(path)]
    found += _object_to_names(names)
    if len(statement.subjects) != 1:
        text = f"the statement must have one subject, and has {len(statement.subjects)}"
        found.append(Objection(Code.SUBJECT, text))
    elif statement.subjects[0].sha256 != root_digest(manifest.resources):
        found.append(Objection(Code.ROOT, "the subject's digest is not that of the manifest"))
    return tuple(found)


def is_clean(name: str) -> bool:
    """Whether a name is the one spelling of a path inside the model's folder (section 6.1.2)."""
    if not name or "\\" in name or not name.isprintable():
        return False
    return all(part not in {"", ".", ".."} for part in name.split("/"))


def hides(path: str, name: str) -> bool:
    """Whether the ignored ``path`` leaves out the file ``name`` (section 6.2.1)."""
    return name == path or name.startswith(f"{path}/")


def _check_serialization(found: Mapping[str, object]) -> None:
    method = found.get("method")
    if method != METHOD:
        raise Refused(Code.METHOD, f"the method {quoted(method)} is not supported; sign {METHOD!r}")
    if found.get("hash_type") != HASH:
        text = f"the hash {quoted(found.get('hash_type'))} is not supported; sign with {HASH}"
        raise Refused(Code.HASH_TYPE, text)
    if expect(found.get("allow_symlinks"), bool, "allow_symlinks"):
        # Followed links reach outside the folder, and linked folders were never walked.
        raise Refused(Code.SYMLINKS, "the signer followed symbolic links")


def _read_resource(value: object, place: str) -> Resource:
    found = expect(value, dict, place)
    name = expect(found.get("name"), str, f"{place}.name")
    if found.get("algorithm") != HASH:
        raise Refused(Code.HASH_TYPE, f"{place} is hashed with {quoted(found.get('algorithm'))}")
    digest = found.get("digest")
    if not isinstance(digest, str) or not is_sha256(digest):
        raise Refused(Code.DIGEST_FORMAT, f"{place}.digest is not a SHA-256 in lower-case hex")
    return Resource(name, digest)


def _object_to_names(names: list[str]) -> list[Objection]:
    found: list[Objection] = []
    seen: dict[str, str] = {}
    for before, name in zip(["", *names], names, strict=False):
        if name < before:
            text = f"{quoted(name)} stands after {quoted(before)}: names must be sorted"
            found.append(Objection(Code.RESOURCE_ORDER, text))
        folded = unicodedata.normalize("NFC", name).casefold()
        if folded in seen:
            found.append(_one_file_twice(seen[folded], name))
        seen[folded] = name
    return found


def _one_file_twice(first: str, second: str) -> Objection:
    if first == second:
        return Objection(Code.DUPLICATE, f"{quoted(first)} is signed twice")
    # Case and composition: a file system may take one for the other.
    text = f"{quoted(first)} and {quoted(second)} are the same file on some machines"
    return Objection(Code.COLLISION, text)


def _may_ignore(path: str) -> bool:
    return is_clean(path) and not set(path) & set("*?[")


def _unclean(name: str) -> Objection:
    return Objection(Code.RESOURCE_NAME, f"{quoted(name)} is not a plain path inside the model")


def _unclean_ignored(path: str) -> Objection:
    text = f"ignore_paths holds {quoted(path)}, which is not a plain path inside the model"
    return Objection(Code.IGNORE_PATHS, text)


_LONE_NAME = Objection(
    Code.SINGLE_FILE_NAME,
    "the signature names the model's only file '.', so it binds the content and not the name",
    Grade.WARNING,
)
