"""People of a project decide over HTTP, and its gates count what they signed and nobody else."""

import base64
import json
from dataclasses import replace
from pathlib import Path

import pytest
from deciding_people import (
    Someone,
    as_a_browser,
    audited,
    gate,
    handed_in,
    later,
    look,
    observed,
    policy_of,
    somebody,
    waiver_of,
)
from served_toys import sha
from served_worlds import World, problem
from visited_pages import Pages

from auditor._time import utc_now
from auditor.domain.approvals import ApprovalAnswer
from auditor.domain.policies import AssuranceLevel, Policy
from auditor.domain.verification_steps import all_hold
from auditor.reports.folder import RecordFolder
from auditor.service.approvals.people import explain_barred_keys, load_project_people
from auditor.service.approvals.rejudge import WaiverFollower
from auditor.service.gate import GateRequest
from auditor.trust.signatures.decisions import sign_waiver
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_verifier


@pytest.fixture(scope="module")
def strict() -> Policy:
    return policy_of("strict", approvals=2, blind_labels=3)


@pytest.fixture(scope="module")
def failing(world: World, strict: Policy) -> str:
    return audited(world, strict)


@pytest.fixture(scope="module")
def plain() -> Policy:
    return policy_of("plain", 0.6, approvals=1)


@pytest.fixture(scope="module")
def passing(world: World, plain: Policy) -> str:
    """The record of an audit that passes, and asks for one approval."""
    return str(look(world, audited(world, plain))["record"])


@pytest.fixture(scope="module")
def anna(world: World) -> Someone:
    return somebody(world, "Anna Smith", "waiver", "approval", "finding")


def test_nobody_decides_whom_no_admin_named_and_whoever_is_ended_decides_no_more(
    world: World, strict: Policy, failing: str
) -> None:
    first = str(look(world, failing)["record"])
    wanda = somebody(world, "Wanda", "waiver")
    stranger = Someone(world, "Stranger", somebody(world, "S", "waiver", key="stranger").signer)
    refused = stranger.waive(waiver_of(world, strict, stranger))
    assert refused.status_code == 422
    assert "is not the key of a person in this project" in problem(refused)["detail"]
    assert "Wanda has no permission to sign: approval" in problem(wanda.answer(first))["detail"]
    other = wanda.waive(waiver_of(world, strict, wanda, approver="Anna Smith"))
    assert "is the key of Wanda" in problem(other)["detail"]
    again = {"name": "W", "key": wanda.pem, "may": ["waiver"]}
    assert world.call("POST", "/v1/people", "admin", json=again).status_code == 409
    ended = world.call("POST", f"/v1/people/{wanda.id}/end", "admin", json={"reason": "left us"})
    assert ended.json()["reason"] == "left us"
    assert (
        "the signing permission of Wanda ended on"
        in problem(wanda.waive(waiver_of(world, strict, wanda)))["detail"]
    )


def test_a_key_that_signs_records_is_nobodys(world: World) -> None:
    asked = {"name": "R", "key": world.service.report_key.decode(), "may": ["approval"]}
    refused = world.call("POST", "/v1/people", "admin", json=asked)
    assert problem(refused)["type"].endswith("/key_invalid")
    asked["key"] = "-----BEGIN PUBLIC KEY-----\nnone\n-----END PUBLIC KEY-----\n"
    assert world.call("POST", "/v1/people", "admin", json=asked).status_code == 422


def test_what_is_forged_has_run_out_or_is_of_a_time_to_come_is_not_kept(
    world: World, strict: Policy, failing: str, anna: Someone
) -> None:
    before = look(world, failing)["records"]
    mallory = somebody(world, "Mallory", "waiver")
    bundle = sign_waiver(waiver_of(world, strict, anna), mallory.signer)
    body = {"bundle": bundle.decode(), "key": anna.pem}
    forged = world.call("POST", "/v1/waivers", "approver", json=body)
    assert problem(forged)["type"].endswith("/waiver_invalid")
    old = waiver_of(
        world, strict, anna, created="2026-01-01T00:00:00Z", expires="2026-02-01T00:00:00Z"
    )
    assert "has expired" in problem(anna.waive(old))["detail"]
    early = waiver_of(world, strict, anna, created=later(utc_now(), 1))
    assert "does not count yet" in problem(anna.waive(early))["detail"]
    listed = world.call("GET", "/v1/waivers", "viewer").json()["decisions"]
    assert sha(bundle) not in {item["digest"] for item in listed}
    assert look(world, failing)["records"] == before


def test_from_a_failing_audit_to_an_open_gate_and_shut_again(
    world: World, strict: Policy, failing: str, anna: Someone, tmp_path: Path
) -> None:
    assert look(world, failing)["standing"] == "failed"
    given = waiver_of(world, strict, anna)
    made = anna.waive(given)
    assert made.status_code == 201, made.text
    (fresh,) = made.json()["rejudged"]
    assert (fresh["verdict"], fresh["derived_from"]) == ("pass", look(world, failing)["record"])

    # Sent again it is the same one, and nothing is judged twice.
    again = anna.waive(given)
    assert (again.status_code, again.json()["rejudged"]) == (200, [])
    shut = gate(world, strict)
    assert (shut["open"], shut["record"]) == (False, fresh["digest"])
    assert "0 of 2 approvals" in shut["by"]["approvals"]
    stands = look(world, failing)
    assert (stands["standing"], stands["verdict"]) == ("awaiting approval", "fail")
    assert [item["digest"] for item in stands["records"]] == [fresh["digest"]]
    _verifies(world, fresh["digest"], tmp_path)

    # Each of two people labels first, and only then says yes.
    bob = somebody(world, "Bob Brown", "approval")
    early = bob.answer(fresh["digest"])
    assert early.status_code == 409
    assert "were not labelled" in problem(early)["detail"]
    for person in (anna, bob):
        _label(world, fresh["digest"], person)
        said = person.answer(fresh["digest"])
        assert (said.status_code, said.json()["labels"]["cases"]) == (201, 3)
    opened = gate(world, strict)
    assert opened["open"], opened["by"]
    assert look(world, failing)["standing"] == "approved"
    assert not gate(world, strict, "stranger")["open"]

    # The waiver runs out: the same gate shuts.
    keeper = replace(world.service.gatekeeper, clock=lambda: later(given.expires, 1))
    asking = GateRequest(project="default", artifact=str(given.artifact), policy=strict.digest)
    late = {step.name: step.detail for step in keeper.ask(asking).steps}
    assert "expired on" in late["waivers"]

    # A no of one shuts it, and what a person found shuts it for good.
    assert bob.answer(fresh["digest"], ApprovalAnswer.NO).status_code == 201
    assert look(world, failing)["standing"] == "refused"
    assert bob.answer(fresh["digest"], reason="It was looked at again.").status_code == 201
    assert anna.find(str(stands["record"])).status_code == 201
    wrong = gate(world, strict)
    assert not wrong["open"]
    assert "Row r17 is a scar." in wrong["by"]["human findings"]
    assert look(world, failing)["standing"] == "failed"


def _label(world: World, record: str, person: Someone) -> None:
    asked = {"record": record, "person": person.id}
    cases = world.call("GET", "/v1/approvals/cases", "approver", params=asked).json()
    assert (len(cases["cases"]), cases["classes"], cases["done"]) == (3, ["no", "yes"], False)
    labels = dict.fromkeys(cases["cases"], "yes")
    for wrong in ({**labels, cases["cases"][0]: "perhaps"}, {"r0": "yes"}):
        body = {**asked, "labels": wrong}
        assert world.call("POST", "/v1/approvals/labels", "approver", json=body).status_code == 422
    told = world.call("POST", "/v1/approvals/labels", "approver", json={**asked, "labels": labels})
    rows = (world.example / "test.csv").read_text().splitlines()
    truth = {row.split(",")[0]: row.rpartition(",")[2] for row in rows}
    right = sum(truth[case] == "yes" for case in cases["cases"])
    assert (told.json()["agree_with_truth"], told.json()["cases"]) == (right, 3)
    labels[cases["cases"][0]] = "no"
    other = world.call("POST", "/v1/approvals/labels", "approver", json={**asked, "labels": labels})
    assert other.status_code == 409
    assert world.call("GET", "/v1/approvals/cases", "stranger", params=asked).status_code == 404


def _verifies(world: World, record: str, folder: Path) -> None:
    for item in world.call("GET", f"/v1/records/{record}/files", "viewer").json()["files"]:
        place = folder / item["name"]
        place.parent.mkdir(exist_ok=True)
        path = f"/v1/records/{record}/files/{item['name']}"
        place.write_bytes(world.call("GET", path, "viewer").content)
    check = replace(build_verifier(world.service.report_key), highest=AssuranceLevel.A1)
    assert all_hold(verify_folder(RecordFolder(folder), check))


def test_a_no_stands_after_a_waiver_that_judges_the_refused_record_again(
    world: World, anna: Someone
) -> None:
    policy = policy_of("refused-before", approvals=1)
    audit = audited(world, policy)
    first = str(look(world, audit)["record"])
    bob = somebody(world, "Bob", "approval")
    assert (
        bob.answer(first, ApprovalAnswer.NO, created=later(utc_now(), -1 / 24)).status_code == 201
    )
    (fresh,) = anna.waive(waiver_of(world, policy, anna)).json()["rejudged"]
    assert anna.answer(fresh["digest"]).status_code == 201
    shut = gate(world, policy)
    assert not shut["open"]
    assert "before it was judged again: rejected by Bob" in shut["by"]["approvals"]
    assert look(world, audit)["standing"] == "refused"
    assert bob.answer(first).status_code == 201
    assert gate(world, policy)["open"]
    assert look(world, audit)["standing"] == "approved"


def test_a_waiver_follows_a_later_audit_of_the_same_bytes(world: World, anna: Someone) -> None:
    policy = policy_of("followed")
    early = waiver_of(world, policy, anna)
    assert anna.waive(early).json()["rejudged"] == []
    audit = audited(world, policy)
    assert look(world, audit)["standing"] == "failed"
    follower = WaiverFollower(world.service.people)
    follower.follow()
    stands = look(world, audit)
    assert (stands["standing"], len(stands["records"])) == ("passed", 1)
    assert gate(world, policy)["open"]
    page = Pages.of(world).visit("viewer").get(f"/audits/{audit}").text
    assert "The verdict is now <strong>Approved by exception</strong>" in page
    assert '<dd id="standing">Passed</dd>' in page
    follower.follow()
    WaiverFollower(world.service.people).follow()
    assert look(world, audit)["records"] == stands["records"]


def test_a_waiver_follows_an_audit_that_is_kept_after_one_that_ended_later(
    world: World, anna: Someone
) -> None:
    policy = policy_of("followed-late")
    anna.waive(waiver_of(world, policy, anna))
    follower = WaiverFollower(world.service.people)
    slow = handed_in(world, policy)
    work = observed(world, slow)
    world.service.kept.finish(slow, later(utc_now(), -1 / 24))
    quick = handed_in(world, policy_of("followed-before", at_least=0.9999))
    observed(world, quick).conclude(quick)
    follower.follow()
    work.conclude(slow)
    follower.follow()
    assert look(world, slow)["standing"] == "passed"


def test_lists_are_of_one_project_of_one_thing_and_go_on_at_a_cursor(
    world: World, strict: Policy, anna: Someone
) -> None:
    about = sha(b"an artifact that nobody has audited yet")
    made = [
        anna.waive(waiver_of(world, strict, anna, artifact=about, ticket=f"R-{at}")).json()[
            "digest"
        ]
        for at in range(3)
    ]

    def listed(who: str = "viewer", **query: str) -> tuple[list[str], str]:
        said = world.call("GET", "/v1/waivers", who, params={"artifact": about, **query}).json()
        return [item["digest"] for item in said["decisions"]], said["next"]

    assert listed() == (made[::-1], "")
    page, following = listed(limit="2")
    rest, end = listed(cursor=following)
    assert (page + rest, end) == (made[::-1], "")
    assert listed("stranger") == ([], "")
    assert world.call("GET", f"/v1/waivers?cursor={sha(b'x')}", "viewer").status_code == 422
    assert listed(artifact=sha(b"another")) == ([], "")
    one = f"/v1/waivers/{made[0]}"
    assert sha(world.call("GET", one, "viewer").json()["bundle"].encode()) == made[0]
    assert world.call("GET", one, "stranger").status_code == 404
    assert world.call("GET", one.replace("waivers", "approvals"), "viewer").status_code == 404


def test_a_browser_signs_what_the_service_wrote(world: World, plain: Policy, passing: str) -> None:
    record = passing
    carl = somebody(world, "Carl", "approval", "waiver", "finding")
    asked = {"record": record, "key": carl.pem, "role": "model risk", "answer": "yes",
             "reason": "All findings are known."}  # fmt: skip
    draft = world.call("POST", "/v1/approvals/draft", "approver", json=asked).json()
    raw = as_a_browser(carl.signer, draft["to_sign"])
    body = {"payload": draft["payload"], "signature": raw, "key": carl.pem}
    made = world.call("POST", "/v1/approvals", "approver", json=body)
    assert made.status_code == 201, made.text
    assert (made.json()["says"]["by"], made.json()["name"]) == ("Carl", "Carl")
    assert gate(world, plain)["open"]

    # The same by the bundle that lacks the signature alone.
    template = json.loads(draft["bundle"])
    template["dsseEnvelope"]["signatures"][0]["sig"] = raw
    whole = {"bundle": json.dumps(template), "key": carl.pem}
    assert world.call("POST", "/v1/approvals", "approver", json=whole).status_code == 200
    flipped = bytearray(base64.b64decode(raw))
    flipped[40] ^= 1
    body["signature"] = base64.b64encode(flipped).decode()
    assert world.call("POST", "/v1/approvals", "approver", json=body).status_code == 422

    leave = {"record": record, "key": carl.pem, "rule": "accuracy", "owner": "Olga",
             "ticket": "R-1", "reason": "A leave of days.",
             "expires": later(utc_now(), 9)}  # fmt: skip
    draft = world.call("POST", "/v1/waivers/draft", "approver", json=leave).json()
    signed = as_a_browser(carl.signer, draft["to_sign"])
    body = {"payload": draft["payload"], "signature": signed, "key": carl.pem}
    taken = world.call("POST", "/v1/waivers", "approver", json=body)
    # The rule is kept already, so that there is nothing to judge again.
    assert (taken.status_code, taken.json()["rejudged"]) == (201, [])
    found = {"record": record, "key": carl.pem, "role": "clinician", "reason": "no"}
    assert world.call("POST", "/v1/findings/draft", "approver", json=found).status_code == 422
    leave["owner"] = "Carl"
    assert world.call("POST", "/v1/waivers/draft", "approver", json=leave).status_code == 422


def test_who_handed_an_audit_in_is_not_the_other_pair_of_eyes(world: World, passing: str) -> None:
    own = world.keys["submitter"].split("_")[1]
    dora = somebody(world, "Dora", "approval", caller=own)
    refused = dora.answer(passing)
    assert refused.status_code == 409
    assert "a person cannot approve an audit that they submitted" in problem(refused)["detail"]
    strange = {"name": "E", "key": dora.pem, "may": ["approval"], "caller": "0" * 16}
    assert world.call("POST", "/v1/people", "admin", json=strange).status_code == 404


def test_who_handed_an_audit_in_by_a_sign_on_is_not_the_other_pair_of_eyes_either(
    world: World, plain: Policy, passing: str
) -> None:
    token, panel = "oidc-" + "0a" * 8, world.service.people
    gina = somebody(world, "Gina", "approval", caller=token)
    audit = world.service.kept.submission("default", panel.record("default", passing).submission)
    assert audit is not None
    people = load_project_people(panel, "default")
    assert gina.pem not in explain_barred_keys(panel, people, audit, passing, plain)
    by_token = replace(audit, submitter=token)
    assert (
        "a person cannot approve an audit that they submitted"
        in explain_barred_keys(panel, people, by_token, passing, plain)[gina.pem]
    )


def test_nobody_speaks_of_a_record_of_another_project(world: World) -> None:
    record = look(world, world.done)["record"]
    eve = somebody(world, "Eve", "approval", "finding", key="stranger")
    for kind, answer in (("approvals", eve.answer), ("findings", eve.find)):
        posted = answer(record)
        assert posted.status_code == 422, kind  # her key is of nobody in that project
        bundle = json.loads(posted.request.content)
        there = world.call("POST", f"/v1/{kind}", "stranger", json=bundle)
        assert problem(there)["type"].endswith("/not_found")


@pytest.mark.parametrize(
    "bad",
    [
        {}, {"bundle": "{}"}, {"bundle": "x", "payload": "eA=="}, {"payload": "eA=="},
        {"payload": "no base64", "signature": "eA=="}, {"payload": "eA==", "signature": "eA=="},
        {"bundle": "{}", "key": "no key"}, {"bundle": "\udc00"},
    ],
)  # fmt: skip
def test_what_is_no_decision_is_refused(world: World, anna: Someone, bad: dict[str, str]) -> None:
    for kind in ("waivers", "approvals", "findings"):
        raw = json.dumps({"key": anna.pem, **bad})
        answer = world.call(
            "POST", f"/v1/{kind}", "approver", content=raw,
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        assert answer.status_code == 422, answer.text
