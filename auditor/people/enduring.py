"""How long a yes counts: until an audit of the same bytes does not pass, or it is too old itself.

An approval is of one record. A later record of the same artifact, policy and target that keeps
every rule says nothing against it, so that the approved one opens the gate as before.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import takewhile

from auditor.approving import Known
from auditor.domain.approvals import Answer
from auditor.domain.canonical import digest_json
from auditor.domain.people import DecisionKind, Rejudgement
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Verdict
from auditor.folders import RECORD
from auditor.manifests import as_kept
from auditor.people.gathering import Gathered, approvals_here
from auditor.people.panels import Panel, read_kept
from auditor.store.service.rejudged import Kept, Stands
from auditor.store.service.said import OnRecords, said_on
from auditor.store.store import Store
from auditor.targets.fingerprints import place_of


def spoken_of(panel: Panel, project: str, submissions: Sequence[str]) -> Iterator[Stands]:
    """Yield where submissions stand, the newest first, down to the last that people spoke of.

    To speak of it is to approve or to reject it. It ends at one that does not pass: what was said
    before that was said of something else. The first submission is not looked at.
    """
    later = panel.rejudged.stand(submissions)[1:]
    stands = tuple(takewhile(lambda item: item.verdict == Verdict.PASS.value, later))
    said = _said(panel, project, tuple(item.record for item in stands))
    last = max((at for at, item in enumerate(stands, start=1) if item.record in said), default=0)
    yield from stands[:last]


def is_refused(told: Gathered, submission: str, now: str) -> bool:
    """Whether anybody said no to any record of a submission: to judge again shakes nothing off.

    A no is taken back by a yes to the same record that is in force.
    """
    store, records = told.panel.kept.store, told.records[submission]
    return refused(store, told.said, records, told.company.ended, now)


def refused(
    store: Store,
    said: OnRecords,
    records: Iterable[Rejudgement],
    ended: Mapping[str, str],
    now: str,
) -> bool:
    """Whether somebody said no to any of some records, as ``is_refused``.

    ``ended`` are the keys (PEM) whose word is over.
    """
    return any(True for _ in refusals(store, said, records, ended, now))


def refusals(
    store: Store,
    said: OnRecords,
    records: Iterable[Rejudgement],
    ended: Mapping[str, str],
    now: str,
) -> Iterator[str]:
    """Yield every no to any of some records that stands, and what may be one: in words."""
    for item in records:
        folder = as_kept(store.blobs, item.files)
        kept = Kept(item.submission, item.record, folder.read(RECORD), item.files)
        known = approvals_here(store, said, read_kept(kept), folder)
        yield from known.unreadable
        yield from _standing(known, ended, now)


def _standing(known: Known, ended: Mapping[str, str], now: str) -> Iterable[str]:
    stands = dict[str, str]()
    for item in known.said:
        if item.approval.answer is Answer.NO:
            stands[item.identity] = str(item.approval)
        elif not item.approval.lapse(now) and item.key.decode() not in ended:
            stands.pop(item.identity, None)
    return stands.values()


def same_place(one: AuditRecord, other: AuditRecord, target: str | None) -> bool:
    """Whether two records were made on the same machines, on a target or on each."""
    names = [spec.name for spec in one.request.targets] if target is None else [target]
    return all(_place(one, name) == _place(other, name) is not None for name in names)


def _place(record: AuditRecord, target: str) -> str | None:
    found = record.fingerprints.get(target)
    return None if found is None else digest_json(place_of(found.identity_facts))


def _said(panel: Panel, project: str, records: tuple[str, ...]) -> frozenset[str]:
    """Return of which records anybody said yes or no, at the service or on this very machine."""
    here = said_on(panel.kept.store, project, records).about(DecisionKind.APPROVAL, records)
    with panel.kept.store.looking() as work:
        kept = frozenset(work.approvals_of(records))
    return frozenset(item.record for item in here if item.record is not None) | kept
