"""Ask a service's own records whether a gate opens, by the steps of ``auditor gate --record``."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial

from auditor.approving import APPROVALS
from auditor.clock import instant
from auditor.contested import challenges_against, uncontested
from auditor.domain.canonical import digest
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult, all_hold
from auditor.domain.submissions import DIGEST
from auditor.errors import StoreError
from auditor.folders import RECORD, SIGNER, RecordFolder
from auditor.gates import Question, ask
from auditor.holding import book_of
from auditor.keeping import REPORT_ROLE
from auditor.keyaudits import agents_here, signer_here
from auditor.manifests import laid_out
from auditor.people.counting import counted_here
from auditor.people.enduring import is_refused, same_place, spoken_of
from auditor.people.panels import Panel, read_again, read_kept
from auditor.people.standing import Judged, decided_by_people
from auditor.store.service.audited import Audited, Sought, newest, whole_ones, whole_targets
from auditor.store.service.rejudged import Stands
from auditor.store.service.store import ServiceStore
from auditor.verified import Verified, marks
from auditor.verifying import Verifier, verify_folder

ENDURES = "approved before"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a caller asks: which bytes, under which policy (a digest, or a pack's name), where."""

    project: str
    artifact: str
    policy: str
    target: str | None = None
    identity: str | None = None
    max_age: timedelta | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the gate opens, by which steps, and which record of which submission was asked."""

    steps: tuple[Step, ...]
    policy: str
    asked: str
    record: str | None = None
    submission: str | None = None

    @property
    def open(self) -> bool:
        """Whether every step holds."""
        return self.record is not None and all_hold(self.steps)


@dataclass(frozen=True, slots=True)
class _Looked:
    """The steps of one record, and whether approvals, which nobody refused, are all it lacks."""

    steps: tuple[Step, ...]
    chosen: Audited | Stands
    lacks: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatekeeper:
    """What a gate needs of a service: its records, its ledger, and what names mean there.

    ``verifier`` says what verifying by a public key (PEM) needs; ``people`` are those of every
    project who decide.
    """

    kept: ServiceStore
    people: Panel
    pack: Callable[[str], Policy]
    policy: Callable[[bytes, str], Policy]
    verifier: Callable[[bytes], Verifier]
    clock: Callable[[], str]
    verified: Verified = field(default_factory=Verified)

    def ask(self, asking: Asking) -> Answer:
        """Ask the newest record that was asked for as much as the policy asks, on each target.

        An older one does not count beside it: what failed last is not excused by what passed
        before. One that people approved opens as long as every later one keeps all but the
        approvals. Raises ``PolicyError`` for a pack that there is not.
        """
        with self.kept.store.at_once():
            return self._asked(asking)

    def _asked(self, asking: Asking) -> Answer:
        now, named = self.clock(), asking.policy
        under = named if DIGEST.fullmatch(named) else self.pack(named).digest
        policy = self._policy(under, named)
        if policy is None:
            return _none_found(asking, under, now)
        if asking.target is None:
            sought = Sought(asking.project, asking.artifact, under)
            names = whole_targets(self.kept, sought, policy.least_budget)
            if len(names) > 1:
                each = [replace(asking, target=name) for name in names]
                return _on_each([(it, self._asked_of(it, policy, now)) for it in each])
        return self._asked_of(asking, policy, now)

    def _asked_of(self, asking: Asking, policy: Policy, now: str) -> Answer:
        """Ask the newest record on a target, or the newest at all."""
        under = policy.digest
        sought = Sought(asking.project, asking.artifact, under, asking.target)
        first = newest(self.kept, sought, policy.least_budget)
        if first is None:
            return _none_found(asking, under, now)
        question = Question(
            asking.artifact,
            policy,
            asking.target,
            asking.identity,
            asking.max_age,
            instant(now),
        )
        last = self.people.rejudged.of(first.submission)[-1]
        chosen = Audited(first.submission, last.record, last.files)
        looked = self._looked(asking.project, chosen, question, now)
        if looked.lacks:
            ones = whole_ones(self.kept, sought, policy.least_budget)
            looked = self._approved_before(asking.project, looked, ones, question, now) or looked
        return Answer(looked.steps, under, now, looked.chosen.record, looked.chosen.submission)

    def _looked(
        self, project: str, chosen: Audited | Stands, question: Question, now: str
    ) -> "_Looked":
        """Ask one record of a project."""
        with laid_out(self.kept.store.blobs, chosen.files) as folder:
            counts = partial(self._counts, project, chosen, question, now)
            steps = (_same(folder, chosen), *self._steps(folder, chosen, counts))
        others = tuple(it for it in steps if it.name != APPROVALS)
        if all_hold(steps) or others == steps or not all_hold(others):
            return _Looked(steps, chosen)
        refused = is_refused(self.people, project, chosen.submission, now)
        return _Looked(steps, chosen, lacks=not refused)

    def _approved_before(
        self, project: str, looked: "_Looked", ones: Sequence[Audited], question: Question, now: str
    ) -> "_Looked | None":  # fmt: skip
        """Return the record that people approved of those before one that keeps all but that.

        Nothing is returned where one between lacks more than that by now, where somebody said no,
        or where one was made on another machine: then the last one has to be approved itself.
        """
        last, names = self._record(project, looked), [item.submission for item in ones]
        for stands in spoken_of(self.people, project, names):
            older = self._looked(project, stands, question, now)
            holds = all_hold(older.steps)
            if not (holds or older.lacks):
                return None
            if not same_place(last, self._record(project, older), question.target):
                return None
            if holds:
                said = f"{looked.chosen.record}, of {looked.chosen.submission}, is newer"
                step = Step(ENDURES, StepResult.HOLDS, f"{said}, passes too, and nobody refused it")
                return replace(older, steps=(*older.steps, step))
        return None

    def _record(self, project: str, looked: "_Looked") -> AuditRecord:
        return read_kept(self.people.record(project, looked.chosen.record))

    def _policy(self, digest: str, named: str) -> Policy | None:
        """Return the policy of a digest, if it is kept: without it nothing was judged by it."""
        blobs = self.kept.store.blobs
        return self.policy(blobs.get(digest), named) if blobs.has(digest) else None

    def _steps(
        self,
        folder: RecordFolder,
        chosen: Audited | Stands,
        counts: Callable[[AuditRecord, RecordFolder], Iterator[Step]],
    ) -> tuple[Step, ...]:
        key = folder.read(SIGNER)
        steps = (self._signer(key), *self._verified(folder, chosen, key))
        if not all_hold(steps):
            return steps
        return (*steps, *counts(read_again(folder.read(RECORD)), folder))

    def _verified(
        self, folder: RecordFolder, chosen: Audited | Stands, key: bytes
    ) -> tuple[Step, ...]:
        """Verify a folder, unless it was and no file of it changed on the disk since."""
        there = marks(it for it in sorted(folder.path.rglob("*")) if it.is_file())
        return self.verified.steps(
            str(chosen.files), key, there, lambda: verify_folder(folder, self.verifier(key))
        )

    def _counts(  # noqa: PLR0913, PLR0917 -- whose record, of what, and what is asked of it
        self,
        project: str,
        chosen: Audited | Stands,
        question: Question,
        now: str,
        record: AuditRecord,
        folder: RecordFolder,
    ) -> Iterator[Step]:
        yield signer_here(self.kept.store, record, folder.read(SIGNER))
        yield from agents_here(self.kept.store, record)
        yield from ask(record, question)
        yield from counted_here(self.people, project, chosen.submission, record)
        against = challenges_against(record, folder, self.kept.store)
        yield uncontested(record, against, folder.read(SIGNER), strict=False)
        submission = self.kept.submission(project, chosen.submission)
        if submission is None:
            raise StoreError(f"{chosen.submission} is lost", cure="Restore the database.")
        judged = Judged(submission, record, question.policy, now)
        yield from decided_by_people(self.people, judged, folder)

    def _signer(self, key: bytes) -> Step:
        """Ask whether the ledger here knows a key as one that signs this service's records."""
        entries = self.kept.store.key_entries()
        life = book_of(entries).lives.get(key.decode(errors="replace"))
        mistakes = [] if life is not None and life.role == REPORT_ROLE else [
            "the record's key is no report key of this service"
        ]  # fmt: skip
        return Step.of("signer", mistakes, "signed by a report key of this service")


def _none_found(asking: Asking, under: str, now: str) -> Answer:
    detail = f"no audit of {asking.artifact} under {under} has ended with a record here"
    return Answer((Step("found", StepResult.FAILED, detail),), under, now)


def _on_each(answers: Sequence[tuple[Asking, Answer]]) -> Answer:
    """Fold the answers on several targets into one, which names the first that is shut."""
    steps = tuple(
        replace(step, name=f"{step.name} on {asking.target}")
        for asking, answer in answers
        for step in answer.steps
    )
    shut = [answer for _, answer in answers if not answer.open]
    return replace((shut or [answers[0][1]])[0], steps=steps)


def _same(folder: RecordFolder, chosen: Audited | Stands) -> Step:
    same = digest(folder.read(RECORD)) == chosen.record
    mistakes = [] if same else [f"the files kept are not those of {chosen.record}"]
    return Step.of("found", mistakes, f"{chosen.record}, of {chosen.submission}")
