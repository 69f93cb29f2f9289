"""What is kept apart from a record: its key, and what its hidden digests stand for."""

import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace

from auditor.disclosing.commitments import KEY
from auditor.domain.artifacts import FileDigest
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
            part = Part(parse(raw), "the record's key")
            found = _read(part)
        except (ValueError, RecursionError, RecordError):
            found = None
        if found is None or found.emit() != raw:
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
    lets whoever has all of it but one value try out that value; so does its size.
    """
    opened: dict[str, FileDigest] = {}
    inputs = []
    for item in request.inputs:
        hidden = item
        if item.path in paths:
            name = hide(key, f"sha256:{item.file.sha256}")
            file = replace(item.file, size=0, sha256=name.removeprefix("sha256:"))
            hidden, opened[name] = InputFile(item.path, file), item.file
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


def _own(file: FileDigest, secret: Secret) -> FileDigest:
    own = secret.inputs.get(f"sha256:{file.sha256}")
    if own is None:
        return file
    if hide(secret.key, f"sha256:{own.sha256}") != f"sha256:{file.sha256}":
        raise RecordError(
            f"the record's key does not stand for the input {file.name}",
            cure="Take the folder as auditor wrote it, unchanged.",
        )
    return replace(file, size=own.size, sha256=own.sha256)


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
