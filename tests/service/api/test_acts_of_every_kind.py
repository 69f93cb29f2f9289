"""Every way to change what is another's in a project is told, and held by the ledger."""

from collections.abc import Iterator

from deciding_people import somebody
from served_worlds import World
from waiver_papers import new_signer

from auditor.domain.verification_steps import StepResult
from auditor.service.domain.access import AuditLogAction
from auditor.service.leases.enrolment import AgentEnrolment, enrol_agent
from auditor.service.server.options import ServiceOptions, build_lease_service
from auditor.service.store.audit_log_check import SERVICE_ROWS
from auditor.service.store.projects import AuditLogStore
from auditor.store.ledger_audit import LedgerReference, audit_ledger
from auditor.targets.target_specs import NAMED

REASON = {"reason": "only for a test"}
Told = Iterator[tuple[AuditLogAction, str, str]]
"""What was done, to what, and by whose key."""


def posted(world: World, path: str, key: str, **body: object) -> dict[str, str]:
    answer = world.call("POST", path, key, json=body or None)
    assert answer.status_code < 300, answer.text
    return dict(answer.json())


def schedules(world: World) -> Told:
    asked = {"name": "told", "same_as": world.done, "cron": "0 3 * * *"}
    made = posted(world, "/v1/schedules", "submitter", **asked)["id"]
    yield AuditLogAction.SCHEDULE_MADE, made, "submitter"
    for verb in ("pause", "pause", "resume", "end", "end"):
        posted(world, f"/v1/schedules/{made}/{verb}", "approver")
    yield AuditLogAction.SCHEDULE_PAUSED, made, "approver"
    yield AuditLogAction.SCHEDULE_RESUMED, made, "approver"
    yield AuditLogAction.SCHEDULE_ENDED, made, "approver"


def hooks(world: World) -> Told:
    asked = {"url": "https://hooks.example.org/told?token=hush", "events": ["audit.done"]}
    made = world.call("POST", "/v1/webhooks", "admin", json=asked).json()["webhook"]["id"]
    yield AuditLogAction.HOOK_MADE, made, "admin"
    for _ in range(2):
        posted(world, f"/v1/webhooks/{made}/end", "admin")
    yield AuditLogAction.HOOK_ENDED, made, "admin"


def people(world: World) -> Told:
    person = somebody(world, "Told Person", "approval")
    yield AuditLogAction.PERSON_NAMED, person.id, "admin"
    for _ in range(2):
        posted(world, f"/v1/people/{person.id}/end", "admin", **REASON)
    yield AuditLogAction.PERSON_ENDED, person.id, "admin"


def agents(world: World) -> Told:
    hold = build_lease_service(world.service.kept, ServiceOptions(targets=NAMED, agents=("cpu",)))
    admin = world.service.kept.key(world.keys["admin"].split("_")[1])
    assert admin is not None
    pem = new_signer().public_pem().decode()
    asked = AgentEnrolment(name="told", targets=("cpu",), public_key=pem)
    agent, _key = enrol_agent(hold, admin, asked)
    yield AuditLogAction.AGENT_ENROLLED, agent.id, "admin"
    posted(world, f"/v1/keys/{agent.id}/end", "admin", **REASON)
    yield AuditLogAction.AGENT_ENDED, agent.id, "admin"


ELSEWHERE = frozenset({
    AuditLogAction.PROJECT_MADE, AuditLogAction.KEY_MADE, AuditLogAction.KEY_ENDED,
    AuditLogAction.AUDIT_ASKED, AuditLogAction.AUDIT_CANCELLED, AuditLogAction.SEALED_SET_KEPT,
    AuditLogAction.SEALED_SET_RELEASED,
})  # fmt: skip
"""What other tests do."""


def test_what_is_done_is_told_once_each_and_the_ledger_holds_it(world: World) -> None:
    done = [it for part in (schedules, hooks, people, agents) for it in part(world)]
    assert {kind for kind, _, _ in done} == set(AuditLogAction) - ELSEWHERE
    expected = [(kind, about, world.keys[key].split("_")[1]) for kind, about, key in done]
    abouts = {about for _, about, _ in expected}
    listed = AuditLogStore(world.service.store).listed("default", limit=50)[0]
    mine = [it for it in reversed(listed) if it.about in abouts]
    assert [(it.kind, it.about, it.caller) for it in mine] == expected
    assert "hush" not in str(mine)
    with world.service.store.ledger() as ledger:
        for act in mine:
            (entry,) = ledger.find(act.id)
            assert entry.event.digest == act.digest
    audited = audit_ledger(world.place.store.engine, LedgerReference(), SERVICE_ROWS)
    steps = {step.name: step for step in audited}
    assert steps["acts"].result is StepResult.HOLDS
