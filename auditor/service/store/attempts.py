"""Registers what submissions ask, counts attempts, and draws the seeds of sealed ones."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from sqlalchemy import func, or_, select
from sqlalchemy.orm import Session

from auditor.domain.requests import UNDRAWN, Attempt, AuditRequest
from auditor.domain.submissions import Submission
from auditor.ledgers.drawing import draw
from auditor.ledgers.openings import Opening
from auditor.ledgers.receipts import Receipt
from auditor.store.ledger_reading import head_of
from auditor.store.service import histories
from auditor.store.service.attempt_tables import ATTEMPT, AttemptDataRow, AttemptRow
from auditor.store.service.sealed_sets import sets_of
from auditor.store.service.sealed_tables import SealedSetRow
from auditor.store.service.store import REQUEST, Registered, whole
from auditor.store.store import Store


@dataclass(frozen=True, slots=True)
class Tried:
    """What an attempt tries, whatever it is called: a network, and data that it is judged on.

    ``network`` is ``None`` where that cannot be told: then its artifact stands for it.
    """

    network: str | None = None
    data: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Attempts:
    """Counts the requests of a project for a model under a policy's name: none can be lost.

    A line is a model's name, and every other one under which the same artifact or network was
    audited. Requests for the same data are counted as well, whatever the model; the larger number
    is the attempt's. Every registered request counts, whatever became of it.
    """

    store: Store

    def register(
        self, submission: Submission, request: AuditRequest, at: str, tried: Tried | None = None
    ) -> bool:
        """Register what a submission asks in the ledger, once, and say whether that is new.

        A sealed one is registered without a seed first, and again with the one that follows from
        the checkpoint in which that ended. Raises ``LedgerError`` where the ledger is not signed,
        or where the request is another by now than was registered without a seed.
        """
        first, leaf, new = self._first(submission, request, at, tried or Tried())
        if submission.sealed:
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
        self, submission: Submission, request: AuditRequest, at: str, tried: Tried
    ) -> tuple[AuditRequest, int, bool]:
        """Count and register a request, unless that was done before; return it, and its leaf."""
        with self.store.unit_of_work(submission.project) as unit:
            session = unit.session
            # Who ends a submission locks it before the ledger: the other way round would block.
            histories.lock(session, submission.id)
            head = head_of(session.connection(), lock=True)
            row = session.get(AttemptRow, submission.id)
            new = row is None
            if row is None:
                data = tried.data.union(it.digest for it in _sets(session, submission))
                row = _next(session, submission, request, replace(tried, data=data))
                row.leaf = head.size + len(unit.happened)
                session.add(row)
                session.flush()
                session.add_all(_data(row, name) for name in sorted(data))
            attempt = _attempt(session, submission, row)
            seed = UNDRAWN if submission.sealed else request.seed
            # A record may be held against another baseline later, and its seed stays the same.
            compared = None if submission.sealed else request.baseline
            first = replace(request, seed=seed, attempt=attempt, baseline=compared)
            if new:
                unit.register(first, at)
                if not submission.sealed:
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
        key = whole(submission.id, REQUEST)
        with self.store.transaction() as session:
            if histories.find_result(session, key) is not None:
                return
        proof = self._proof(leaf)
        drawn = draw(proof, first.digest)
        counted = first.attempt or Attempt(number=0)
        attempt = replace(counted, proof=proof.decode())
        request = replace(first, seed=drawn.seed, attempt=attempt, baseline=baseline)
        with self.store.unit_of_work(submission.project) as unit:
            if _keep(unit.session, submission, request, at):
                unit.register(request, at)

    def _proof(self, leaf: int) -> bytes:
        """Return the proof of a leaf that leads to the checkpoint in which adding it ended."""
        with self.store.ledger() as ledger:
            entry, note = ledger.entry(leaf), ledger.checkpoint(leaf + 1)
            hashes = ledger.tree(leaf + 1).inclusion(leaf)
        event = entry.event
        opening = Opening(entry.leaf, entry.salt, event.digest, event.subjects)
        return Receipt(leaf, tuple(hashes), note, opening.emit()).emit()


def _keep(session: Session, submission: Submission, request: AuditRequest, at: str) -> bool:
    body = Registered(at, request).emit()
    return histories.keep_result(session, whole(submission.id, REQUEST), body, at, None)[1]


def _attempt(session: Session, submission: Submission, row: AttemptRow) -> Attempt:
    """Return what a record says of an attempt before its seed is drawn."""
    counted = row.number if row.counted is None else row.counted
    names = submission.sealed_sets
    return Attempt(
        number=counted,
        sealed=submission.sealed,
        sets=names,
        # Whoever holds rows and asks for the audit of them has chosen them.
        held=tuple(
            sorted(it.role for it in _sets(session, submission) if it.by != submission.submitter)
        ),
        by_data=counted > row.number,
    )


def _sets(session: Session, submission: Submission) -> Sequence[SealedSetRow]:
    """Return the data that the auditor holds of what a submission asks."""
    names = submission.sealed_sets
    asked = sets_of(submission.project).where(SealedSetRow.name.in_(names))
    return session.scalars(asked).all() if names else ()


def _data(row: AttemptRow, data: str) -> AttemptDataRow:
    return AttemptDataRow(
        submission=row.submission, data=data, project=row.project, policy=row.policy
    )


def _next(
    session: Session, submission: Submission, request: AuditRequest, tried: Tried
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
