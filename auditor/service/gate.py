"""Ask a service's own records whether a gate opens, by the steps of ``auditor gate --record``."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from auditor.clock import instant
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.steps import Step, StepResult, all_hold
from auditor.domain.submissions import DIGEST
from auditor.gates import Question
from auditor.people.enduring import same_place, spoken_of
from auditor.people.looking import Looked, Looker
from auditor.people.panels import Panel
from auditor.store.service.audited import (
    Audited,
    Newest,
    Sought,
    artifacts_with,
    newest,
    targets_of,
)
from auditor.store.service.store import ServiceStore
from auditor.verified import Verified
from auditor.verifying import Verifier

ENDURES = "approved before"
AT_ONCE = 20
"""So many earlier records are read at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asking:
    """What a caller asks: which bytes, under which policy (a digest, or a pack's name), where."""

    project: str
    artifact: str
    policy: str
    target: str | None = None
    identity: str | None = None
    max_age: timedelta | None = None
    baseline: str | None = None


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether the gate opens, by which steps, and which record of which submission was asked.

    ``read`` is that record, where it could be read.
    """

    steps: tuple[Step, ...]
    policy: str
    asked: str
    record: str | None = None
    submission: str | None = None
    read: AuditRecord | None = None

    @property
    def open(self) -> bool:
        """Whether every step holds."""
        return self.record is not None and all_hold(self.steps)


@dataclass(frozen=True, slots=True, kw_only=True)
class Gatekeeper:
    """What a gate needs of a service: its records, its ledger, and what names mean there.

    ``verifier`` says what verifying by a public key (PEM) needs; ``people`` are those of every
    project who decide. One that is not ``whole`` verifies no folder, as ``Looker`` says.
    """

    kept: ServiceStore
    people: Panel
    pack: Callable[[str], Policy]
    policy: Callable[[bytes, str], Policy]
    verifier: Callable[[bytes], Verifier]
    clock: Callable[[], str]
    verified: Verified = field(default_factory=Verified)
    whole: bool = True

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
            return _none_found(self.kept, asking, under, now)
        if asking.target is None:
            apart = self._apart(asking, policy)
            if len(apart) > 1:
                each = [replace(asking, target=name) for name in apart]
                return _on_each([
                    (it, self._asked_of(it, policy, now, apart[name]))
                    for name, it in zip(apart, each, strict=True)
                ])  # fmt: skip
        sought = Sought(asking.project, asking.artifact, under, asking.target)
        return self._asked_of(asking, policy, now, newest(self.kept, sought, policy.least_budget))

    def _apart(self, asking: Asking, policy: Policy) -> Mapping[str, Newest]:
        """Return the newest records on each target that any whole record audited, by its name.

        One counts too whose newest ones are of less: what older ones found there is not forgotten.
        Where no record is whole, they are those of all. Of one target alone nothing is returned.
        """
        sought = Sought(asking.project, asking.artifact, policy.digest)
        names = targets_of(self.kept, sought)
        if len(names) < 2:  # noqa: PLR2004 -- it is asked as it is
            return {}
        least = policy.least_budget
        found = {it: newest(self.kept, replace(sought, target=it), least) for it in names}
        return {name: it for name, it in found.items() if it.any_whole()} or found

    def _asked_of(self, asking: Asking, policy: Policy, now: str, there: Newest) -> Answer:
        """Ask the newest record on a target, or the newest at all."""
        under, first = policy.digest, there.first()
        if first is None:
            return _none_found(self.kept, asking, under, now)
        question = Question(
            asking.artifact,
            policy,
            asking.target,
            asking.identity,
            asking.max_age,
            instant(now),
            asking.baseline,
        )
        looker = Looker(self.people, self.verifier, self.verified, self.whole)
        project = asking.project
        case = looker.case(project, first.submission)
        last = case.told.records[first.submission][-1]
        chosen = Audited(first.submission, last.record, last.files)
        looked = looker.look(case, chosen, question, now)
        if looked.lacks:
            names = [item.submission for item in there.ones()]
            looked = _approved_before(looker, project, looked, names, question, now) or looked
        found = looked.chosen
        return Answer(looked.steps, under, now, found.record, found.submission, looked.record)

    def _policy(self, digest: str, named: str) -> Policy | None:
        """Return the policy of a digest, if it is kept: without it nothing was judged by it."""
        blobs = self.kept.store.blobs
        return self.policy(blobs.get(digest), named) if blobs.has(digest) else None


def _approved_before(  # noqa: PLR0913, PLR0917 -- whose records, which, and what is asked of them
    looker: Looker,
    project: str,
    looked: Looked,
    names: Sequence[str],
    question: Question,
    now: str,
) -> Looked | None:
    """Return the record that people approved of those before one that keeps all but that.

    Nothing is returned where one between lacks more than that by now, where somebody said no, or
    where one was made on another machine: then the last one has to be approved itself.
    """
    for older in _looked_at(looker, project, names, question, now):
        holds = all_hold(older.steps)
        if not (holds or older.lacks) or looked.record is None or older.record is None:
            return None
        if not same_place(looked.record, older.record, question.target):
            return None
        if holds:
            said = f"{looked.chosen.record}, of {looked.chosen.submission}, is newer"
            step = Step(ENDURES, StepResult.HOLDS, f"{said}, passes too, and nobody refused it")
            return replace(older, steps=(*older.steps, step))
    return None


def _looked_at(
    looker: Looker, project: str, names: Sequence[str], question: Question, now: str
) -> Iterator[Looked]:
    """Look at records before one, the newest first, as far as people spoke of any."""
    spoken = tuple(spoken_of(looker.panel, project, names))
    for start in range(0, len(spoken), AT_ONCE):
        some = spoken[start : start + AT_ONCE]
        case = looker.case_of(project, some)
        yield from (looker.look(case, stands, question, now) for stands in some)


def _none_found(kept: ServiceStore, asking: Asking, under: str, now: str) -> Answer:
    """Answer that there is no record. One of a file's digest is told its artifact's, not guessed.

    Nothing is said of whether the policy is kept: another project may have brought it.
    """
    where = "" if asking.target is None else f" on {asking.target}"
    detail = f"no audit of {asking.artifact} under {under}{where} has ended with a record here; "
    of_file = artifacts_with(kept, asking.project, asking.artifact)
    detail += (
        "that is the digest of a file, and the artifact's, over the list of its files, is "
        + " or ".join(of_file)
        if of_file
        else "GET /v1/models names the artifacts and policies of those that have"
    )
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
