"""Leases: one agent at a time, offered again, and of results the first that is signed is kept."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from served_toys import sha
from served_worlds import World, problem
from starlette.testclient import TestClient

from auditor._resources import code_digest
from auditor._time import format_time
from auditor.domain.json import compute_digest
from auditor.domain.key_roles import KeyRole
from auditor.domain.readings import Gap, GapReason
from auditor.domain.record_json import read_record
from auditor.domain.verification_steps import StepResult
from auditor.errors import SubmissionError
from auditor.reports.folder import SIGNER
from auditor.reports.manifest import materialize_folder
from auditor.service.api.app import build_app
from auditor.service.domain.leases import LeaseTerms
from auditor.service.domain.submissions import ShardKey, Submission, SubmissionResult
from auditor.service.jobs.executor import build_executor
from auditor.service.jobs.results import ShardResult
from auditor.service.leases.offers import offer_shard
from auditor.service.leases.result_signature import sign_shard
from auditor.service.leases.terms import LeaseService
from auditor.service.server.assemble import assemble_service
from auditor.service.server.options import ServiceOptions
from auditor.service.store.audit_attempts import AttemptStore
from auditor.store.key_audit import check_agent_keys
from auditor.store.key_lifecycle import build_key_book, record_key_revocation, register_key_use
from auditor.targets.target_specs import NAMED
from auditor.trust.signatures.keys import KeySigner
from auditor.workflows.rejudge import rejudge_folder

CHECK = "quality.accuracy"
CODE = code_digest()
OTHER = compute_digest(b"another version")
TERMS = LeaseTerms(lease=30, live=90, offered=600, reserved=3, failures=3)


@dataclass
class Clock:
    """The service's time, which passes when a test says so."""

    at: datetime = datetime(2026, 5, 1, tzinfo=UTC)

    def __call__(self) -> str:
        return format_time(self.at)

    def passes(self, seconds: int) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Caller:
    """An agent as the service knows it, and the key that signs what it sees."""

    client: TestClient
    id: str
    key: str
    signer: KeySigner

    def post(self, what: str, **said: Any) -> httpx.Response:  # noqa: ANN401 -- JSON
        return self.call("POST", what, json=said)

    def call(self, verb: str, what: str, **more: Any) -> httpx.Response:  # noqa: ANN401 -- httpx's
        headers = {"Authorization": f"Bearer {self.key}", **more.pop("headers", {})}
        return self.client.request(verb, f"/v1/agents/{self.id}/{what}", headers=headers, **more)

    def lease(self) -> dict[str, Any] | None:
        answer = self.post("lease", code=CODE, wait=0)
        assert answer.status_code in {200, 204}, answer.text
        return None if answer.status_code == 204 else dict(answer.json())

    def holds(self) -> str:
        """Take a lease, and return its id."""
        found = self.lease()
        assert found is not None
        return str(found["lease"])

    def gives(
        self, lease: str, key: ShardKey, shard: bytes, signer: KeySigner | None = None
    ) -> httpx.Response:
        bundle = sign_shard(shard, lease, key, self.id, signer or self.signer)
        said = {"shard": shard.decode(), "bundle": bundle.decode()}
        return self.post(f"leases/{lease}/result", **said)


@dataclass
class Yard:
    """A service that leaves the target ``cpu`` to agents, beside the one of all tests here."""

    world: World
    client: TestClient
    hold: LeaseService
    clock: Clock
    made: int = 0

    def agent(self, who: str = "admin", code: str = CODE) -> Caller:
        """Enrol an agent in the project of an admin, and let it say hello."""
        signer = fresh()
        found = self.enrol(who, signer).json()
        caller = Caller(self.client, found["agent"]["id"], found["text"], signer)
        answer = caller.post("hello", code=code, targets=["cpu"])
        assert answer.status_code == (200 if code == CODE else 409), answer.text
        return caller

    def enrol(self, who: str, signer: KeySigner, **changes: Any) -> httpx.Response:  # noqa: ANN401 -- JSON
        public = signer.public_pem().decode()
        said = {"name": "board", "targets": ["cpu"], "public_key": public, **changes}
        headers = {"Authorization": f"Bearer {self.world.keys[who]}"}
        return self.client.post("/v1/agents", json=said, headers=headers)

    def shard(self) -> ShardKey:
        """Submit what was audited before once more, and offer its one shard."""
        self.made += 1
        kept, done = self.world.service.kept, self.world.done
        known = kept.submission(None, done)
        assert known is not None
        order = replace(known.order, source=f"{self.made}.yaml")
        mine: Submission = replace(known, id=f"sub-{self.made:024x}", order=order)
        kept.submit(mine, None)
        AttemptStore(kept.store).register(mine, kept.registered(done).request, self.clock())
        key = ShardKey(submission=mine.id, target="cpu", check=CHECK)
        assert not offer_shard(self.hold, key)
        return key

    def seen(self) -> bytes:
        """Return what the check saw when it was carried out here."""
        key = ShardKey(submission=self.world.done, target="cpu", check=CHECK)
        return self.world.service.kept.result(key) or b""

    def kept(self, key: ShardKey) -> bytes | None:
        return self.world.service.kept.result(key)

    def notes(self, key: ShardKey) -> list[str]:
        events = self.world.service.kept.events(key.submission)
        return [str(it.detail["text"]) for it in events if it.kind == "note"]


def fresh() -> KeySigner:
    return KeySigner(ec.generate_private_key(ec.SECP256R1()))


def gap(said: str = "it could not be seen", **changes: str) -> bytes:
    """Return the bytes of a result that needs no evidence."""
    told = {"target": "cpu", "check": CHECK, "code": CODE, **changes}
    reason = Gap(
        reason=GapReason.CHECK_CRASHED, detail=said, cure="", target=told["target"],
        check=told["check"],
    )  # fmt: skip
    return ShardResult(reason, None, told["code"]).emit()


@pytest.fixture(scope="module")
def yard(apart: World) -> Iterator[Yard]:
    world, clock = apart, Clock()
    choices = ServiceOptions(targets=NAMED, agents=("cpu",), terms=TERMS)
    service = assemble_service(world.place, world.engine, choices, world.log.append, lambda: False)
    hold = replace(service.agents, clock=clock)
    desk = replace(service.desk, agents=hold.live)
    app = build_app(replace(service, agents=hold, desk=desk, clock=clock))
    with TestClient(app, base_url="http://127.0.0.1:8400") as client:
        yield Yard(world, client, hold, clock)


@pytest.fixture
def key(yard: Yard) -> Iterator[ShardKey]:
    """Offer a shard, and let its submission end afterwards."""
    made = yard.shard()
    yield made
    yard.world.service.kept.end(made.submission, SubmissionResult(ended=yard.clock()))


def test_what_an_agent_says_of_its_targets_is_kept_for_its_project_alone(yard: Yard) -> None:
    caller = yard.agent()
    facts = {"machine": {"os": "Linux", "cpu": caller.id}, "runtime": {"name": "onnxruntime"}}
    probes = {"cpu": {**facts, "conditions": {"load_average": [0.1]}}}
    for _start in range(2):
        answer = caller.post("hello", code=CODE, targets=["cpu"], probes=probes)
        assert answer.status_code == 200, answer.text
    since = "2020-01-01T00:00:00Z"
    (seen,) = [it for it in yard.hold.sightings.since("default", since) if it.seer == caller.id]
    assert (seen.target, seen.number, seen.facts) == ("cpu", 1, facts)
    theirs = yard.hold.sightings.since("elsewhere", since)
    assert caller.id not in {it.seer for it in theirs}


def test_a_shard_is_in_the_hands_of_one_agent_who_may_ask_for_it_again(
    yard: Yard, key: ShardKey
) -> None:
    one, other = yard.agent(), yard.agent()
    found = one.lease()
    assert found is not None
    assert (found["submission"]["id"], found["target"], found["check"]) == (
        key.submission, "cpu", CHECK,
    )  # fmt: skip
    assert found["code"] == CODE
    assert other.lease() is None
    again = one.lease()
    assert again is not None
    assert again["lease"] == found["lease"]


def test_a_lease_of_which_nothing_is_heard_is_offered_again_and_the_history_says_so(
    yard: Yard, key: ShardKey
) -> None:
    one, other = yard.agent(), yard.agent()
    first = one.holds()
    yard.clock.passes(TERMS.lease)
    assert not offer_shard(yard.hold, key)
    assert other.lease() is None
    yard.clock.passes(1)
    assert not offer_shard(yard.hold, key)
    assert not offer_shard(yard.hold, key)
    assert other.lease() is None, "the agent whose model is open comes first"
    yard.clock.passes(TERMS.reserved)
    assert other.holds() != first
    (note,) = yard.notes(key)
    assert "board" in note
    assert "offered again" in note


def test_a_lease_goes_on_as_long_as_its_agent_says_so(yard: Yard, key: ShardKey) -> None:
    one, other = yard.agent(), yard.agent()
    lease = one.holds()
    for _ in range(5):
        yard.clock.passes(TERMS.lease - 5)
        going = one.post(f"leases/{lease}/progress", done=1, total=2, note="half")
        assert going.json() == {"go_on": True, "lapsed": False}
        assert not offer_shard(yard.hold, key)
        assert other.lease() is None
    events = yard.world.service.kept.events(key.submission)
    told = [it.detail for it in events if it.kind == "progress"]
    assert told == [{"target": "cpu", "check": CHECK, "done": 1, "total": 2, "note": "half"}] * 5


def test_the_first_result_wins_also_when_its_lease_was_over(yard: Yard, key: ShardKey) -> None:
    one, other = yard.agent(), yard.agent()
    first = one.holds()
    yard.clock.passes(TERMS.lease + 1)
    assert not offer_shard(yard.hold, key)
    yard.clock.passes(TERMS.reserved)
    second = other.holds()
    assert one.post(f"leases/{first}/progress").json() == {"go_on": True, "lapsed": True}
    assert one.gives(first, key, gap("first")).status_code == 200
    assert one.gives(first, key, gap("first")).status_code == 200, "the answer may have been lost"
    late = other.gives(second, key, gap("second"))
    assert (late.status_code, problem(late)["type"].rpartition("/")[2]) == (409, "state_conflict")
    assert one.gives(first, key, gap("another")).status_code == 409
    assert yard.kept(key) == gap("first")
    assert other.post(f"leases/{second}/progress").json()["go_on"] is False
    assert offer_shard(yard.hold, key)
    assert other.lease() is None


def test_what_its_agent_did_not_sign_is_not_kept(yard: Yard, key: ShardKey) -> None:
    one, stranger = yard.agent(), fresh()
    lease = one.holds()
    elsewhere = replace(key, check="evasion.linf")
    forged = {
        "by another key": one.gives(lease, key, gap(), stranger),
        "for another shard": one.post(
            f"leases/{lease}/result", shard=gap().decode(),
            bundle=sign_shard(gap(), lease, elsewhere, one.id, one.signer).decode(),
        ),
        "another result or another lease": one.post(
            f"leases/{lease}/result", shard=gap().decode(),
            bundle=sign_shard(gap(), "lea-" + "0" * 24, key, one.id, one.signer).decode(),
        ),
        "of other bytes": one.post(
            f"leases/{lease}/result", shard=gap("changed").decode(),
            bundle=sign_shard(gap(), lease, key, one.id, one.signer).decode(),
        ),
        "not at all": one.post(f"leases/{lease}/result", shard=gap().decode(), bundle="{}"),
    }  # fmt: skip
    for how, answer in forged.items():
        assert answer.status_code == 422, how
        assert problem(answer)["type"].endswith("/signature_invalid"), how
    assert yard.kept(key) is None


@pytest.mark.parametrize(
    "shard",
    [gap(check="evasion.linf"), gap(target="npu"), gap(code=OTHER), b"{}", b"[]", b'{"code": 1}'],
)
def test_what_is_no_result_of_the_shard_is_not_kept(
    yard: Yard, key: ShardKey, shard: bytes
) -> None:
    one = yard.agent()
    answer = one.gives(one.holds(), key, shard)
    assert answer.status_code == 422
    assert problem(answer)["type"].endswith("/submission_invalid")
    assert yard.kept(key) is None


def test_evidence_counts_once_its_agent_has_sent_it_even_if_it_is_there(
    yard: Yard, key: ShardKey
) -> None:
    one, idle = yard.agent(), yard.agent()
    lease, shard = one.holds(), yard.seen()
    names = list(json.loads(shard)["observation"]["evidence"].values())
    assert names
    missing = one.gives(lease, key, shard)
    assert (missing.status_code, "was not uploaded" in problem(missing)["detail"]) == (422, True)
    blobs = yard.world.place.store.blobs
    for name in names:
        wrong = one.call("PUT", f"evidence/{name}", content=b"something else")
        assert problem(wrong)["type"].endswith("/upload_invalid")
        assert idle.call("PUT", f"evidence/{name}", content=blobs.get(name)).status_code == 409
        assert one.call("PUT", f"evidence/{name}", content=blobs.get(name)).status_code == 200
    assert list((blobs.root / ".uploads").glob("evidence-*")) == []
    assert one.gives(lease, key, shard).status_code == 200


def test_an_agent_fetches_what_its_lease_needs_and_nothing_else(yard: Yard, key: ShardKey) -> None:
    one, idle = yard.agent(), yard.agent()
    ours = yard.world.upload(b"a file that no lease needs")
    found = one.lease()
    assert found is not None
    needed = found["blobs"][0]
    whole = one.call("GET", f"blobs/{needed}")
    assert sha(whole.content) == needed
    rest = one.call("GET", f"blobs/{needed}", headers={"Range": "bytes=10-"})
    assert (rest.status_code, rest.content) == (206, whole.content[10:])
    for who, what in ((one, ours), (idle, needed), (one, sha(b"nothing"))):
        assert who.call("GET", f"blobs/{what}").status_code == 404
    yard.clock.passes(TERMS.lease + 1)
    assert one.call("GET", f"blobs/{needed}").status_code == 404


def test_who_works_on_what_was_cancelled_hears_so_and_gives_nothing(
    yard: Yard, key: ShardKey
) -> None:
    one = yard.agent()
    lease = one.holds()
    yard.world.service.kept.end(key.submission, SubmissionResult(ended=yard.clock()))
    assert one.post(f"leases/{lease}/progress").json()["go_on"] is False
    assert one.gives(lease, key, gap()).status_code == 409
    assert yard.kept(key) is None
    assert offer_shard(yard.hold, key)


def test_agents_of_another_project_see_nothing_of_this_one(yard: Yard, key: ShardKey) -> None:
    one, foreign = yard.agent(), yard.agent("stranger")
    assert foreign.lease() is None
    lease = one.holds()
    for what in ("progress", "result", "failed"):
        said = {"shard": "{}", "bundle": "{}", "problem": "x"} if what != "progress" else {}
        answer = foreign.post(f"leases/{lease}/{what}", **said)
        assert answer.status_code == 404, what
    theirs = replace(foreign, id=one.id)
    assert theirs.post("lease", code=CODE, wait=0).status_code == 404
    assert theirs.post("hello", code=CODE, targets=["cpu"]).status_code == 404
    headers = {"Authorization": f"Bearer {yard.world.keys['stranger']}"}
    listed = yard.client.get("/v1/agents", headers=headers).json()["agents"]
    assert {item["project"] for item in listed} == {"elsewhere"}


def test_an_agent_of_another_version_gets_nothing_and_both_sides_are_told(
    yard: Yard, key: ShardKey
) -> None:
    old = yard.agent(code=OTHER)
    answer = old.post("lease", code=OTHER, wait=0)
    assert answer.status_code == 409
    assert OTHER in problem(answer)["detail"]
    assert CODE in problem(answer)["detail"]
    headers = {"Authorization": f"Bearer {yard.world.keys['viewer']}"}
    listed = yard.client.get("/v1/agents", headers=headers).json()["agents"]
    assert {item["id"]: item["same_code"] for item in listed}[old.id] is False


def test_a_shard_that_agents_give_back_goes_to_others_and_fails_the_third_time(
    yard: Yard, key: ShardKey
) -> None:
    one, other = yard.agent(), yard.agent()
    for number, (who, bystander) in enumerate([(one, other), (other, one), (one, other)]):
        lease = who.holds()
        assert bystander.lease() is None
        said = {"problem": "the disk is full", "cure": "Make room."}
        assert who.post(f"leases/{lease}/failed", **said).status_code == 200
        if number == 2:
            with pytest.raises(SubmissionError, match=r"3 times.*the disk is full"):
                offer_shard(yard.hold, key)
            return
        assert not offer_shard(yard.hold, key)
        assert who.lease() is None, "others come first"
        yard.clock.passes(0 if number == 0 else TERMS.reserved)


def test_a_target_lives_as_long_as_an_agent_of_the_project_is_heard_of(yard: Yard) -> None:
    yard.clock.passes(10 * TERMS.live)
    assert yard.hold.live("default") == frozenset()
    one = yard.agent()
    assert yard.hold.live("default") == yard.hold.live(None) == {"cpu"}
    assert yard.hold.live("elsewhere") == frozenset()
    yard.clock.passes(TERMS.live - 1)
    one.lease()
    yard.clock.passes(TERMS.live - 1)
    assert yard.hold.live("default") == {"cpu"}
    yard.clock.passes(2)
    assert yard.hold.live("default") == frozenset()
    one.lease()
    assert yard.hold.live("default") == {"cpu"}
    yard.world.call("POST", f"/v1/keys/{one.id}/end", "admin", json={"reason": "it was stolen"})
    assert yard.hold.live("default") == frozenset()
    assert one.post("lease", code=CODE, wait=0).status_code == 401


def test_only_what_an_agent_may_be_is_enrolled(yard: Yard) -> None:
    signer = fresh()
    refused = {
        "target_unavailable": yard.enrol("admin", signer, targets=["npu"]),
        "key_invalid": yard.enrol("admin", signer, public_key="no key"),
        "call_invalid": yard.enrol("admin", signer, expires="2020-01-01T00:00:00Z"),
    }
    for slug, answer in refused.items():
        assert problem(answer)["type"].endswith(f"/{slug}"), answer.text
    report = yard.world.service.report_key.decode()
    second = yard.enrol("admin", signer, public_key=report)
    assert "may not be the agent key too" in problem(second)["detail"]
    said = {"name": "x", "role": "agent"}
    assert yard.world.call("POST", "/v1/keys", "admin", json=said).status_code == 422


def test_a_key_is_an_agents_once_it_signed_and_by_being_named_alone_it_is_nothing(
    yard: Yard, key: ShardKey
) -> None:
    """A public key is public: whoever names another project's approver's must not end it."""
    approver, one = fresh(), yard.agent()
    public, store = approver.public_pem().decode(), yard.world.place.store

    def role_of(pem: str) -> str | None:
        life = build_key_book(store.key_entries()).lives.get(pem)
        return None if life is None else life.role

    assert yard.enrol("stranger", approver).status_code == 201
    assert role_of(public) is role_of(one.signer.public_pem().decode()) is None
    with store.unit_of_work() as work:
        register_key_use(work, KeyRole.DECISION, public, yard.clock())
    # Nothing is told of a key that others use; and it signs no results.
    taken = yard.enrol("admin", approver).json()
    thief = Caller(yard.client, taken["agent"]["id"], taken["text"], approver)
    assert thief.post("hello", code=CODE, targets=["cpu"]).status_code == 200
    refused = thief.gives(thief.holds(), key, gap())
    assert "may not be the agent key too" in problem(refused)["detail"]
    assert yard.kept(key) is None
    yard.clock.passes(TERMS.lease + 1)
    assert not offer_shard(yard.hold, key)
    yard.clock.passes(TERMS.reserved + 1)
    assert one.gives(one.holds(), key, gap()).status_code == 200
    assert role_of(one.signer.public_pem().decode()) == KeyRole.AGENT


def test_a_record_says_whose_key_signed_what_was_seen_and_reads_as_one_made_here(
    yard: Yard, key: ShardKey
) -> None:
    one, kept = yard.agent(), yard.world.service.kept
    lease, shard, blobs = one.holds(), yard.seen(), yard.world.place.store.blobs
    for name in json.loads(shard)["observation"]["evidence"].values():
        one.call("PUT", f"evidence/{name}", content=blobs.get(name))
    assert one.gives(lease, key, shard).status_code == 200
    build_executor(yard.world.place, {}).conclude(key.submission)
    records = []
    for audit in (yard.world.done, key.submission):
        ending = kept.outcome(audit)
        assert ending is not None
        assert ending.files is not None
        manifest = json.loads(blobs.get(ending.files))
        records.append(read_record(blobs.get(manifest["record.json"])))
    here, there = records
    assert there.readings == here.readings
    assert there.tool["agents"] == {"cpu": [one.signer.identity]}
    assert {**there.tool, "agents": None} == {**here.tool, "agents": None}
    panel = yard.world.service.people
    with materialize_folder(blobs, ending.files) as folder:
        verifier = panel.verifier(folder.read(SIGNER))
        again = rejudge_folder(folder, there, panel.policy_of(there), verifier, panel.around)
    assert again.tool == {**there.tool, "first_verdict": there.verdict.value}
    assert list(check_agent_keys(kept.store, here)) == []
    (before,) = check_agent_keys(kept.store, there)
    with kept.store.unit_of_work() as work:
        life = build_key_book(work.key_entries()).lives[one.signer.public_pem().decode()]
        record_key_revocation(work, life, there.finished, "a stolen board", there.finished)
    (after,) = check_agent_keys(kept.store, there)
    assert (before.result, after.result) == (StepResult.HOLDS, StepResult.FAILED)
    assert "a stolen board" in after.detail
