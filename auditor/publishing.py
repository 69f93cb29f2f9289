"""From a record to the files that are published: signed, rendered, and written whole."""

from collections.abc import Callable, Mapping

from auditor.attesting import statements
from auditor.disclosing.secrets import Secret
from auditor.domain.canonical import canonical, parse
from auditor.domain.checks import Check
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.errors import BrokenCheckError
from auditor.folders import BUNDLE, EVIDENCE, KEY, RECORD, ROWS, SIGNER
from auditor.rendering.everything import render_all
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.schemas import validate_record
from auditor.signatures.keys import Signer
from auditor.signing.records import sign_record, sign_statement

ReadBlob = Callable[[str], bytes]


def publication(
    record: AuditRecord,
    policy: Policy,
    checks: Mapping[str, type[Check]],
    blob: ReadBlob,
    signer: Signer,
) -> dict[str, bytes]:
    """Return every file of a record's folder by its name, evidence included.

    Raises ``BrokenCheckError`` when the record does not follow its own schema: what a check put
    into it would be unreadable for others.
    """
    raw = record.canonical()
    mistakes = validate_record(parse(raw))
    if mistakes:
        raise BrokenCheckError(
            f"the record does not follow its schema: {mistakes[0]}", cure="Mend the check named."
        )
    request = record.request
    digest = None if request.artifact is None else request.artifact.digest
    shown = rendered(record, policy, checks, blob)
    files = {
        RECORD: raw,
        BUNDLE: sign_record(raw, digest, request.name, signer, files=shown),
        SIGNER: signer.public_pem(),
        **shown,
    }
    for name, statement in statements(record, policy, blob).items():
        files[name] = sign_statement(statement, signer)
    evidence = {item for seen in record.observations for item in seen.evidence.values()}
    for name in sorted(evidence):
        files[f"{EVIDENCE}/{name.removeprefix('sha256:')}"] = blob(name)
    files[f"{EVIDENCE}/{policy.digest.removeprefix('sha256:')}"] = canonical(policy.document)
    return files


def openers(secret: Secret, blob: ReadBlob) -> dict[str, bytes]:
    """Return the files that open committed evidence: the record's key, and the rows themselves."""
    rows = {
        f"{ROWS}/{name.removeprefix('sha256:')}": blob(plain)
        for name, plain in sorted(secret.blobs.items())
    }
    return {KEY: secret.emit(), **rows}


def rendered(
    record: AuditRecord,
    policy: Policy,
    checks: Mapping[str, type[Check]],
    blob: ReadBlob,
) -> Mapping[str, bytes]:
    """Return every rendering of a record by its file name: a pure function of what is signed."""
    return render_all(
        RenderedInputs(
            record=record,
            policy=policy,
            checks=checks,
            blob=blob,
            show_examples=record.request.show_examples,
        )
    )
