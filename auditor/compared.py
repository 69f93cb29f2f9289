"""The record of a project that an audit at a service is held against, once its signature holds."""

from auditor.baselines import signed_record
from auditor.contested import challenges_against, refuse_contested
from auditor.domain.records import AuditRecord
from auditor.domain.steps import StepResult
from auditor.errors import RecordError
from auditor.folders import SIGNER
from auditor.holding import book_of
from auditor.keeping import REPORT_ROLE
from auditor.keyaudits import signer_here
from auditor.manifests import as_kept
from auditor.refusals import SubmissionError
from auditor.store.service.rejudged import Rejudgements
from auditor.store.store import Store

CURE = "GET /v1/audits names the records of each audit; take one of an earlier version."


def compared_here(store: Store, project: str, named: str, model: str) -> AuditRecord:
    """Return the record of a project under a digest, to hold another audit of a model against.

    It is kept among the blobs from now on, where whoever audits reads it. Raises
    ``SubmissionError`` for one that the project has not, that is of another model, that no report
    key of this service signed that still counts, or that was challenged.
    """
    kept = Rejudgements(store).record(project, named)
    with store.looking() as work:
        stored = None if kept is None else work.find_record_by_digest(named)
    if kept is None or stored is None:
        raise SubmissionError(f"the project has no record {named} as a baseline", cure=CURE)
    folder = as_kept(store.blobs, kept.files)
    try:
        key = folder.read(SIGNER)
        record = signed_record(stored.body, stored.bundle, key, named)
        _refuse_signer(store, record, key)
        refuse_contested(record, challenges_against(record, folder, store))
    except RecordError as error:
        raise SubmissionError(error.problem, cure=CURE) from None
    if record.request.name != model:
        raise SubmissionError(
            f"the baseline {named} is a record of {record.request.name}, and what is audited is "
            f"{model}: their figures are not compared",
            cure=f"Name a record of {model}.",
        )
    store.blobs.put(stored.body)
    return record


def _refuse_signer(store: Store, record: AuditRecord, key: bytes) -> None:
    life = book_of(store.key_entries()).lives.get(key.decode(errors="replace"))
    step = signer_here(store, record, key)
    if life is None or life.role != REPORT_ROLE or step.result is not StepResult.HOLDS:
        raise RecordError(
            f"the baseline {record.digest} is signed by no report key of this service that counts: "
            f"{step.detail}",
            cure=CURE,
        )
