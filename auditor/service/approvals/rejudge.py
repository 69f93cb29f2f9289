"""What a waiver does at a service: the records that it is for are judged again, with it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial

from auditor.contested import challenges_against, refuse_contested
from auditor.domain.canonical import Json, canonical
from auditor.domain.people import DecisionKind, Rejudgement
from auditor.domain.places import PlacedFile
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.verdicts import Outcome
from auditor.domain.waivers import Life, SignedWaiver, Waiver
from auditor.folders import BUNDLE, RECORD, SIGNER
from auditor.judging.waiving import WAIVABLE, audited_of, covers
from auditor.keeping import entered
from auditor.manifests import laid_out
from auditor.people.naming import company
from auditor.people.panels import Panel, read_kept
from auditor.publishing import publication
from auditor.rejudging import rejudge
from auditor.signatures.decisions import verify_waiver
from auditor.store.extents import Extent
from auditor.store.service.people import Sought
from auditor.store.service.rejudged import Kept, Like

MOST = 1000
"""Waivers of a project that are looked at, the newest: each counts for half a year at most."""


def waived_now(panel: Panel, project: str, waiver: SignedWaiver) -> tuple[Rejudgement, ...]:
    """Judge again the records for which a waiver is, and return what became of them.

    These are the records that gates ask by now, on each target, where they break the rule or leave
    it open, and were not judged with the waiver before. Raises ``RecordError`` for a record that
    does not verify, and as ``refuse_contested``.
    """
    with panel.turn:
        found = tuple(_standing(panel, project, waiver.waiver))
        if not found:
            return ()
        leave = waivers_of(panel, project)
        return tuple(
            _again(panel, kept, record, leave)
            for kept, record in found
            if waiver.ref.digest not in {ref.digest for ref in record.request.waivers}
            and any(_helps(waiver.waiver, record))
        )


def waived_by_now(panel: Panel, project: str, model: str) -> None:
    """Judge a model's records again by the waivers that count now, as ``waived_now`` does."""
    for waiver in waivers_of(panel, project):
        if waiver.waiver.model == model:
            waived_now(panel, project, waiver)


def waivers_of(panel: Panel, project: str) -> tuple[SignedWaiver, ...]:
    """Return the waivers of a project that count now: in force, of people who may waive."""
    may = company(panel, project).deciders(DecisionKind.WAIVER)
    sought = Sought(kind=DecisionKind.WAIVER, limit=MOST)
    kept = [
        item
        for item in panel.people.decisions(project, sought)
        if item.key.encode() in may.keys and item.key not in may.ended
    ]
    signed = [verify_waiver(it.bundle, it.key.encode(), file_name(it.digest)) for it in kept]
    now = panel.clock()
    return tuple(item for item in signed if item.waiver.life(now) is Life.VALID)


def file_name(bundle: str) -> str:
    """Return the name under which a record speaks of a waiver that was handed in."""
    return f"waiver-{bundle.removeprefix('sha256:')[:12]}.json"


def whole(record: AuditRecord, policy: Policy) -> bool:
    """Whether a record was asked for as much as a policy asks."""
    request = record.request
    return Extent(request.budget, not request.only).covers(policy.least_budget)


def _standing(panel: Panel, project: str, waiver: Waiver) -> Iterator[tuple[Kept, AuditRecord]]:
    """Yield the records by which gates that a waiver speaks of decide now, each once."""
    like = Like(project, waiver.model, waiver.artifact, waiver.policy_digest)
    first = [(it, read_kept(it)) for it in panel.rejudged.first_like(like)]
    fitting = [pair for pair in first if not waiver.foreign_to(audited_of(pair[1]))]
    seen: set[str] = set()
    for group in _alike(record for _, record in fitting):
        found = [pair for pair in fitting if group == _group(pair[1])]
        policy = panel.policy_of(found[0][1])
        for target in _targets(record for _, record in found):
            there = [pair for pair in found if target in _targets([pair[1]])]
            kept, record = next((it for it in there if whole(it[1], policy)), there[0])
            if waiver.target in {None, target} and kept.submission not in seen:
                seen.add(kept.submission)
                last = panel.rejudged.last(kept.submission)
                yield (kept, record) if last is None else (last, read_kept(last))


def _again(
    panel: Panel, kept: Kept, record: AuditRecord, leave: Sequence[SignedWaiver]
) -> Rejudgement:
    policy = panel.policy_of(record)
    given = tuple(item for item in leave if any(_helps(item.waiver, record)))
    placed = None if record.places is None else record.places.policy
    fresh, files = judged_again(panel, kept, policy, given, placed)
    return panel.rejudged.add(kept.submission, fresh.digest, files, panel.clock())


def judged_again(
    panel: Panel,
    kept: Kept,
    policy: Policy,
    waivers: tuple[SignedWaiver, ...] = (),
    placed: PlacedFile | None = None,
) -> tuple[AuditRecord, str]:
    """Judge a record's evidence by a policy into a new record, and return it with its manifest.

    It is signed and entered, and no model is run. Raises ``RecordError`` for a record that does not
    verify, and as ``refuse_contested``.
    """
    store, record = panel.kept.store, read_kept(kept)
    around = replace(
        panel.around,
        assurance=record.assurance,
        unit_of_work=partial(store.unit_of_work, panel.kept.owner(kept.submission)),
    )
    with laid_out(store.blobs, kept.files) as folder:
        read_kept(replace(kept, body=folder.read(RECORD)))
        refuse_contested(record, challenges_against(record, folder, panel.kept.store))
        verifier = panel.verifier(folder.read(SIGNER))
        fresh = rejudge(folder, record, policy, verifier, around, waivers, placed)
    files = publication(fresh, policy, panel.checks, store.blobs.get, panel.signer)
    files |= entered(store, fresh, files[BUNDLE])
    names: dict[str, Json] = {name: store.blobs.put(files[name]) for name in sorted(files)}
    return fresh, store.blobs.put(canonical(names))


def _helps(waiver: Waiver, record: AuditRecord) -> Iterator[bool]:
    """Yield of each finding of a record whether a waiver changes it, or keeps it waived."""
    if not waiver.foreign_to(audited_of(record)):
        for item in record.findings:
            yield item.outcome in WAIVABLE | {Outcome.WAIVED} and covers(waiver, item)


def _group(record: AuditRecord) -> tuple[str | None, str]:
    audited = audited_of(record)
    return audited.artifact, audited.policy_digest


def _alike(records: Iterable[AuditRecord]) -> tuple[tuple[str | None, str], ...]:
    return tuple(dict.fromkeys(_group(record) for record in records))


def _targets(records: Iterable[AuditRecord]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(spec.name for it in records for spec in it.request.targets))
