"""What a record says of its attempt and its seed, held against what was counted and drawn here."""

from collections.abc import Iterator
from dataclasses import replace

from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult
from auditor.people.panels import Panel, read_kept
from auditor.seeds import DRAWN_HERE, sealed_seed
from auditor.store.service.attempts import Attempts


def counted_here(
    panel: Panel, project: str, number: int | None, record: AuditRecord
) -> Iterator[Step]:
    """Yield the steps that a record has to hold by what this service counted.

    ``number`` is the attempt of its submission, where that has one.
    """
    said, store = record.request.attempt, panel.kept.store
    counted = _attempt(panel, project, number, record)
    if said is not None and said.number != counted:
        mistake = f"the record says attempt {said.number}, and here it is {counted}"
        yield Step("counted", StepResult.FAILED, mistake)
    own = None if store.signer is None else store.signer.key
    yield from (replace(step, name=DRAWN_HERE) for step in sealed_seed(record, own))


def _attempt(panel: Panel, project: str, number: int | None, record: AuditRecord) -> int | None:
    """Return an attempt, or that of the submission whose evidence a record judges again."""
    while number is None and record.derived_from is not None:
        kept = panel.rejudged.record(project, record.derived_from)
        if kept is None:
            return None
        record, number = read_kept(kept), Attempts(panel.kept.store).number(kept.submission)
    return number
