"""Sealed datasets and audit attempts: stores both, counts attempts, and draws sealed ones' seeds.

The bytes of sealed sets are in the blob store.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import Select, func, or_, select
from sqlalchemy.orm import Session

from auditor.domain.artifacts import FileDigest
from auditor.domain.datasets import DatasetRole
from auditor.domain.digests import Digest
from auditor.domain.requests import UNDRAWN, AuditAttempt, AuditRequest
from auditor.service.domain.access import AuditLogAction, AuditLogEntry
from auditor.service.domain.schedules import SealedSet
from auditor.service.domain.submissions import Submission
from auditor.service.store import submission_history
from auditor.service.store.projects import append_audit_log, log_change
from auditor.service.store.submission_history import (
    REQUEST,
    SubmissionRegistration,
    build_submission_key,
)
from auditor.service.store.tables import (
    ATTEMPT,
    AttemptDataRow,
    AttemptRow,
    AuditLogRow,
    SealedSetRow,
    SubmissionRow,
)
from auditor.store.ledger import read_head
from auditor.store.record_store import RecordStore
from auditor.store.sql import insert_if_absent
from auditor.trust.ledger.events import LeafOpening
from auditor.trust.ledger.receipts import LedgerReceipt
from auditor.trust.ledger.seed_draw import draw_seed


@dataclass(frozen=True, slots=True)
class SealedSetStore:
    """The sealed sets of every project, each project's apart. Every method is a transaction."""

    store: RecordStore

    def add(self, item: SealedSet, act: AuditLogEntry | None = None) -> bool:
        """Keep a set, and say whether both its name and its bytes are new to the project."""
        with self.store.unit_of_work() as work:
            new = insert_if_absent(
                work.session,
                SealedSetRow,
                project=item.project,
                name=item.name,
                digest=item.digest,
                role=item.role.value,
                file=item.file.name,
                size=item.file.size,
                note=item.note,
                by=item.by,
                at=item.at,
            )
            return log_change(work, act, changed=new)

    def release(self, act: AuditLogEntry) -> None:
        """Hold a set no more: the act alone says so, for rows are never changed or deleted."""
        with self.store.unit_of_work() as work:
            append_audit_log(work, act)

    def was_named(self, project: str, digest: str) -> bool:
        """Whether an audit that the project asked for rests on these bytes, in the open or not."""
        row, digits = SubmissionRow, Digest(digest).hex
        asked = select(row.id).where(row.project == project, row.body.contains(digits)).limit(1)
        with self.store.reading() as session:
            return session.scalar(asked) is not None

    def named(self, project: str, names: Collection[str]) -> dict[str, SealedSet]:
        """Return those of a project's sets that have one of the names."""
        asked = select_sealed_sets(project).where(SealedSetRow.name.in_(names))
        with self.store.reading() as session:
            return {it.name: _read(it) for it in session.scalars(asked)}

    def holding(self, project: str, digests: Collection[str]) -> dict[str, SealedSet]:
        """Return those of a project's sets whose bytes have one of the digests, by digest."""
        wanted, asked = set(digests), select_sealed_sets(project)
        with self.store.reading() as session:
            # A project has few sets, and an order may name a hundred thousand files.
            return {it.digest: _read(it) for it in session.scalars(asked) if it.digest in wanted}

    def of_project(
        self, project: str, cursor: str | None, limit: int
    ) -> tuple[tuple[SealedSet, ...], str]:
        """Return sets by their names, those after ``cursor``, and the cursor of what follows."""
        row = SealedSetRow
        asked = select_sealed_sets(project).where(row.name > (cursor or ""))
        with self.store.reading() as session:
            rows = session.scalars(asked.order_by(row.name).limit(limit + 1)).all()
            found = tuple(_read(it) for it in rows[:limit])
        return found, found[-1].name if len(rows) > limit else ""


def select_sealed_sets(project: str) -> Select[SealedSetRow]:
    """Ask for the sets of a project but for those that were released."""
    row, act = SealedSetRow, AuditLogRow
    released = select(act.about).where(
        act.project == project, act.kind == AuditLogAction.SEALED_SET_RELEASED.value
    )
    return select(row).where(row.project == project, row.name.not_in(released))


def _read(row: SealedSetRow) -> SealedSet:
    file = FileDigest(row.file, row.size, Digest(row.digest).hex)
    return SealedSet(
        project=row.project,
        name=row.name,
        role=DatasetRole(row.role),
        file=file,
        note=row.note,
        by=row.by,
        at=row.at,
    )


@dataclass(frozen=True, slots=True)
class AttemptSubject:
    """What an attempt tries, whatever it is called: a network, and data that it is judged on.

    ``network`` is ``None`` where that cannot be told: then its artifact stands for it.
    """

    network: str | None = None
    data: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AttemptStore:
    """Counts the requests of a project for a model under a policy's name: none can be lost.

    A line is a model's name, and every other one under which the same artifact or network was
    audited. Requests for the same data are counted as well, whatever the model; the larger number
    is the attempt's. Every registered request counts, whatever became of it.
    """

    store: RecordStore

    def register(
        self,
        submission: Submission,
        request: AuditRequest,
        at: str,
        tried: AttemptSubject | None = None,
    ) -> bool:
        """Register what a submission asks in the ledger, once, and say whether that is new.

        A sealed one is registered without a seed first, and again with the one that follows from
        the checkpoint in which that ended. Raises ``LedgerError`` where the ledger is not signed,
        or where the request is another by now than was registered without a seed.
        """
        first, leaf, new = self._first(submission, request, at, tried or AttemptSubject())
        if submission.order.sealed:
            self._draw(submission, first, leaf, at, request.baseline)
        return new

    def number(self, submission: str) -> int | None:
        """Return which attempt a submission is, once it was registered."""
        with self.store.reading() as session:
            return session.scalar(select(ATTEMPT).where(AttemptRow.submission == submission))

    def numbers(self, submissions: Collection[str]) -> Mapping[str, int]:
        """Return which attempts submissions are that were registered, by their ids."""
        row = AttemptRow
        asked = select(row.submission, ATTEMPT).where(row.submission.in_(submissions))
        with self.store.reading() as session:
            return dict(session.execute(asked).all())

    def _first(
        self, submission: Submission, request: AuditRequest, at: str, tried: AttemptSubject
    ) -> tuple[AuditRequest, int, bool]:
        """Count and register a request, unless that was done before; return it, and its leaf."""
        with self.store.unit_of_work(submission.project) as unit:
            session = unit.session
            # Who ends a submission locks it before the ledger: the other way round would block.
            submission_history.lock_history(session, submission.id)
            head = read_head(session.connection(), lock=True)
            row = session.get(AttemptRow, submission.id)
            new = row is None
            if row is None:
                data = tried.data.union(it.digest for it in _sets(session, submission))
                row = _next(session, submission, request, replace(tried, data=data))
                row.leaf = head.size + len(unit.happened)
                session.add(row)
                session.flush()
                session.add_all(
                    AttemptDataRow(
                        submission=row.submission, data=name, project=row.project, policy=row.policy
                    )
                    for name in sorted(data)
                )
            attempt = _attempt(session, submission, row)
            seed = UNDRAWN if submission.order.sealed else request.seed
            # A record may be held against another baseline later, and its seed stays the same.
            compared = None if submission.order.sealed else request.baseline
            first = replace(request, seed=seed, attempt=attempt, baseline=compared)
            if new:
                unit.register(first, at)
                if not submission.order.sealed:
                    _keep(session, submission, first, at)
            return first, row.leaf, new

    def _draw(
        self,
        submission: Submission,
        first: AuditRequest,
        leaf: int,
        at: str,
        baseline: str | None,
    ) -> None:
        """Register a request with the seed that the ledger gives it, unless that was done."""
        key = build_submission_key(submission.id, REQUEST)
        with self.store.transaction() as session:
            if submission_history.find_result(session, key) is not None:
                return
        # The proof of a leaf that leads to the checkpoint in which adding it ended
        with self.store.ledger() as ledger:
            entry, note = ledger.entry(leaf), ledger.checkpoint(leaf + 1)
            hashes = ledger.tree(leaf + 1).inclusion(leaf)
        event = entry.event
        opening = LeafOpening(entry.leaf, entry.salt, event.digest, event.subjects)
        proof = LedgerReceipt(leaf, tuple(hashes), note, opening.emit()).emit()
        drawn = draw_seed(proof, first.digest)
        counted = first.attempt or AuditAttempt(number=0)
        attempt = replace(counted, proof=proof.decode())
        request = replace(first, seed=drawn.seed, attempt=attempt, baseline=baseline)
        with self.store.unit_of_work(submission.project) as unit:
            if _keep(unit.session, submission, request, at):
                unit.register(request, at)


def _keep(session: Session, submission: Submission, request: AuditRequest, at: str) -> bool:
    body = SubmissionRegistration(at, request).emit()
    return submission_history.keep_result(
        session, build_submission_key(submission.id, REQUEST), body, at, None
    )[1]


def _attempt(session: Session, submission: Submission, row: AttemptRow) -> AuditAttempt:
    """Return what a record says of an attempt before its seed is drawn."""
    counted = row.number if row.counted is None else row.counted
    names = submission.order.sealed_sets
    return AuditAttempt(
        number=counted,
        sealed=submission.order.sealed,
        sets=names,
        # Whoever holds rows and asks for the audit of them has chosen them.
        held=tuple(
            sorted(it.role for it in _sets(session, submission) if it.by != submission.submitter)
        ),
        by_data=counted > row.number,
    )


def _sets(session: Session, submission: Submission) -> Sequence[SealedSetRow]:
    """Return the data that the auditor holds of what a submission asks."""
    names = submission.order.sealed_sets
    asked = select_sealed_sets(submission.project).where(SealedSetRow.name.in_(names))
    return session.scalars(asked).all() if names else ()


def _next(
    session: Session, submission: Submission, request: AuditRequest, tried: AttemptSubject
) -> AttemptRow:
    """Return the next attempt of a line, and of its data; whoever asks has the ledger's lock."""
    row, policy = AttemptRow, request.policy.name
    artifact = None if request.artifact is None else request.artifact.digest
    here = (row.project == submission.project, row.policy == policy)
    line = row.model == request.name
    alike = []
    if artifact is not None:
        alike.append(row.artifact == artifact)
    if tried.network is not None:
        # An artifact may have been audited before anybody could tell its network.
        files = select(row.artifact).where(*here, row.network == tried.network)
        alike += [row.network == tried.network, row.artifact.in_(files)]
    if alike:
        line = or_(line, row.model.in_(select(row.model).where(*here, or_(*alike))))
    number = (session.scalar(select(func.max(row.number)).where(*here, line)) or 0) + 1
    of = AttemptDataRow
    many = (
        select(func.count())
        .where(of.project == submission.project, of.policy == policy)
        .where(of.data.in_(tried.data))
        .group_by(of.data)
    )
    return AttemptRow(
        submission=submission.id,
        project=submission.project,
        policy=policy,
        model=request.name,
        artifact=artifact,
        number=number,
        network=tried.network,
        counted=max([number, *(count + 1 for count in session.scalars(many))]),
    )
