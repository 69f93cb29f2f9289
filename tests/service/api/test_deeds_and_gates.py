"""Whatever people do, in whatever order, a gate opens by the rules of the docs and by nothing else.

People are named, ended and robbed of their keys; they say yes and no, find something wrong, waive
and challenge, also those who may not, of other records, in other projects and too late. After each
deed ``Rules`` says whether it is taken and which gates are open; the service has to say the same.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from itertools import count
from random import Random
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from deciding_people import artifact, later, policy_of
from served_toys import sha
from served_worlds import World

from auditor._time import utc_now
from auditor.domain.approvals import Approval, ApprovalAnswer, HumanFinding
from auditor.domain.challenges import (
    Challenge,
    ChallengeOutcome,
    ExampleResult,
    ExampleTrial,
    RuleOutcomeChange,
)
from auditor.domain.json import encode_canonical
from auditor.domain.key_roles import KeyRole
from auditor.domain.policies import Policy
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import Waiver
from auditor.service.domain.access import AccessRole
from auditor.service.gate import GateRequest
from auditor.service.jobs.executor import build_executor
from auditor.store.key_lifecycle import build_key_book, record_key_revocation, register_key_use
from auditor.trust.ledger.events import build_approval_event
from auditor.trust.signatures.decisions import (
    sign_approval,
    sign_challenge,
    sign_finding,
    sign_waiver,
)
from auditor.trust.signatures.keys import KeySigner

NUMBERS, NAMES = count(), ("Anna", "Bob", "Carl", "Dora")
FEW, MANY = 20, 6000
"""How many deeds the fast test does, and how many deeds and answers the long one."""
WITHIN = 40
"""How many days from now gates are asked; whatever ends, ends within these."""


@dataclass(eq=False)
class Somebody:
    """A person, or a key of nobody; ``over`` once its leave has ended or the key is revoked."""

    name: str
    project: str
    may: frozenset[str]
    caller: bool = False
    id: str = ""
    over: bool = False
    signer: KeySigner = field(
        default_factory=lambda: KeySigner(generate_private_key(SECP256R1())), repr=False
    )

    def __str__(self) -> str:
        return f"{self.name} {self.id[-4:]}{' (over)' if self.over else ''}"

    @property
    def pem(self) -> str:
        return self.signer.public_pem().decode()


@dataclass(frozen=True)
class Said:
    """A yes or no to a record, by whom, and from when to when."""

    record: str
    by: Somebody
    yes: bool
    created: str
    expires: str | None


@dataclass(eq=False)
class Audit:
    """An audit under a policy that asks for ``least`` approvals; ``records`` begin with its first.

    ``waived`` is the waiver that its last record rests on, and who gave it.
    """

    policy: Policy = field(repr=False)
    least: int
    records: list[AuditRecord] = field(repr=False)
    passes: bool
    id: str = field(default="", repr=False)
    found: bool = False
    refuted: bool = False
    challenged: bool = False
    waived: tuple[Waiver, Somebody] | None = None


@dataclass
class Rules:
    """What docs/people.md and docs/waivers.md say of a gate, in few words."""

    said: list[Said] = field(default_factory=list)

    def open(self, audits: list[Audit], at: str) -> bool:
        """Ask audits of the same bytes under one policy, the newest first, until one decides."""
        for it in audits:
            if not self.sound(it, at):
                return False
            refused = any(self.refusers(record.digest, at) for record in it.records)
            if not refused and len(self.approvers(it, at)) >= it.least:
                return True
            if refused:
                return False
        return False

    def sound(self, it: Audit, at: str) -> bool:
        """Whether an audit keeps all but its approvals."""
        if it.found or it.refuted:
            return False
        if it.waived is None:
            return it.passes
        waiver, giver = it.waived
        return at < waiver.expires and may(giver, "waiver")

    def refusers(self, record: str, at: str) -> set[Somebody]:
        """Return whose no to a record stands: their own yes takes it back while it is in force."""
        stands = set[Somebody]()
        for it in self.of(record):
            if not it.yes:
                stands.add(it.by)
            elif not it.by.over and (it.expires is None or at < it.expires):
                stands.discard(it.by)
        return stands

    def approvers(self, audit: Audit, at: str) -> set[str]:
        """Return who approved the last record: the last that each said counts, while it does."""
        last = {it.by: it for it in self.of(audit.records[-1].digest)}
        owner = None if audit.waived is None else audit.waived[0].owner
        return {
            it.by.name
            for it in last.values()
            if it.yes
            and may(it.by, "approval")
            and not it.by.caller
            and it.by.name != owner
            and (it.expires is None or at < it.expires)
        }

    def of(self, record: str) -> list[Said]:
        """Return what was said of a record, the oldest first; of one second a no is the last."""
        found = [it for it in self.said if it.record == record]
        return sorted(found, key=lambda it: (it.created, not it.yes))


def may(person: Somebody, what: str) -> bool:
    """Whether what somebody signs counts in the project of the gates."""
    return person.project == "here" and bool(person.id) and what in person.may and not person.over


class History:
    """Two audits of one model in a project of its own, another project, and their people."""

    def __init__(self, world: World, random: Random) -> None:
        self.world, self.random, self.rules = world, random, Rules()
        number = next(NUMBERS)
        self.projects = {it: f"{it}{number}" for it in ("here", "there")}
        self.keys = {
            (it, role): world.key(project, role)
            for it, project in self.projects.items()
            for role in (AccessRole.SUBMITTER, AccessRole.ADMIN, AccessRole.APPROVER)
        }
        every = frozenset({"waiver", "approval", "finding"})
        self.people = [self.named(Somebody(name, "here", every)) for name in NAMES]
        self.revoked: set[Somebody] = set()
        self.waivers: list[tuple[Waiver, Somebody]] = []
        self.audits = {
            "passes": [self.audited(policy_of(f"passes{number}", 0.6, approvals=2), 2)],
            "waived": [self.audited(policy_of(f"waived{number}", 0.999, approvals=1), 1)],
        }
        self.began, self.told = utc_now(), Counter[str]()

    # What is done.

    def audited(self, policy: Policy, least: int) -> Audit:
        """Audit the example, as an engine does."""
        world, key = self.world, self.keys["here", AccessRole.SUBMITTER]
        world.upload_example(key)
        digest = world.upload(encode_canonical(policy.document), "datasets", key)
        asked = world.call("POST", "/v1/audits", key, json=world.body(policy=digest))
        name = str(asked.json()["id"])
        work = build_executor(world.place, {})
        for target, checks in work.plan(name):
            for check in checks:
                work.observe(name, target, check)
        work.conclude(name)
        (record,) = self.records(name)
        return Audit(policy, least, [record], str(record.verdict) == "pass", name)

    def records(self, audit: str) -> list[AuditRecord]:
        panel, project = self.world.service.people, self.projects["here"]
        named = [it.record for it in panel.rejudged.of(audit)]
        return [read_record(panel.record(project, it).body) for it in named]

    def names(self) -> bool:
        """Name somebody, or make a key of nobody."""
        random = self.random
        one = Somebody(
            random.choice(NAMES), random.choice(["here", "here", "here", "there"]),
            frozenset(it for it in ("waiver", "approval", "finding") if random.random() < 0.7),
            caller=random.random() < 0.2,
        )  # fmt: skip
        nobody = not one.may or random.random() < 0.15
        self.people.append(one if nobody else self.named(one))
        return not nobody

    def named(self, one: Somebody) -> Somebody:
        """Let an admin of the project name somebody."""
        asked = {"name": one.name, "key": one.pem, "may": sorted(one.may)}
        if one.caller:
            asked["caller"] = self.keys[one.project, AccessRole.SUBMITTER].split("_")[1]
        key = self.keys[one.project, AccessRole.ADMIN]
        answer = self.world.call("POST", "/v1/people", key, json=asked)
        assert answer.status_code == 201, answer.text
        one.id = answer.json()["id"]
        return one

    def ends(self) -> bool:
        """End somebody's leave, or let the ledger know that the key is in other hands."""
        one, store = self.somebody(), self.world.service.store
        if one.id and self.random.random() < 0.5:
            path, key = f"/v1/people/{one.id}/end", self.keys[one.project, AccessRole.ADMIN]
            answer = self.world.call("POST", path, key, json={"reason": "left us"})
            assert answer.status_code == 200, answer.text
            one.over |= one.project == "here"
        elif one not in self.revoked:
            with store.unit_of_work() as work:
                register_key_use(work, KeyRole.DECISION, one.pem, utc_now())
            with store.unit_of_work() as work:
                life = build_key_book(work.key_entries()).lives[one.pem]
                record_key_revocation(work, life, utc_now(), "a stolen laptop", utc_now())
            self.revoked.add(one)
            one.over = True
        return True

    def answers(self) -> bool:
        """Say yes or no to a record, by the door or on the very machine."""
        random, one, (_, record) = self.random, self.somebody(), self.some_record()
        yes, ended, inside = random.random() < 0.88, random.random() < 0.05, random.random() < 0.1
        expires = self.end(ended=ended) if ended or random.random() < 0.4 else None
        said = Approval(
            record=record.digest, record_id=record.id, by=one.name, role="model risk",
            answer=ApprovalAnswer.YES if yes else ApprovalAnswer.NO,
            reason="All findings are known.", created=self.time(), expires=expires,
        )  # fmt: skip
        told = Said(record.digest, one, yes, said.created, said.expires)
        if inside and not ended and told not in self.rules.said:
            bundle, pem = sign_approval(said, one.signer), one.signer.public_pem()
            with self.world.service.store.unit_of_work() as work:
                work.append(*build_approval_event(said, bundle, pem, utc_now()))
            self.rules.said.append(told)
            return True
        said = replace(said, record_id=self.maybe(record.id), by=self.maybe(one.name))
        right = (said.record_id, said.by) == (record.id, one.name) and not ended
        right = right and may(one, "approval") and not (yes and one.caller)
        taken = self.posts("approvals", sign_approval(said, one.signer), one, right)
        if taken and told not in self.rules.said:  # sent again it is the same one
            self.rules.said.append(told)
        return taken

    def finds(self) -> bool:
        """Find something wrong with a record."""
        one, (audit, record) = self.somebody(), self.some_record()
        said = HumanFinding(
            record=record.digest, record_id=self.maybe(record.id), by=self.maybe(one.name),
            role="clinician", reason="Row r17 is a scar.", created=self.time(),
        )  # fmt: skip
        right = (said.record_id, said.by) == (record.id, one.name) and may(one, "finding")
        taken = self.posts("findings", sign_finding(said, one.signer), one, right)
        audit.found |= taken
        return taken

    def waives(self) -> bool:
        """Waive the rule that one audit breaks, or something else."""
        random, one = self.random, self.somebody()
        audit = random.choice([self.audits["passes"][0], *self.audits["waived"] * 5])
        ended, own = random.random() < 0.1, artifact(self.world)
        waiver = Waiver(
            rule=self.maybe("accuracy"), model=self.maybe("line"),
            artifact=random.choice([own, own, own, None, sha(b"another")]),
            policy=audit.policy.name, policy_digest=random.choice([None, audit.policy.digest]),
            target=random.choice([None, "cpu", "cpu", "npu"]), approver=self.maybe(one.name),
            owner=random.choice([it for it in (*NAMES, "Olga") if it != one.name]),
            reason="The sensor is replaced soon.", ticket=f"R-{next(NUMBERS)}",
            created=self.time(), expires=self.end(ended=ended),
        )  # fmt: skip
        fits = (
            (waiver.rule, waiver.model) == ("accuracy", "line")
            and waiver.artifact in {None, own}
            and waiver.target in {None, "cpu"}
            and not audit.passes
        )
        kept = waiver.approver == one.name and not ended and may(one, "waiver")
        taken = self.posts(
            "waivers",
            sign_waiver(waiver, one.signer),
            one,
            kept and not (fits and audit.challenged),
        )
        if taken and fits:
            self.waivers.append((waiver, one))
            given = [it for it in self.waivers if may(it[1], "waiver")]
            audit.waived = max(given, key=lambda it: (it[0].expires, it[0].digest))
            audit.records = self.records(audit.id)
        return taken

    def challenges(self) -> bool:
        """Keep a challenge to a record, as whoever tried it signed it."""
        audit, record = self.some_record()
        outcome, signer = self.random.choice(list(ChallengeOutcome)), self.somebody().signer
        told = Challenge(
            record=record.digest, record_id=record.id, artifact=artifact(self.world), target="cpu",
            identity=sha(b"cpu"), examples=sha(b"examples"), disproved=(), outcome=outcome,
            trials=(ExampleTrial(0, "r1", "quality.accuracy", ExampleResult.HOLDS, "yes"),),
            moved=(RuleOutcomeChange("accuracy", "cpu", "passed", "failed"),),
            signer=signer.identity, tried=self.time(),
        )  # fmt: skip
        with self.world.service.store.unit_of_work() as work:
            work.challenge(told, sign_challenge(told, signer))
        audit.refuted |= outcome is ChallengeOutcome.REFUTED
        # Judging again is refused by any that stands there, whatever it came to.
        audit.challenged = True
        return True

    def again(self) -> bool:
        """Audit the same bytes once more under the policy that is kept."""
        before = self.audits["passes"]
        before.insert(0, self.audited(before[0].policy, before[0].least))
        return True

    def posts(self, kind: str, bundle: bytes, one: Somebody, right: bool) -> bool:  # noqa: FBT001
        """Hand in what somebody signed, by a key of the gates' project or, seldom, of another's."""
        via = "here" if self.random.random() < 0.9 else "there"
        body = {"bundle": bundle.decode(), "key": one.pem}
        answer = self.world.call(
            "POST", f"/v1/{kind}", self.keys[via, AccessRole.APPROVER], json=body
        )
        if via == "there":
            assert kind == "waivers" or answer.status_code >= 400, answer.text
            return False
        assert (answer.status_code in {200, 201}) is right, (kind, right, one, answer.text)
        return right

    def somebody(self) -> Somebody:
        """Return one of the people, mostly of those whose word counts."""
        able = [it for it in self.people if it.may and it.id and not it.over]
        sure = able and self.random.random() < 0.8
        return self.random.choice(able if sure else self.people)

    def some_record(self) -> tuple[Audit, AuditRecord]:
        """Return an audit and a record of it, mostly its last."""
        audits = self.audits[self.random.choice(["passes", "passes", "waived"])]
        audit = audits[0] if self.random.random() < 0.7 else self.random.choice(audits)
        last = self.random.random() < 0.8
        return audit, audit.records[-1] if last else self.random.choice(audit.records)

    def maybe(self, text: str) -> str:
        return f"{text}2" if self.random.random() < 0.05 else text

    def time(self) -> str:
        """Return one of a few seconds, so that several things are of the same one."""
        return later(self.began, -self.random.randrange(1, 6) / 86400)

    def end(self, *, ended: bool) -> str:
        return later(utc_now(), -1 if ended else self.random.uniform(0.1, WITHIN))

    # What is asked.

    def does(self) -> None:
        """Do something, and ask both gates, and one that nobody opens."""
        deed = self.random.choices(list(DEEDS), weights=list(DEEDS.values()))[0]
        self.told[f"{deed.__name__}: {deed(self)}"] += 1
        for name, audits in self.audits.items():
            self.asks(name, audits)

    def asks(self, name: str, audits: list[Audit]) -> None:
        """Hold the gate against the rules, at a time at which something may just have ended."""
        random = self.random
        ends = [it.expires for it in self.rules.said if it.expires and it.expires > utc_now()]
        ends += [it.expires for it, _ in self.waivers]
        at = random.choice(
            [later(utc_now(), 0), later(utc_now(), random.uniform(0, WITHIN)), *ends]
        )
        at = random.choice([at, later(at, -1 / 86400)]) if at in ends else at
        asking = GateRequest(
            project=self.projects["here"], artifact=artifact(self.world),
            policy=audits[0].policy.digest, target=random.choice([None, "cpu"]),
        )  # fmt: skip
        expected = self.rules.open(audits, at)
        assert self.asked(asking, at) == expected, (name, at, self.story())
        self.told[f"{name} is {'open' if expected else 'shut'}"] += 1
        if random.random() < 0.5:
            assert not self.asked(self.wrong(asking), at)

    def wrong(self, asking: GateRequest) -> GateRequest:
        """Return a question to which the answer is no, whatever people said."""
        other = sha(b"another")
        return replace(asking, **self.random.choice(list[dict[str, Any]]([
            {"project": self.projects["there"]}, {"artifact": other}, {"policy": other},
            {"target": "npu"}, {"target": "cpu", "identity": other},
            {"max_age": -timedelta(seconds=1)},
        ])))  # fmt: skip

    def story(self) -> str:
        """Tell what was said of which records, for whoever reads why this test failed."""
        names = {
            record.digest: f"{name}[{at}][{number}]"
            for name, audits in self.audits.items()
            for at, audit in enumerate(audits)
            for number, record in enumerate(audit.records)
        }
        said = [
            f"{it.by} {'yes' if it.yes else 'no'} to {names[it.record]} {it.created} {it.expires}"
            for it in self.rules.said
        ]
        return "; ".join([*said, *(f"{it}" for them in self.audits.values() for it in them)])

    def asked(self, asking: GateRequest, at: str) -> bool:
        keeper = replace(self.world.service.gatekeeper, clock=lambda: at)
        return keeper.ask(asking).open


DEEDS: Mapping[Callable[[History], bool], int] = {
    History.answers: 50, History.names: 12, History.waives: 20, History.ends: 7,
    History.finds: 2, History.challenges: 2, History.again: 3,
}  # fmt: skip


def live(world: World, random: Random, deeds: int) -> Counter[str]:
    """Let people do so many things, and return what came of them."""
    history = History(world, random)
    for _ in range(deeds):
        history.does()
    return history.told


def test_a_few_deeds_open_gates_by_the_rules_alone(apart: World) -> None:
    told = live(apart, Random("few 1"), FEW)  # noqa: S311 -- no secret
    assert min(told[f"{it} is open"] for it in ("passes", "waived")) > 2, told


@pytest.mark.slow
@pytest.mark.long
def test_thousands_of_answers_of_gates_keep_to_the_rules(apart: World) -> None:
    random, told = Random("many"), Counter[str]()  # noqa: S311 -- no secret
    while sum(told.values()) < MANY:
        told += live(apart, random, 60)
    every = {f"{deed.__name__}: True" for deed in DEEDS}
    every |= {f"{name} is {how}" for name in ("passes", "waived") for how in ("open", "shut")}
    assert min(told[it] for it in every) > 10, told
