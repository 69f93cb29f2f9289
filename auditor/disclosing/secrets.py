"""What is kept apart from a record: its key, and what its hidden digests stand for."""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from auditor.disclosing.commitments import KEY
from auditor.domain.artifacts import FileDigest, digest_files
from auditor.domain.canonical import canonical, parse
from auditor.domain.disclosures import Disclosure
from auditor.domain.json_parts import Part
from auditor.domain.requests import AuditRequest, InputFile
from auditor.errors import RecordError

KIND = "auditor/disclosure-key/v1"
_DATA = b"auditor/data/v1\x00"
_MEMBERS = {"blobs", "inputs", "key", "kind"}


@dataclass(frozen=True, slots=True)
class Secret:
    """A record's key. Who has it can open everything; once it is destroyed nobody can.

    ``blobs`` maps commitments to the digests of the blobs that they stand for, ``inputs`` the
    hidden digests of data files to their own.
    """

    key: bytes
    blobs: Mapping[str, str] = field(default_factory=dict)
    inputs: Mapping[str, FileDigest] = field(default_factory=dict)

    def emit(self) -> bytes:
        """Return canonical JSON."""
        return canonical(
            {
                "kind": KIND,
                "key": self.key.hex(),
                "blobs": dict(self.blobs),
                "inputs": {name: item.to_json() for name, item in self.inputs.items()},
            }
        )

    @classmethod
    def parse(cls, raw: bytes) -> "Secret":
        """Read the JSON. Raises ``RecordError``."""
        try:
            found = _read(Part(parse(raw), "the record's key"))
            sound = found is not None and found.emit() == raw
        except (ValueError, RecursionError, RecordError):
            found, sound = None, False
        if found is None or not sound:
            raise RecordError(
                "the record's key is not of its form",
                cure="Take it as auditor wrote it, or leave it out.",
            )
        return found


def conceal(
    request: AuditRequest, paths: Collection[str], key: bytes
) -> tuple[AuditRequest, Secret]:
    """Return a request that names its data by hidden digests, and what opens them.

    ``paths`` are those of data files, as the audit file writes them. A plain digest of a file
    lets whoever has all of it but one value try out that value; so does its size. The name of a
    picture may be its label.
    """
    opened: dict[str, FileDigest] = {}
    inputs = []
    for item in request.inputs:
        hidden = item
        if item.path in paths:
            file = _hidden(item.file, key)
            hidden, opened[f"sha256:{file.sha256}"] = InputFile(item.path, file), item.file
        inputs.append(hidden)
    datasets = tuple(replace(one, digest=hide(key, one.digest)) for one in request.datasets)
    asked = replace(request, inputs=tuple(inputs), datasets=datasets, disclosure=Disclosure.ROWS)
    return asked, Secret(key, inputs=opened)


def reveal(request: AuditRequest, secret: Secret) -> AuditRequest:
    """Return a request whose inputs are named by their own digests again.

    Raises ``RecordError`` where the secret is another record's.
    """
    found = tuple(replace(item, file=_own(item.file, secret)) for item in request.inputs)
    return replace(request, inputs=found)


def hide(key: bytes, digest: str) -> str:
    """Return what stands for the digest of data: HMAC-SHA256 under a record's key."""
    return "sha256:" + hmac.digest(key, _DATA + digest.encode(), "sha256").hex()


def _hidden(file: FileDigest, key: bytes) -> FileDigest:
    """Return what stands for a file, of whose name, size and bytes it tells nothing."""
    name = hide(key, digest_files((file,))).removeprefix("sha256:")
    return FileDigest(name, 0, name)


def _own(file: FileDigest, secret: Secret) -> FileDigest:
    own = secret.inputs.get(f"sha256:{file.sha256}")
    if own is None:
        return file
    if _hidden(own, secret.key) != file:
        raise RecordError(
            f"the record's key does not stand for the input {own.name}",
            cure="Take the folder as auditor wrote it, unchanged.",
        )
    return own


def _read(part: Part) -> Secret | None:
    key = bytes.fromhex(part.get("key", str))
    if set(part.value) != _MEMBERS or part.get("kind", str) != KIND or len(key) != KEY:
        return None
    inputs = part.part("inputs")
    files = {name: _file(inputs.part(name)) for name in inputs.value}
    blobs = {name: str(digest) for name, digest in part.mapping("blobs").items()}
    return Secret(key, blobs, files)


def _file(part: Part) -> FileDigest:
    return FileDigest(part.get("name", str), part.get("size", int), part.get("sha256", str))
