"""The record of a project that an audit at a service is held against, as it is handed in."""

from collections.abc import Sequence

from auditor.desks import Desk
from auditor.domain.auditfiles import AuditFile
from auditor.domain.baselines import refuse_same
from auditor.domain.canonical import canonical
from auditor.domain.records import AuditRecord
from auditor.domain.requests import InputFile
from auditor.errors import RecordError
from auditor.people.against import baseline_here
from auditor.refusals import SubmissionError


def compared_here(
    desk: Desk, project: str, named: str, file: AuditFile, inputs: Sequence[InputFile]
) -> AuditRecord:
    """Return the record of a project under a digest, to hold another audit against.

    It is kept among the blobs from now on, where whoever audits reads it. Raises
    ``SubmissionError`` for one that is no baseline by now (``baseline_here``), of another model, or
    of the very files that are handed in.
    """
    model = file.model
    given = {item.file.sha256 for item in inputs if item.path == model.artifact}
    try:
        record = baseline_here(desk.kept.store, project, named, desk.clock())
        refuse_same(None if model.artifact is None else given, record)
    except RecordError as error:
        raise SubmissionError(error.problem, cure=error.cure) from None
    if record.request.name != model.name:
        raise SubmissionError(
            f"the baseline {named} is a record of {record.request.name}, and what is audited is "
            f"{model.name}: their figures are not compared",
            cure=f"Name a record of {model.name}.",
        )
    desk.kept.store.blobs.put(canonical(record.to_json()))
    return record
