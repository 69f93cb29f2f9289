"""The rows of a record: all of them follow from the record and its signature."""

from collections.abc import Iterator

from auditor.domain.canonical import digest
from auditor.domain.records import AuditRecord
from auditor.store.tables import RecordRow, RecordTargetRow


def record_row(record: AuditRecord, bundle: bytes) -> RecordRow:
    """Return the row of a record."""
    request = record.request
    body = record.canonical()
    return RecordRow(
        digest=digest(body),
        id=record.id,
        request_digest=request.digest,
        derived_from=record.derived_from,
        verdict=record.verdict.value,
        assurance=record.assurance.name,
        model_name=request.name,
        model_version=request.version,
        artifact_digest=None if request.artifact is None else request.artifact.digest,
        policy_digest=request.policy.digest,
        registered=record.registered,
        finished=record.finished,
        body=body,
        bundle=bundle,
    )


def target_rows(record: AuditRecord, record_digest: str) -> Iterator[RecordTargetRow]:
    """Return the rows of the targets that a record speaks of."""
    for target in record.request.targets:
        fingerprint = record.fingerprints.get(target.name)
        identity = None if fingerprint is None else fingerprint.identity
        yield RecordTargetRow(record_digest=record_digest, target=target.name, identity=identity)
