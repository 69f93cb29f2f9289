"""Who did what is told to admins of the project, and held by the ledger."""

from served_worlds import World, problem

from auditor._time import utc_now
from auditor.domain.verification_steps import StepResult
from auditor.service.store.audit_log_check import SERVICE_ROWS
from auditor.store.ledger_audit import LedgerReference, audit_ledger


def acts(world: World, key: str = "admin") -> list[dict[str, object]]:
    found = world.call("GET", "/v1/acts?limit=200", key).json()["acts"]
    assert isinstance(found, list)
    return found


def asked_of(world: World, audit: str) -> str:
    found = world.service.kept.submission("default", audit)
    assert found is not None
    return found.asked


def test_keys_that_are_made_and_ended_and_audits_that_are_cancelled_are_told(world: World) -> None:
    me = world.keys["admin"].split("_")[1]
    asked = {"name": "for acts", "role": "viewer"}
    made = world.call("POST", "/v1/keys", "admin", json=asked).json()
    key = made["key"]["id"]
    reason = {"reason": "only for a test"}
    for _ in range(2):
        assert world.call("POST", f"/v1/keys/{key}/end", "admin", json=reason).status_code == 200
    world.upload_example()
    once = {"headers": {"Idempotency-Key": "for acts"}, "json": world.body()}
    audit = world.call("POST", "/v1/audits", **once).json()["id"]
    assert world.call("POST", "/v1/audits", **once).status_code == 200
    assert world.call("POST", f"/v1/audits/{audit}/cancel").status_code == 200
    assert world.call("POST", f"/v1/audits/{audit}/cancel").status_code == 409
    told = [
        (it["caller"], it["kind"], it["about"], it["detail"])
        for it in acts(world)
        if it["about"] in {key, audit}
    ]
    submitter = world.keys["submitter"].split("_")[1]
    assert told == [
        (submitter, "audit_cancelled", audit, {}),
        (submitter, "audit_asked", audit, {"asked": asked_of(world, audit)}),
        (me, "key_ended", key, reason),
        (me, "key_made", key, {"role": "viewer"}),
    ]
    assert made["text"].split("_", 2)[2] not in str(acts(world))
    audited = audit_ledger(world.place.store.engine, LedgerReference(), SERVICE_ROWS)
    steps = {step.name: step for step in audited}
    assert steps["acts"].result is StepResult.HOLDS


def test_acts_of_another_project_are_not_there(world: World) -> None:
    mine = world.call("POST", "/v1/keys", "admin", json={"name": "mine", "role": "viewer"}).json()
    assert mine["key"]["id"] in {it["about"] for it in acts(world)}
    assert mine["key"]["id"] not in {it["about"] for it in acts(world, "stranger")}
    cursor = acts(world)[0]["id"]
    answer = world.call("GET", f"/v1/acts?cursor={cursor}", "stranger")
    assert answer.status_code == 422
    assert problem(answer)["type"].endswith("/usage")


def test_an_act_says_when_it_was(world: World) -> None:
    before = utc_now()
    world.call("POST", "/v1/keys", "admin", json={"name": "when", "role": "viewer"})
    assert before <= str(acts(world)[0]["at"]) <= utc_now()
