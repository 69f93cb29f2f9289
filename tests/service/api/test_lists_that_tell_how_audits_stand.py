"""A list of audits says of each what the audit says of itself, by a few questions for all."""

from deciding_people import audited, handed_in, look, observed, policy_of, somebody
from served_worlds import World, counted

from auditor._time import utc_now
from auditor.domain.approvals import ApprovalAnswer
from auditor.service.domain.access import AccessRole
from auditor.service.domain.submissions import SubmissionResult


def listed(world: World) -> dict[str, dict[str, object]]:
    page = world.call("GET", "/v1/audits", "viewer", params={"limit": 200}).json()["audits"]
    return {item["id"]: item for item in page}


def asked_for(world: World) -> int:
    """Return how many questions of the database one list takes that nobody remembers."""
    listed(world)
    world.key("default", AccessRole.VIEWER)
    with counted(world) as asked:
        listed(world)
    return len([it for it in asked if it.startswith("SELECT")])


def test_every_state_is_told_as_the_audit_tells_it(world: World) -> None:
    anna = somebody(world, "Anna Smith", "waiver", "approval", "finding")
    wanted = policy_of("wanted", 0.6, approvals=1)
    names = {state: audited(world, wanted) for state in ("approved", "refused", "awaiting")}
    names |= {"failed": audited(world, policy_of("high")), "found": audited(world, wanted)}
    names |= {"passed": world.done, "queued": handed_in(world, wanted)}
    names |= {"cancelled": handed_in(world, wanted), "running": handed_in(world, wanted)}
    assert anna.answer(str(look(world, names["approved"])["record"])).status_code == 201
    no = anna.answer(str(look(world, names["refused"])["record"]), ApprovalAnswer.NO)
    assert no.status_code == 201
    assert anna.find(str(look(world, names["found"])["record"])).status_code == 201
    assert world.service.kept.end(names["cancelled"], SubmissionResult(ended=utc_now()))
    observed(world, names["running"])
    stands = {state: look(world, name)["standing"] for state, name in names.items()}
    assert stands == {
        "approved": "approved", "refused": "refused", "awaiting": "awaiting approval",
        "failed": "failed", "found": "failed", "passed": "passed", "queued": None,
        "cancelled": None, "running": None,
    }  # fmt: skip
    said = listed(world)
    assert {name: said[name]["standing"] for name in names.values()} == {
        name: stands[state] for state, name in names.items()
    }
    assert said[names["awaiting"]]["awaits"] == "0 of 1 approvals of this record are there"


def test_as_many_questions_are_asked_for_many_audits_as_for_few(world: World) -> None:
    anna = somebody(world, "Anna Jones", "approval")
    wanted = policy_of("asked", 0.6, approvals=1, blind_labels=0)
    first = audited(world, wanted)
    anna.answer(str(look(world, first)["record"]))
    few = asked_for(world)
    for _ in range(3):
        anna.answer(str(look(world, audited(world, wanted))["record"]))
    assert asked_for(world) == few


def test_a_list_leaves_out_how_an_audit_stands_of_which_something_is_damaged(world: World) -> None:
    wanted = policy_of("broken", 0.6, approvals=1)
    broken, whole = audited(world, wanted), audited(world, wanted)
    files = world.service.kept.outcome(broken)
    assert files is not None
    assert files.files is not None
    place = world.service.store.blobs.path(files.files)
    raw = place.read_bytes()
    place.unlink()
    try:
        said = listed(world)
        answer = world.call("GET", f"/v1/audits/{broken}", "viewer")
    finally:
        place.write_bytes(raw)
    assert (said[broken]["standing"], said[whole]["standing"]) == (None, "awaiting approval")
    assert answer.status_code >= 500
