"""What a record says of its attempt and its seed, held against what was counted and drawn here."""

from collections.abc import Iterator
from dataclasses import replace

from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.people.panels import Panel, read_kept
from auditor.seeds import sealed_seed
from auditor.store.service.attempts import Attempts


def counted_here(
    panel: Panel, project: str, submission: str, record: AuditRecord
) -> Iterator[Step]:
    """Yield the steps that a record of a submission has to hold by what this service counted."""
    said, store = record.request.attempt, panel.kept.store
    counted = _attempt(panel, project, submission, record)
    if said is not None and said.number != counted:
        mistake = f"the record says attempt {said.number}, and here it is {counted}"
        yield Step("counted", StepResult.FAILED, mistake)
    own = None if store.signer is None else store.signer.key
    yield from (replace(step, name="drawn here") for step in sealed_seed(record, own))


def _attempt(panel: Panel, project: str, submission: str, record: AuditRecord) -> int | None:
    """Return the attempt of a submission, or of that whose evidence its record judges again."""
    attempts = Attempts(panel.kept.store)
    number = attempts.number(submission)
    while number is None and record.derived_from is not None:
        kept = panel.rejudged.record(project, record.derived_from)
        if kept is None:
            return None
        record, number = read_kept(kept), attempts.number(kept.submission)
    return number
