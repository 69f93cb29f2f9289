"""From a record to the files that are published: signed, rendered, and written whole."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from auditor.attesting import statements
from auditor.checks.discovery import origins
from auditor.disclosing.secrets import Secret
from auditor.domain.canonical import canonical, parse
from auditor.domain.checks import Check
from auditor.domain.policies import Policy
from auditor.domain.record_scopes import bound_artifact
from auditor.domain.records import AuditRecord
from auditor.dossiers import dossier_of
from auditor.errors import BrokenCheckError
from auditor.folders import BUNDLE, EVIDENCE, KEY, PAPER, RECORD, ROWS, SIGNER
from auditor.rendering.everything import render_all
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.schemas import validate_record
from auditor.signatures.keys import Signer
from auditor.signing.records import sign_record, sign_statement

ReadBlob = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class Files(Mapping[str, bytes]):
    """The files of a record's folder by name: what was made for it, and blobs that lie in a store.

    A blob (``kept`` has digests by name) is read when it is asked for and not held, so that
    evidence of gigabytes is written out one item at a time.
    """

    made: Mapping[str, bytes]
    kept: Mapping[str, str]
    blob: ReadBlob

    def __getitem__(self, name: str) -> bytes:
        """Return the bytes of a file."""
        return self.made[name] if name in self.made else self.blob(self.kept[name])

    def __iter__(self) -> Iterator[str]:
        """Yield the names."""
        yield from self.made
        yield from (name for name in self.kept if name not in self.made)

    def __len__(self) -> int:
        """Count the files."""
        return len({*self.made, *self.kept})

    def __or__(self, more: Mapping[str, bytes]) -> "Files":
        """Return these files and others, which come in place of those of the same name."""
        if isinstance(more, Files):
            return Files({**self.made, **more.made}, {**self.kept, **more.kept}, self.blob)
        return Files({**self.made, **more}, self.kept, self.blob)


def publication(  # noqa: PLR0913, PLR0917 -- what is shown, by what, and by whom it is signed
    record: AuditRecord,
    policy: Policy,
    checks: Mapping[str, type[Check]],
    blob: ReadBlob,
    signer: Signer,
    paper: bytes | None = None,
) -> Files:
    """Return every file of a record's folder by its name, evidence included.

    ``paper`` is the report as a PDF, which is signed with the rest. Raises ``BrokenCheckError``
    when the record does not follow its own schema: what a check put into it would be unreadable
    for others.
    """
    raw = record.canonical()
    mistakes = validate_record(parse(raw))
    if mistakes:
        raise BrokenCheckError(
            f"the record does not follow its schema: {mistakes[0]}", cure="Mend the check named."
        )
    artifact = bound_artifact(record)
    digest = None if artifact is None else artifact.digest
    shown = dict(render_all(inputs_of(record, policy, checks, blob)))
    if paper is not None:
        shown[PAPER] = paper
    files = {
        RECORD: raw,
        BUNDLE: sign_record(raw, digest, record.request.name, signer, files=shown),
        SIGNER: signer.public_pem(),
        **shown,
    }
    for name, statement in statements(record, policy, blob).items():
        files[name] = sign_statement(statement, signer)
    return Files(files, {}, blob) | _evidence(record, policy, blob)


def _evidence(record: AuditRecord, policy: Policy, blob: ReadBlob) -> Files:
    names = {*record.blobs, *record.request.papers.values()} - {policy.digest}
    kept = {_place(EVIDENCE, name): name for name in sorted(names)}
    there = policy.digest in record.blobs
    own = {_place(EVIDENCE, policy.digest): canonical(policy.document)} if there else {}
    return Files(own, kept, blob)


def openers(secret: Secret, blob: ReadBlob) -> Files:
    """Return the files that open committed evidence: the record's key, and the rows themselves."""
    rows = {_place(ROWS, name): plain for name, plain in sorted(secret.blobs.items())}
    return Files({KEY: secret.emit()}, rows, blob)


def _place(folder: str, digest: str) -> str:
    return f"{folder}/{digest.removeprefix('sha256:')}"


def inputs_of(
    record: AuditRecord,
    policy: Policy,
    checks: Mapping[str, type[Check]],
    blob: ReadBlob,
) -> RenderedInputs:
    """Return what every rendering of a record is made of, the packages of its checks included."""
    return RenderedInputs(
        record=record,
        policy=policy,
        checks=checks,
        blob=blob,
        show_examples=record.request.show_examples,
        dossier=dossier_of(record.request, blob),
        origins=origins(),
    )
