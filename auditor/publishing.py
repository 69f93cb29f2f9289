"""From a record to the files that are published: signed, rendered, and written whole."""

from collections.abc import Callable, Mapping

from auditor.attesting import statements
from auditor.checks.discovery import origins
from auditor.disclosing.secrets import Secret
from auditor.domain.canonical import canonical, parse
from auditor.domain.checks import Check
from auditor.domain.policies import Policy
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


def publication(  # noqa: PLR0913, PLR0917 -- what is shown, by what, and by whom it is signed
    record: AuditRecord,
    policy: Policy,
    checks: Mapping[str, type[Check]],
    blob: ReadBlob,
    signer: Signer,
    paper: bytes | None = None,
) -> dict[str, bytes]:
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
    request = record.request
    digest = None if request.artifact is None else request.artifact.digest
    shown = dict(render_all(inputs_of(record, policy, checks, blob)))
    if paper is not None:
        shown[PAPER] = paper
    files = {
        RECORD: raw,
        BUNDLE: sign_record(raw, digest, request.name, signer, files=shown),
        SIGNER: signer.public_pem(),
        **shown,
    }
    for name, statement in statements(record, policy, blob).items():
        files[name] = sign_statement(statement, signer)
    return files | _evidence(record, policy, blob)


def _evidence(record: AuditRecord, policy: Policy, blob: ReadBlob) -> dict[str, bytes]:
    names = [*sorted(record.blobs - {policy.digest}), *record.request.papers.values()]
    return {
        f"{EVIDENCE}/{name.removeprefix('sha256:')}": canonical(policy.document)
        if name == policy.digest
        else blob(name)
        for name in names
    }


def openers(secret: Secret, blob: ReadBlob) -> dict[str, bytes]:
    """Return the files that open committed evidence: the record's key, and the rows themselves."""
    rows = {
        f"{ROWS}/{name.removeprefix('sha256:')}": blob(plain)
        for name, plain in sorted(secret.blobs.items())
    }
    return {KEY: secret.emit(), **rows}


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
