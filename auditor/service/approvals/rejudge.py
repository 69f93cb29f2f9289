"""Re-evaluates stored records for new waivers, and newly ended audits for active waivers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial

from auditor._time import format_time
from auditor.domain.digests import Digest
from auditor.domain.findings import Outcome
from auditor.domain.json import Json, encode_canonical
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.source_locations import SourceFile
from auditor.domain.waivers import SignedWaiver, Waiver, WaiverValidity
from auditor.errors import AuditorError
from auditor.policy.evaluate.engine import WAIVABLE, covers_finding, find_waiver_subject
from auditor.reports.folder import BUNDLE, RECORD, SIGNER
from auditor.reports.manifest import materialize_folder
from auditor.reports.publish import build_report_files
from auditor.service.approvals.people import (
    ApprovalContext,
    load_project_people,
    read_stored_record,
)
from auditor.service.domain.people import DecisionKind, RejudgedRecord
from auditor.service.store.people import (
    DecisionQuery,
    ModelRecordQuery,
    ProjectRecord,
    SubmissionEnding,
)
from auditor.store.unit_of_work import RequestExtent
from auditor.trust.signatures.decisions import verify_waiver
from auditor.workflows.challenge_status import list_challenges, refuse_challenged_record
from auditor.workflows.ledger import append_record_with_proof
from auditor.workflows.rejudge import rejudge_folder

MOST = 1000
"""Waivers of a project that are looked at, the newest: each counts for half a year at most."""


def rejudge_for_waiver(
    panel: ApprovalContext, project: str, waiver: SignedWaiver
) -> tuple[RejudgedRecord, ...]:
    """Judge again the records for which a waiver is, and return what became of them.

    These are the records that gates ask by now, on each target, where they break the rule or leave
    it open, and were not judged with the waiver before. Raises ``RecordError`` for a record that
    does not verify, and as ``refuse_challenged_record``.
    """
    with panel.turn:
        found = tuple(_standing(panel, project, waiver.waiver))
        if not found:
            return ()
        leave = list_active_waivers(panel, project)
        made = []
        for kept, record in found:
            if waiver.ref.digest not in {ref.digest for ref in record.request.waivers} and any(
                _helps(waiver.waiver, record)
            ):
                policy = panel.policy_of(record)
                given = tuple(item for item in leave if any(_helps(item.waiver, record)))
                placed = None if record.places is None else record.places.policy
                fresh, files = rejudge_record(panel, kept, policy, given, placed)
                made.append(panel.rejudged.add(kept.submission, fresh.digest, files, panel.clock()))
        return tuple(made)


def rejudge_model_records(panel: ApprovalContext, project: str, model: str) -> None:
    """Judge a model's records again by the waivers that count now, as ``rejudge_for_waiver``
    does.
    """
    for waiver in list_active_waivers(panel, project):
        if waiver.waiver.model == model:
            rejudge_for_waiver(panel, project, waiver)


def list_active_waivers(panel: ApprovalContext, project: str) -> tuple[SignedWaiver, ...]:
    """Return the waivers of a project that count now: in force, of people who may waive."""
    may = load_project_people(panel, project).deciders(DecisionKind.WAIVER)
    sought = DecisionQuery(kind=DecisionKind.WAIVER, limit=MOST)
    kept = [
        item
        for item in panel.people.decisions(project, sought)
        if item.key.encode() in may.keys and item.key not in may.ended
    ]
    signed = [
        verify_waiver(it.bundle, it.key.encode(), build_waiver_file_name(it.digest)) for it in kept
    ]
    now = panel.clock()
    return tuple(item for item in signed if item.waiver.life(now) is WaiverValidity.VALID)


def build_waiver_file_name(bundle: str) -> str:
    """Return the name under which a record speaks of a waiver that was handed in."""
    return f"waiver-{Digest(bundle).hex[:12]}.json"


def is_complete_request(record: AuditRecord, policy: Policy) -> bool:
    """Whether a record was asked for as much as a policy asks."""
    request = record.request
    return RequestExtent(request.budget, not request.only).covers(policy.least_budget)


def _standing(
    panel: ApprovalContext, project: str, waiver: Waiver
) -> Iterator[tuple[ProjectRecord, AuditRecord]]:
    """Yield the records by which gates that a waiver speaks of decide now, each once."""
    like = ModelRecordQuery(project, waiver.model, waiver.artifact, waiver.policy_digest)
    first = [(it, read_stored_record(it)) for it in panel.rejudged.first_like(like)]
    fitting = [pair for pair in first if not waiver.foreign_to(find_waiver_subject(pair[1]))]
    seen: set[str] = set()
    records = (record for _, record in fitting)
    alike = tuple(dict.fromkeys(_group(record) for record in records))
    for group in alike:
        found = [pair for pair in fitting if group == _group(pair[1])]
        policy = panel.policy_of(found[0][1])
        for target in _targets(record for _, record in found):
            there = [pair for pair in found if target in _targets([pair[1]])]
            kept, record = next(
                (it for it in there if is_complete_request(it[1], policy)), there[0]
            )
            if waiver.target in {None, target} and kept.submission not in seen:
                seen.add(kept.submission)
                last = panel.rejudged.last(kept.submission)
                yield (kept, record) if last is None else (last, read_stored_record(last))


def rejudge_record(
    panel: ApprovalContext,
    kept: ProjectRecord,
    policy: Policy,
    waivers: tuple[SignedWaiver, ...] = (),
    placed: SourceFile | None = None,
) -> tuple[AuditRecord, str]:
    """Judge a record's evidence by a policy into a new record, and return it with its manifest.

    It is signed and entered, and no model is run. Raises ``RecordError`` for a record that does not
    verify, and as ``refuse_challenged_record``.
    """
    store, record = panel.kept.store, read_stored_record(kept)
    around = replace(
        panel.around,
        assurance=record.assurance,
        unit_of_work=partial(store.unit_of_work, panel.kept.owner(kept.submission)),
    )
    with materialize_folder(store.blobs, kept.files) as folder:
        read_stored_record(replace(kept, body=folder.read(RECORD)))
        refuse_challenged_record(record, list_challenges(record, folder, panel.kept.store))
        verifier = panel.verifier(folder.read(SIGNER))
        fresh = rejudge_folder(folder, record, policy, verifier, around, waivers, placed)
    files = build_report_files(fresh, policy, panel.checks, store.blobs.get, panel.signer)
    files |= append_record_with_proof(store, fresh, files[BUNDLE])
    names: dict[str, Json] = {name: store.blobs.put(files[name]) for name in sorted(files)}
    return fresh, store.blobs.put(encode_canonical(names))


def _helps(waiver: Waiver, record: AuditRecord) -> Iterator[bool]:
    """Yield of each finding of a record whether a waiver changes it, or keeps it waived."""
    if not waiver.foreign_to(find_waiver_subject(record)):
        for item in record.findings:
            yield item.outcome in WAIVABLE | {Outcome.WAIVED} and covers_finding(waiver, item)


def _group(record: AuditRecord) -> tuple[str | None, str]:
    audited = find_waiver_subject(record)
    return audited.artifact, audited.policy_digest


def _targets(records: Iterable[AuditRecord]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(spec.name for it in records for spec in it.request.targets))


BACK = timedelta(days=1)
"""How far each look goes back: an audit is kept some time after the time at which it ended."""


@dataclass(slots=True)
class WaiverFollower:
    """Judges again what ended without a pass and was not seen before, where a waiver is for it."""

    panel: ApprovalContext
    seen: frozenset[str] = field(default_factory=frozenset)

    def follow(self) -> None:
        """Look once. What fails is not tried again, and is judged when the waiver is sent again.

        Raises as ``rejudge_for_waiver``, once every project had its turn.
        """
        panel = self.panel
        since = format_time(datetime.fromisoformat(panel.clock()).astimezone(UTC) - BACK)
        projects = panel.people.deciding(DecisionKind.WAIVER)
        found = panel.rejudged.unpassed(projects, since) if projects else ()
        fresh = [item for item in found if item.submission not in self.seen]
        self.seen = frozenset(item.submission for item in found)
        failures = []
        for project in dict.fromkeys(item.project for item in fresh):
            try:
                _follow(panel, project, [item for item in fresh if item.project == project])
            except AuditorError as error:
                failures.append(error)
        if failures:
            raise failures[0]


def _follow(panel: ApprovalContext, project: str, fresh: Sequence[SubmissionEnding]) -> None:
    for model in dict.fromkeys(item.model for item in fresh):
        rejudge_model_records(panel, project, model)
