"""Publishes a record as files: signed, rendered, and written whole."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from auditor.checks.registry import check_origins
from auditor.domain.checks import Check
from auditor.domain.digests import Digest
from auditor.domain.json import encode_canonical, parse_json
from auditor.domain.policies import Policy
from auditor.domain.record_scope import find_bound_artifact
from auditor.domain.records import AuditRecord
from auditor.errors import BrokenCheckError
from auditor.inputs.auditfile.system_files import load_dossier
from auditor.reports.attestations import build_statements
from auditor.reports.folder import BUNDLE, EVIDENCE, KEY, PAPER, RECORD, ROWS, SIGNER
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.report_formats import render_folder_files
from auditor.reports.schemas import validate_record
from auditor.trust.disclosure import DisclosureKey
from auditor.trust.signatures.keys import Signer
from auditor.trust.signatures.records import sign_record, sign_statement

ReadBlob = Callable[[str], bytes]


@dataclass(frozen=True, slots=True)
class RecordFiles(Mapping[str, bytes]):
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

    def __or__(self, more: Mapping[str, bytes]) -> "RecordFiles":
        """Return these files and others, which come in place of those of the same name."""
        if isinstance(more, RecordFiles):
            return RecordFiles({**self.made, **more.made}, {**self.kept, **more.kept}, self.blob)
        return RecordFiles({**self.made, **more}, self.kept, self.blob)


def build_report_files(  # noqa: PLR0913, PLR0917 -- what is shown, by what, and by whom it is signed
    record: AuditRecord,
    policy: Policy,
    checks: Mapping[str, type[Check]],
    blob: ReadBlob,
    signer: Signer,
    paper: bytes | None = None,
) -> RecordFiles:
    """Return every file of a record's folder by its name, evidence included.

    ``paper`` is the report as a PDF, which is signed with the rest. Raises ``BrokenCheckError``
    when the record does not follow its own schema: what a check put into it would be unreadable
    for others.
    """
    raw = record.canonical()
    mistakes = validate_record(parse_json(raw))
    if mistakes:
        raise BrokenCheckError(
            f"the record does not follow its schema: {mistakes[0]}", cure="Fix the check named."
        )
    artifact = find_bound_artifact(record)
    digest = None if artifact is None else artifact.digest
    shown = dict(render_folder_files(build_rendering_inputs(record, policy, checks, blob)))
    if paper is not None:
        shown[PAPER] = paper
    files = {
        RECORD: raw,
        BUNDLE: sign_record(raw, digest, record.request.name, signer, files=shown),
        SIGNER: signer.public_pem(),
        **shown,
    }
    for name, statement in build_statements(record, policy, blob).items():
        files[name] = sign_statement(statement, signer)
    names = {*record.blobs, *record.request.papers.values()} - {policy.digest}
    kept = {_place(EVIDENCE, name): name for name in sorted(names)}
    there = policy.digest in record.blobs
    own = {_place(EVIDENCE, policy.digest): encode_canonical(policy.document)} if there else {}
    return RecordFiles(files, {}, blob) | RecordFiles(own, kept, blob)


def build_opening_files(secret: DisclosureKey, blob: ReadBlob) -> RecordFiles:
    """Return the files that open committed evidence: the record's key, and the rows themselves."""
    rows = {_place(ROWS, name): plain for name, plain in sorted(secret.blobs.items())}
    return RecordFiles({KEY: secret.emit()}, rows, blob)


def _place(folder: str, digest: str) -> str:
    return f"{folder}/{Digest(digest).hex}"


def build_rendering_inputs(
    record: AuditRecord,
    policy: Policy,
    checks: Mapping[str, type[Check]],
    blob: ReadBlob,
) -> ReportInputs:
    """Return what every rendering of a record is made of, the packages of its checks included."""
    return ReportInputs(
        record=record,
        policy=policy,
        checks=checks,
        blob=blob,
        show_examples=record.request.show_examples,
        dossier=load_dossier(record.request, blob),
        origins=check_origins(),
    )
