"""The record folder that an audit writes: its files, its evidence, and how it is replaced whole."""

import errno
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

from auditor.domain.digests import Digest, is_digest
from auditor.domain.json import compute_digest
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.errors import RecordError, UsageError
from auditor.reports.report_formats import list_rendered_files

RECORD = "record.json"
BUNDLE = "record.sigstore.json"
VERDICT = "verdict.vsa.json"
SVR = "verdict.svr.json"
RESULTS = "test-result.json"
LEDGER = "ledger.pub"
SIGNER = "signer.pub"
EVIDENCE = "evidence"
PROOF = "proof.tlog-proof"
KEY_PROOF = "signer.tlog-proof"
TIMESTAMP = "timestamp.tsr"
CHALLENGES = "challenges"
APPROVALS = "approvals"
KEY = "disclosure.key"
ROWS = "rows"
OPENINGS = "openings"
PAPER = "report.pdf"
ERASURE = "erasure.tlog-proof"
FOLDERS = frozenset({EVIDENCE, CHALLENGES, APPROVALS, ROWS, OPENINGS})
DISCLOSURE = frozenset({KEY, ROWS, OPENINGS, ERASURE})
"""What opens committed evidence, whole or in part; no record names it, so that it can go."""
APART = DISCLOSURE | {
    *(RECORD, BUNDLE, VERDICT, SVR, RESULTS, SIGNER, LEDGER, EVIDENCE, PROOF),
    *(KEY_PROOF, TIMESTAMP, CHALLENGES, APPROVALS),
}
"""What shows no record: the record, what it rests on, signatures, and what was put there later."""
EXAMPLES = ".npz"
SIGNED = ".sigstore.json"
PUBLIC = ".pub"
HEX = re.compile(r"[0-9a-f]{64}")
CHALLENGED = re.compile(HEX.pattern + r"\.(sigstore\.json|npz)")
APPROVED = re.compile(HEX.pattern + r"\.(sigstore\.json|pub)")
FORMS = {CHALLENGES: CHALLENGED, APPROVALS: APPROVED}
"""What files are called in folders where they are not called after their digest alone."""
MOST_BYTES = 2**30
"""No file of a record is larger; what is, was not written by an audit."""


@cache
def known_files() -> frozenset[str]:
    """Return the names of all files and folders that an audit writes."""
    return APART | list_rendered_files() | {PAPER}


@dataclass(slots=True)
class FolderReadCache:
    """What was found when each file of a folder was read, and each list of names made, first."""

    bytes: dict[str, bytes] = field(default_factory=dict)
    digests: dict[str, str] = field(default_factory=dict)
    there: dict[str, bool] = field(default_factory=dict)
    listed: dict[str, tuple[str, ...]] = field(default_factory=dict)
    record: AuditRecord | None = None


@dataclass(frozen=True, slots=True)
class RecordFolder:
    """A folder as ``auditor audit`` wrote it, read with suspicion, and once.

    What is found first stays what the folder holds: whoever verifies it and then looks into it
    speaks of one and the same files, though others are put there meanwhile. So there is one
    ``RecordFolder`` of a folder in a command or a call, and all of it takes that one. Files at its
    top are kept in memory. Those below, which may be large, are kept by their digests, and other
    bytes are refused. ``places`` say where the files lie, by name, where that is in no folder of
    its own.
    """

    path: Path
    places: Mapping[str, Path] | None = None
    first: FolderReadCache = field(
        default_factory=FolderReadCache, init=False, repr=False, compare=False
    )

    @property
    def record(self) -> AuditRecord:
        """The record. Raises ``RecordError`` where there is none."""
        if self.first.record is None:
            self.first.record = read_record(self.read(RECORD))
        return self.first.record

    def read(self, name: str) -> bytes:
        """Return a file's bytes. Raises ``RecordError`` when it is not there, or has changed."""
        held = self.first.bytes.get(name)
        if held is not None:
            return held
        raw = _read(self.place(name))
        if "/" not in name:
            self.first.bytes[name] = raw
        elif self.first.digests.setdefault(name, compute_digest(raw)) != compute_digest(raw):
            raise _unreadable(self.place(name), "it changed while it was read")
        return raw

    def place(self, name: str) -> Path:
        """Return where a file of that name lies, if there is one."""
        return (self.places or {}).get(name, self.path / name)

    def has(self, name: str) -> bool:
        """Whether there is anything by that name."""
        kept = self.places
        if kept is not None:
            return name in kept
        return self.first.there.setdefault(
            name, name in self.first.bytes or os.path.lexists(self.path / name)
        )

    def evidence(self, digest: str) -> bytes:
        """Return a blob by its digest. Raises ``RecordError`` when it is missing or damaged."""
        if not is_digest(digest):
            raise RecordError(
                f"the record names the evidence {digest[:80]!r}, which is not a digest",
                cure="Restore the record from its author.",
            )
        name = f"{EVIDENCE}/{Digest(digest).hex}"
        raw = _read(self.place(name))
        if compute_digest(raw) != digest:
            raise RecordError(
                f"{name} is damaged: its bytes have the digest {compute_digest(raw)}",
                cure="Restore the file from the record's author.",
            )
        return raw

    def evidence_names(self) -> tuple[str, ...]:
        """Return the names of the files that lie in the evidence folder."""
        return self.names_in(EVIDENCE)

    def names_in(self, name: str) -> tuple[str, ...]:
        """Return the names of the files that lie in a folder of the record's."""
        if self.places is not None:
            start = f"{name}/"
            return tuple(sorted(it[len(start) :] for it in self.places if it.startswith(start)))
        return self._listed(self.path / name)

    def files(self, apart: Collection[str] = ()) -> dict[str, bytes]:
        """Return every file of a record by its name, but for those and the folders ``apart``."""
        names = [name for name in sorted(known_files() - FOLDERS - {*apart}) if self.has(name)]
        for place in sorted(FOLDERS - {*apart}):
            names += [f"{place}/{name}" for name in self.names_in(place)]
        return {name: self.read(name) for name in names}

    def challenges(self) -> Mapping[str, bytes]:
        """Return the signed challenges that lie in the folder, by their names."""
        found = self.names_in(CHALLENGES)
        names = [f"{CHALLENGES}/{name}" for name in found if Path(name).suffix != EXAMPLES]
        return {name: self.read(name) for name in names}

    def approvals(self) -> tuple[str, ...]:
        """Return the names of the files of approvals that lie in the folder."""
        return tuple(f"{APPROVALS}/{name}" for name in self.names_in(APPROVALS))

    def strangers(self) -> tuple[str, ...]:
        """Return the names of files that no audit writes."""
        if self.places is None:
            top = self._listed(self.path)
        else:
            top = tuple(sorted({name.partition("/")[0] for name in self.places}))
        found = [name for name in top if name not in known_files()]
        for folder in sorted(FOLDERS):
            form = FORMS.get(folder, HEX)
            if self.places is None and (self.path / folder).is_symlink():
                found.append(folder)
            found += [
                f"{folder}/{name}" for name in self.names_in(folder) if not form.fullmatch(name)
            ]
        return tuple(sorted(found))

    def _listed(self, folder: Path) -> tuple[str, ...]:
        found = self.first.listed.get(str(folder))
        if found is None:
            there = folder.iterdir() if folder.is_dir() else ()
            found = tuple(sorted(item.name for item in there))
            self.first.listed[str(folder)] = found
        return found


def _read(place: Path) -> bytes:
    """Return the bytes of a regular file that is no link, looked at and read as one."""
    try:
        # A pipe would block for ever without O_NONBLOCK, and a device may never end.
        opened = os.open(place, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        linked = error.errno == errno.ELOOP
        raise _unreadable(place, "it is a symbolic link" if linked else error.strerror) from None
    with os.fdopen(opened, "rb") as file:
        about = os.fstat(opened)
        if not stat.S_ISREG(about.st_mode):
            raise _unreadable(place, "it is not a regular file")
        if about.st_size > MOST_BYTES:
            raise _unreadable(place, "it is larger than any file of a record")
        try:
            raw = file.read(about.st_size + 1)
        except OSError as error:
            raise _unreadable(place, error.strerror) from None
        if len(raw) != about.st_size:
            raise _unreadable(place, "it changed while it was read")
        return raw


def challenge_name(digest: str, suffix: str) -> str:
    """Return where a challenge or its examples lie in a record's folder, by their digest."""
    return f"{CHALLENGES}/{Digest(digest).hex}{suffix}"


def approval_name(digest: str, suffix: str) -> str:
    """Return where an approval or its signer's key lies in a record's folder, by its digest."""
    return f"{APPROVALS}/{Digest(digest).hex}{suffix}"


def add_challenge(path: Path, bundle: bytes, examples: bytes) -> Path:
    """Put a signed challenge and its examples into a record's folder, and return where.

    Raises ``UsageError`` where the folder cannot be written.
    """
    named = {challenge_name(compute_digest(bundle), SIGNED): bundle}
    named[challenge_name(compute_digest(examples), EXAMPLES)] = examples
    return _add(path, named, "challenge")


def add_approval(path: Path, bundle: bytes, key: bytes) -> Path:
    """Put a signed approval and its public key into a record's folder, and return where.

    Raises ``UsageError`` where the folder cannot be written.
    """
    name = compute_digest(bundle)
    named = {approval_name(name, SIGNED): bundle, approval_name(name, PUBLIC): key}
    return _add(path, named, "approval")


def _add(path: Path, named: Mapping[str, bytes], what: str) -> Path:
    try:
        for name, raw in named.items():
            (path / name).parent.mkdir(exist_ok=True)
            (path / name).write_bytes(raw)
    except OSError as error:
        raise UsageError(
            f"the {what} is in the ledger, and {path} cannot be written: {error.strerror}",
            cure=f"Make the folder writable, and repeat the {what}.",
        ) from None
    return path / next(iter(named))


def _unreadable(place: Path, reason: str | None) -> RecordError:
    return RecordError(
        f"{place} cannot be read: {reason}",
        cure="Name the folder that `auditor audit --out` wrote, with all its files.",
    )


def write_folder(path: Path, files: Mapping[str, bytes]) -> None:
    """Write ``files`` (by relative name) as one folder, in place of an earlier record.

    The folder appears whole or not at all. Raises ``UsageError`` rather than replace a folder
    that holds anything but an earlier record.
    """
    refuse_foreign_files(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = Path(tempfile.mkdtemp(dir=path.parent, prefix=f".{path.name}-"))
        try:
            for name, raw in files.items():
                place = fresh / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(raw)
            current = os.umask(0)
            os.umask(current)
            fresh.chmod(0o755 & ~current)
            # The old record steps aside before the new one takes its place, and goes only after.
            aside = fresh.with_name(f"{fresh.name}-old")
            if path.exists():
                path.replace(aside)
            fresh.replace(path)
            if aside.exists():
                shutil.rmtree(aside)
        finally:
            # Gone already, unless a file could not be read or written.
            shutil.rmtree(fresh, ignore_errors=True)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be written: {error.strerror}", cure="Name another folder with --out."
        ) from None


def refuse_foreign_files(path: Path) -> None:
    """Raise ``UsageError`` when ``path`` holds anything that an audit did not write."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"{path} is not a folder", cure="Name a folder with --out.")
    strangers = RecordFolder(path).strangers() if path.is_dir() else ()
    if strangers:
        raise UsageError(
            f"{path} holds {strangers[0]!r}, which no audit wrote",
            cure="Name an empty or a new folder with --out.",
        )
