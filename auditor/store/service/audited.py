"""The records that a project's submissions came to."""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from sqlalchemy import Select, select

from auditor.domain.budgets import Budget
from auditor.domain.canonical import parse
from auditor.domain.json_parts import Part
from auditor.store.service.store import ServiceStore
from auditor.store.service.tables import OutcomeRow, SubmissionRow
from auditor.store.store import Store
from auditor.store.tables import RecordRow, RecordTargetRow, RequestRow

FEW = 10
"""So many requests are looked at first."""
MOST = 200
"""So many records are looked through for one that was asked for as much as a policy asks."""

NEWEST = (
    RecordRow.finished.desc(), RecordRow.verdict, SubmissionRow.id.desc(), RecordRow.digest,
)  # fmt: skip
"""The newest record first; of those of one second a failing one, which stands before a passing,
and of equal ones that of the audit which was asked for last."""


@dataclass(frozen=True, slots=True)
class Audited:
    """A record's digest, the submission that it came of, and its folder's manifest."""

    submission: str
    record: str
    files: str | None


@dataclass(frozen=True, slots=True)
class Sought:
    """Whose records are sought: of which artifact under which policy, both by digest, and where."""

    project: str
    artifact: str
    policy: str
    target: str | None = None


@dataclass(frozen=True, slots=True)
class Newest:
    """The newest ``MOST`` records that are sought, and the request that each of them answers.

    A whole one is of all checks, within a budget that covers ``least``.
    """

    store: Store
    least: Budget
    found: tuple[tuple[Audited, str], ...]

    def first(self) -> Audited | None:
        """Return the newest whole record; where none is, the newest, which then says so."""
        whole = next(self._whole(), None)
        return next((it for it, request in self.found if whole in {None, request}), None)

    def any_whole(self) -> bool:
        """Whether a record is whole, or may be, as not all of them are here."""
        return len(self.found) == MOST or next(self._whole(), None) is not None

    def ones(self) -> tuple[Audited, ...]:
        """Return, in order, the records of which ``first`` is one: whole ones, or else all."""
        whole = frozenset(self._whole())
        return tuple(it for it, request in self.found if not whole or request in whole)

    def _whole(self) -> Iterator[str]:
        """Yield the requests of whole records, the newest first: most often the first is one."""
        requests = tuple(dict.fromkeys(request for _, request in self.found))
        for some in (requests[:FEW], requests[FEW:]):
            if some:
                with self.store.reading() as session:
                    known = self.store.extents.of(session, some)
                yield from (it for it in some if known[it].covers(self.least))


def newest(kept: ServiceStore, sought: Sought, least: Budget) -> Newest:
    """Return the newest records that are sought."""
    with kept.store.reading() as session:
        rows = session.execute(_asked(sought).limit(MOST)).all()
    found = tuple((Audited(*row[:3]), row[3]) for row in rows)
    return Newest(kept.store, least, found)


def targets_of(kept: ServiceStore, sought: Sought) -> tuple[str, ...]:
    """Return the targets, by name, that any record which is sought audited, however old."""
    row = RecordTargetRow
    asked = _asked(sought).join(row, row.record_digest == RecordRow.digest)
    with kept.store.reading() as session:
        named = asked.order_by(None).with_only_columns(row.target).distinct()
        return tuple(sorted(session.scalars(named)))


def policies_of(kept: ServiceStore, artifacts: Collection[str]) -> Mapping[str, tuple[str, ...]]:
    """Return the policies, by digest, under which any project has records of artifacts.

    One look into an index: whoever asks a gate by them is told of records of one project alone.
    """
    row, found = RecordRow, dict[str, list[str]]()
    pair = (row.artifact_digest, row.policy_digest)
    asked = select(*pair).where(row.artifact_digest.in_(artifacts)).distinct().order_by(*pair)
    with kept.store.reading() as session:
        for artifact, policy in session.execute(asked):
            found.setdefault(str(artifact), []).append(policy)
    return {artifact: tuple(policies) for artifact, policies in found.items()}


def measured_since(kept: ServiceStore, sought: Sought, registered: str) -> bool:
    """Whether anything that a record rests on was asked for after a time."""
    later = _asked(sought).where(RecordRow.registered > registered).limit(1)
    with kept.store.reading() as session:
        return session.execute(later).first() is not None


def artifacts_with(kept: ServiceStore, project: str, file: str) -> tuple[str, ...]:
    """Return the artifacts, by digest, that have a file of a digest, the newest audited first.

    Those alone of which the project has a record, among the ``FEW`` newest that name the file.
    """
    if not kept.has_upload(project, file):
        return ()
    bare = file.removeprefix("sha256:")
    asked = (
        select(RequestRow.body)
        .join(RecordRow, RecordRow.request_digest == RequestRow.digest)
        .join(OutcomeRow, OutcomeRow.record_digest == RecordRow.digest)
        .join(SubmissionRow, SubmissionRow.id == OutcomeRow.submission)
        .where(SubmissionRow.project == project, RecordRow.artifact_digest.is_not(None))
        .where(RequestRow.body.contains(bare, autoescape=True))
        .order_by(*NEWEST)
        .limit(FEW)
    )
    with kept.store.reading() as session:
        bodies = session.scalars(asked).all()
    told = [Part(parse(body.encode()), "request").part("artifact") for body in bodies]
    return tuple(dict.fromkeys(
        it.get("digest", str) for it in told
        if bare in it.list_of("files", lambda one: one.get("sha256", str))
    ))  # fmt: skip


def _asked(sought: Sought) -> "Select[str, str, str | None, str]":
    asked = (
        select(SubmissionRow.id, RecordRow.digest, OutcomeRow.files, RecordRow.request_digest)
        .join(OutcomeRow, OutcomeRow.submission == SubmissionRow.id)
        .join(RecordRow, RecordRow.digest == OutcomeRow.record_digest)
        .where(
            # Not by an index: most of what is kept may be of one project, and a gate wants few.
            SubmissionRow.project.concat("") == sought.project,
            RecordRow.artifact_digest == sought.artifact,
            RecordRow.policy_digest == sought.policy,
        )
        .order_by(*NEWEST)
    )
    if sought.target is None:
        return asked
    row = RecordTargetRow
    on = select(row.target).where(
        row.record_digest == RecordRow.digest, row.target == sought.target
    )
    return asked.where(on.exists())
