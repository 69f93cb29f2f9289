"""The record of a project that another is held against: whether it counts, whenever that is asked.

Whoever hands an audit in chooses its baseline. One that somebody objects to would let a model
through that is no better, and so would the model's own record, or one of his own making.
"""

from collections.abc import Iterator

from auditor.baselines import signed_record
from auditor.contested import challenges_against, refuse_contested
from auditor.domain.baselines import fell_behind, refuse_itself, resting
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.domain.submissions import Submission
from auditor.domain.verdicts import Verdict
from auditor.errors import AuditorError, RecordError
from auditor.folders import SIGNER
from auditor.gates import BASELINE, Question, other_baseline
from auditor.keyaudits import agents_here, report_key_here, signer_here
from auditor.manifests import as_kept
from auditor.people.enduring import refused
from auditor.people.gathering import wrong_with
from auditor.people.naming import company_of
from auditor.store.service.handed import handed_in
from auditor.store.service.rejudged import Kept, Rejudgements
from auditor.store.service.said import said_on
from auditor.store.store import Store

CURE = "GET /v1/audits names the records of each audit; take one of an earlier version."
OWN = (
    "of the same caller: look at that record, and name it if limits may be taken from it "
    "(baseline=DIGEST, --baseline)"
)


def baseline_here(store: Store, project: str, named: str, now: str) -> AuditRecord:
    """Return the record of a project under a digest, if others may be held against it by now.

    Raises ``RecordError`` for one that the project has not, that no report key of this service
    signed that still counts, that failed or fell behind its own baseline, that was challenged, or
    that a person refused or found something wrong with; ``StoreError`` where files are lost.
    """
    kept = Rejudgements(store).record(project, named)
    with store.looking() as work:
        stored = None if kept is None else work.find_record_by_digest(named)
    if kept is None or stored is None:
        raise RecordError(f"the project has no record {named} as a baseline", cure=CURE)
    folder = as_kept(store.blobs, kept.files)
    key = folder.read(SIGNER)
    record = signed_record(stored.body, stored.bundle, key, named)
    _refuse_signer(store, record, key)
    if record.verdict is Verdict.FAIL:
        raise _unfit(named, "failed the policy that it was judged by")
    for rule in fell_behind(record):
        raise _unfit(named, f"did not keep {rule} against its own baseline")
    refuse_contested(record, challenges_against(record, folder, store))
    _refuse_said(store, project, kept, now)
    return record


def held_against(
    store: Store, handed: Submission, record: AuditRecord, question: Question, now: str
) -> Iterator[Step]:
    """Ask whether the baseline of a record counts by now. Yields nothing where it has none.

    ``handed`` is what was handed in for the record. What its verdict rests on, no one caller
    makes and chooses alone: it is the one that the question names, or another caller's.
    """
    named, asked = record.request.baseline, question.baseline
    wrong = () if asked is None else tuple(other_baseline(asked, named))
    if named is None or wrong:
        if wrong:
            yield Step.of(BASELINE, wrong, "")
        return
    try:
        baseline = baseline_here(store, handed.project, named, now)
        refuse_itself(record.request.artifact, baseline)
        rules = resting(question.asked_of(record))
        if asked is None and rules and _made_by(store, handed.project, named) == handed.submitter:
            raise RecordError(f"{', '.join(rules)} rests on the baseline {named}, {OWN}", cure="")
    except AuditorError as error:
        yield Step(BASELINE, StepResult.FAILED, error.problem)
    else:
        of = baseline.request
        yield Step(BASELINE, StepResult.HOLDS, f"held against {of.name} {of.version} ({named})")


def _made_by(store: Store, project: str, named: str) -> str | None:
    """Return who handed in the audit that a record of a project is of."""
    kept = Rejudgements(store).record(project, named)
    found = {} if kept is None else handed_in(store, project, (kept.submission,))
    return next((it.submission.submitter for it in found.values()), None)


def _refuse_said(store: Store, project: str, kept: Kept, now: str) -> None:
    """Refuse what a person objects to: to judge it again shakes nothing off."""
    records = Rejudgements(store).of(kept.submission)
    names = {item.record for item in records}
    said = said_on(store, project, names)
    for problem in wrong_with(said, names):
        raise _unfit(kept.record, f"has a human finding against it: {problem}")
    if refused(store, said, records, company_of(store, project).ended, now):
        raise _unfit(kept.record, "was refused by a person")


def _refuse_signer(store: Store, record: AuditRecord, key: bytes) -> None:
    known, step = report_key_here(store, key), signer_here(store, record, key)
    if any(it.result is not StepResult.HOLDS for it in (known, step)):
        raise _unfit(
            record.digest, f"is signed by no report key of this service that counts: {step.detail}"
        )
    for agents in agents_here(store, record):
        if agents.result is not StepResult.HOLDS:
            raise _unfit(record.digest, f"rests on what does not count: {agents.detail}")


def _unfit(named: str, why: str) -> RecordError:
    return RecordError(f"the baseline {named} {why}", cure=CURE)
