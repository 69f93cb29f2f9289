"""How long a yes counts: until an audit of the same bytes does not pass, or it is too old itself.

An approval is of one record. A later record of the same artifact, policy and target that keeps
every rule says nothing against it, so that the approved one opens the gate as before.
"""

from collections.abc import Iterator, Sequence

from auditor.domain.approvals import Answer
from auditor.domain.canonical import digest_json
from auditor.domain.people import DecisionKind
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Verdict
from auditor.folders import RecordFolder
from auditor.people.naming import company
from auditor.people.panels import Panel
from auditor.people.standing import approvals_here
from auditor.store.service.rejudged import Stands
from auditor.targets.fingerprints import place_of


def spoken_of(panel: Panel, project: str, submissions: Sequence[str]) -> Iterator[Stands]:
    """Yield the records of submissions, the newest first, that somebody approved or rejected.

    It ends at one that does not pass, or in which somebody found something wrong: what was said
    before that was said of something else. The first submission is not looked at.
    """
    stands = panel.rejudged.stand(submissions)[1:]
    records = tuple(item.record for item in stands)
    said = _said(panel, project, records)
    wrong = {it.record for it in panel.people.about(project, DecisionKind.FINDING, records)}
    for item in stands:
        if item.verdict != Verdict.PASS.value or item.record in wrong:
            return
        if item.record in said:
            yield item


def is_refused(
    panel: Panel, project: str, record: AuditRecord, folder: RecordFolder, now: str
) -> bool:
    """Whether anybody said no to a record, and has not taken it back by a yes that is in force."""
    ended, refused = company(panel, project).ended, set[str]()
    for item in approvals_here(panel, project, record, folder).said:
        if item.approval.answer is Answer.NO:
            refused.add(item.identity)
        elif not item.approval.lapse(now) and item.key.decode() not in ended:
            refused.discard(item.identity)
    return bool(refused)


def same_place(one: AuditRecord, other: AuditRecord, target: str | None) -> bool:
    """Whether two records were made on the same machines, on a target or on each."""
    names = [spec.name for spec in one.request.targets] if target is None else [target]
    return all(_place(one, name) == _place(other, name) is not None for name in names)


def _place(record: AuditRecord, target: str) -> str | None:
    found = record.fingerprints.get(target)
    return None if found is None else digest_json(place_of(found.identity_facts))


def _said(panel: Panel, project: str, records: tuple[str, ...]) -> frozenset[str]:
    """Return of which records anybody said yes or no, at the service or on this very machine."""
    here = panel.people.about(project, DecisionKind.APPROVAL, records)
    with panel.kept.store.looking() as work:
        kept = {record for record in records if work.approvals(record)}
    return frozenset(item.record for item in here if item.record is not None) | kept
