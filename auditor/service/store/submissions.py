"""The service's part of the store: callers, submissions, and what became of them."""

from collections.abc import Mapping
from dataclasses import dataclass

from auditor.domain.acts import Act
from auditor.domain.api_keys import ApiKey
from auditor.domain.canonical import Json, canonical, parse
from auditor.domain.json_parts import Part
from auditor.domain.request_json import read_request
from auditor.domain.requests import AuditRequest
from auditor.domain.served import Ending, Failure, Upload, UploadKind
from auditor.domain.submissions import Event, Said, ShardKey, State, Submission
from auditor.errors import StoreError
from auditor.store.service import callers, histories, quotas, standings, submitted
from auditor.store.service.acts import noted
from auditor.store.service.adding import added
from auditor.store.service.tables import ProjectRow
from auditor.store.store import Store

REQUEST, FINISHED = "request", "finished"
"""What is kept once for a whole submission, beside what its checks saw."""


@dataclass(frozen=True, slots=True)
class Registered:
    """What a submission asked in full, and when that was registered."""

    at: str
    request: AuditRequest

    @classmethod
    def read(cls, raw: bytes) -> "Registered":
        """Read it back. Raises ``RecordError`` for what is none."""
        part = Part(parse(raw), "registration")
        return cls(part.get("at", str), read_request(part.part("request")))

    def emit(self) -> bytes:
        """Return the form that is kept."""
        return canonical({"at": self.at, "request": self.request.to_json()})


@dataclass(frozen=True, slots=True)
class ServiceStore:
    """What a service keeps, in the database of ``store``. Every method is a transaction of its own.

    Times are UTC (RFC 3339). Every method raises ``StoreError`` when the database refuses. Whatever
    belongs to a project is asked for with the project; ``None`` is for workers alone. Of it the
    ledger has an audit's request and its record, which ``store`` keeps, and the acts that are given
    along with a change: one that changed nothing is not written down.
    """

    store: Store

    def add_project(self, name: str, at: str, act: Act | None = None) -> bool:
        """Make a project, and say whether it is new."""
        with self.store.unit_of_work() as work:
            new = added(work.session, ProjectRow, name=name, created=at)
            return noted(work, act, changed=new)

    def projects(self) -> tuple[tuple[str, str], ...]:
        """Return every project with when it was made, the oldest first."""
        with self.store.reading() as session:
            return callers.projects(session)

    def add_key(self, key: ApiKey, act: Act | None = None) -> None:
        """Keep a caller's key. Raises ``SubmissionError`` where there is no such project."""
        with self.store.unit_of_work() as work:
            if not noted(work, act, changed=callers.keep_key(work.session, key)):
                raise StoreError(
                    f"there is an API key {key.id} already", cure="Draw another id for the new one."
                )

    def end_key(self, key_id: str, at: str, reason: str, act: Act | None = None) -> bool:
        """End a key for good, and say whether it was still in use."""
        with self.store.unit_of_work() as work:
            ended = callers.end_key(work.session, key_id, at, reason)
            return noted(work, act, changed=ended)

    def key(self, key_id: str) -> ApiKey | None:
        """Return the key of an id; one that has ended says when."""
        with self.store.reading() as session:
            return callers.find_key(session, key_id)

    def ended_keys(self) -> int:
        """Return how many keys of all projects have been ended: ends are only ever added."""
        with self.store.reading() as session:
            return callers.ended_keys(session)

    def keys(self, project: str) -> tuple[ApiKey, ...]:
        """Return the keys of a project, the oldest first."""
        with self.store.reading() as session:
            return callers.keys_of(session, project)

    def note_upload(self, upload: Upload) -> bool:
        """Write down that a project has a file, and say whether that is new."""
        with self.store.transaction() as session:
            return callers.keep_upload(session, upload)

    def uploads(
        self, project: str, kind: UploadKind, cursor: str | None = None, limit: int = 50
    ) -> tuple[tuple[Upload, ...], str]:
        """Return uploads in the order of their digests, and the cursor of what follows, if any."""
        with self.store.reading() as session:
            found = callers.uploads_of(session, project, kind, cursor, limit + 1)
        return found[:limit], found[limit - 1].digest if len(found) > limit else ""

    def stored(self, project: str) -> int:
        """Return how many bytes a project has uploaded."""
        with self.store.reading() as session:
            return quotas.stored(session, project)

    def has_upload(self, project: str, digest: str) -> bool:
        """Whether a project brought the bytes of a digest."""
        with self.store.reading() as session:
            return callers.has_upload(session, project, digest)

    def upload_name(self, project: str, digest: str, kind: UploadKind) -> str | None:
        """Return the name under which a project brought the bytes of a digest first, if it did."""
        with self.store.reading() as session:
            return callers.upload_name(session, project, digest, kind)

    def submit(  # noqa: PLR0913 -- a submission, and all that is kept with it
        self,
        submission: Submission,
        idempotency_key: str | None,
        *,
        model: str = "",
        most: int = 0,
        act: Act | None = None,
        held: Mapping[str, Json] | None = None,
    ) -> tuple[Submission, bool]:
        """Keep a submission, or return the one made under the same key before; new ones are queued.

        ``model`` is the name to list it by. One that is ``held`` waits from the start, and is not
        queued: that says for what, and until when. Raises ``ConflictError`` where the key was used
        for something else, ``SubmissionError`` where there is no such project, ``QuotaError``
        where ``most`` others of the project have not ended; 0 is any number.
        """
        with self.store.unit_of_work() as work:
            session = work.session
            kept, new = submitted.keep_submission(session, submission, idempotency_key, model)
            if noted(work, act, changed=new):
                quotas.refuse_more_waiting(session, kept.project, most)
                state = State.QUEUED if held is None else State.WAITING
                histories.append(session, kept.id, state, held or {}, kept.submitted)
        return kept, new

    def was_submitted(self, project: str, idempotency_key: str) -> bool:
        """Whether a project made a submission under a key before."""
        with self.store.reading() as session:
            return submitted.find_by_key(session, project, idempotency_key) is not None

    def submission(self, project: str | None, name: str) -> Submission | None:
        """Return a submission by its id."""
        with self.store.reading() as session:
            return submitted.find_submission(session, project, name)

    def owner(self, submission: str) -> str:
        """Return the project of a submission, and nothing where there is none."""
        found = self.submission(None, submission)
        return "" if found is None else found.project

    def unended(self) -> tuple[Submission, ...]:
        """Return the submissions of all projects that have not ended, the oldest first."""
        with self.store.reading() as session:
            return standings.unended(session)

    def state(self, submission: str) -> State:
        """Return how far a submission is."""
        with self.store.reading() as session:
            return histories.state_of(session, submission)

    def append(self, submission: str, kind: str, detail: Mapping[str, Json], at: str) -> Event:
        """Put an event at the end of a submission's history, and return it.

        A state that it is in already is not told again, and one that has ended never has another:
        then the event by which it came there is returned.
        """
        with self.store.transaction() as session:
            return histories.append(session, submission, kind, detail, at)

    def tell(self, submission: str, kind: Said, detail: Mapping[str, Json], at: str) -> State:
        """Put an event at the end of a history that has not ended, and return how far it is."""
        with self.store.transaction() as session:
            return histories.tell(session, submission, kind, detail, at)

    def events(self, submission: str, after: int = 0, limit: int = 1000) -> tuple[Event, ...]:
        """Return the events whose number is above ``after``, in order."""
        with self.store.reading() as session:
            return histories.events_after(session, submission, after, limit)

    def put_result(
        self, key: ShardKey, body: bytes, at: str, said: Mapping[str, Json] | None = None
    ) -> bytes:
        """Keep what a check saw and return what is kept, which is what came first.

        With ``said``, an event ``check_ended`` of that detail goes with the first, and only then.
        """
        with self.store.transaction() as session:
            return histories.keep_result(session, key, body, at, said)[0]

    def result(self, key: ShardKey) -> bytes | None:
        """Return what a check saw, if it was kept."""
        with self.store.reading() as session:
            return histories.find_result(session, key)

    def registered(self, submission: str) -> Registered:
        """Return what was registered for a submission, and when.

        Raises ``StoreError`` where nothing was.
        """
        kept = self.result(whole(submission, REQUEST))
        if kept is None:
            raise StoreError(f"{submission} was not registered", cure="Plan it first.")
        return Registered.read(kept)

    def finish(self, submission: str, at: str) -> str:
        """Say when an audit was finished, once, and return when that was."""
        return self.put_result(whole(submission, FINISHED), at.encode(), at).decode()

    def seen(self, submission: str, target: str) -> int:
        """Return how many checks of a submission have a result on a target."""
        with self.store.reading() as session:
            return histories.count_results(session, submission, target)

    def results(self, submission: str) -> Mapping[ShardKey, bytes]:
        """Return everything that the checks of a submission saw so far.

        What is said once of all targets stands under an empty one.
        """
        with self.store.reading() as session:
            return histories.results_of(session, submission)

    def end(self, submission: str, ending: Ending, act: Act | None = None) -> bool:
        """Let a submission end, and say whether it had not; its last event tells the state."""
        with self.store.unit_of_work() as work:
            changed = histories.keep_ending(work.session, submission, ending)
            return noted(work, act, changed=changed)

    def fail(self, submission: str, problem: str, cure: str, at: str) -> bool:
        """Let a submission end without what it was to give, and say whether it had not ended."""
        return self.end(submission, Ending(ended=at, failure=Failure(problem=problem, cure=cure)))

    def outcome(self, submission: str) -> Ending | None:
        """Return how a submission ended, if it has."""
        with self.store.reading() as session:
            return histories.ending_of(session, submission)


def whole(submission: str, what: str) -> ShardKey:
    """Return the key of what is kept once for a whole submission."""
    return ShardKey(submission=submission, target="", check=what)
