"""Who may call what: every route, by every role, from another project, and without a key."""

from collections.abc import Mapping

import pytest
from fastapi.routing import APIRoute
from served_toys import sha
from served_worlds import World, problem
from waiver_papers import new_signer

from auditor.service.api.app import build_app, list_route_roles
from auditor.service.domain.access import AccessRole

ANY = None
SUM = sha(b"nothing that was ever uploaded")
ROUTES: Mapping[tuple[str, str], AccessRole | None] = {
    ("GET", "/healthz"): ANY,
    ("GET", "/readyz"): ANY,
    ("GET", "/metrics"): ANY,
    ("GET", "/.well-known/auditor-keys"): ANY,
    ("GET", "/v1/ledger/checkpoint"): ANY,
    ("GET", "/v1/ledger/tile/{path:path}"): ANY,
    ("PUT", "/v1/artifacts/{digest}"): AccessRole.SUBMITTER,
    ("HEAD", "/v1/artifacts/{digest}"): AccessRole.VIEWER,
    ("GET", "/v1/artifacts/{digest}"): AccessRole.VIEWER,
    ("GET", "/v1/artifacts"): AccessRole.VIEWER,
    ("PUT", "/v1/datasets/{digest}"): AccessRole.SUBMITTER,
    ("HEAD", "/v1/datasets/{digest}"): AccessRole.VIEWER,
    ("GET", "/v1/datasets/{digest}"): AccessRole.VIEWER,
    ("GET", "/v1/datasets"): AccessRole.VIEWER,
    ("POST", "/v1/audits"): AccessRole.SUBMITTER,
    ("GET", "/v1/audits"): AccessRole.VIEWER,
    ("GET", "/v1/audits/{audit}"): AccessRole.VIEWER,
    ("POST", "/v1/audits/{audit}/cancel"): AccessRole.SUBMITTER,
    ("GET", "/v1/audits/{audit}/events"): AccessRole.VIEWER,
    ("GET", "/v1/audits/{audit}/files"): AccessRole.VIEWER,
    ("GET", "/v1/audits/{audit}/files/{name:path}"): AccessRole.VIEWER,
    ("GET", "/v1/audits/{audit}/record"): AccessRole.VIEWER,
    ("GET", "/v1/audits/{audit}/envelope"): AccessRole.VIEWER,
    ("GET", "/v1/audits/{audit}/report"): AccessRole.VIEWER,
    ("GET", "/v1/audits/{audit}/verdict"): AccessRole.VIEWER,
    ("GET", "/v1/audits/{audit}/evidence/{digest}"): AccessRole.VIEWER,
    ("GET", "/v1/policies"): AccessRole.VIEWER,
    ("GET", "/v1/policies/{name}"): AccessRole.VIEWER,
    ("GET", "/v1/targets"): AccessRole.VIEWER,
    ("GET", "/v1/gate"): AccessRole.VIEWER,
    ("POST", "/v1/agents"): AccessRole.ADMIN,
    ("GET", "/v1/agents"): AccessRole.VIEWER,
    ("POST", "/v1/agents/{agent}/hello"): AccessRole.AGENT,
    ("POST", "/v1/agents/{agent}/lease"): AccessRole.AGENT,
    ("GET", "/v1/agents/{agent}/blobs/{digest}"): AccessRole.AGENT,
    ("PUT", "/v1/agents/{agent}/evidence/{digest}"): AccessRole.AGENT,
    ("POST", "/v1/agents/{agent}/leases/{lease}/progress"): AccessRole.AGENT,
    ("POST", "/v1/agents/{agent}/leases/{lease}/result"): AccessRole.AGENT,
    ("POST", "/v1/agents/{agent}/leases/{lease}/failed"): AccessRole.AGENT,
    ("POST", "/v1/schedules"): AccessRole.SUBMITTER,
    ("GET", "/v1/schedules"): AccessRole.VIEWER,
    ("GET", "/v1/schedules/{schedule}"): AccessRole.VIEWER,
    ("POST", "/v1/schedules/{schedule}/pause"): AccessRole.SUBMITTER,
    ("POST", "/v1/schedules/{schedule}/resume"): AccessRole.SUBMITTER,
    ("POST", "/v1/schedules/{schedule}/end"): AccessRole.SUBMITTER,
    ("GET", "/v1/schedules/{schedule}/runs"): AccessRole.VIEWER,
    ("POST", "/v1/schedules/{schedule}/batches"): AccessRole.SUBMITTER,
    ("POST", "/v1/schedules/{schedule}/versions"): AccessRole.SUBMITTER,
    ("POST", "/v1/sealed-sets/{name}/release"): AccessRole.ADMIN,
    ("POST", "/v1/sealed-sets"): AccessRole.APPROVER,
    ("GET", "/v1/sealed-sets"): AccessRole.VIEWER,
    ("POST", "/v1/webhooks"): AccessRole.ADMIN,
    ("GET", "/v1/webhooks"): AccessRole.ADMIN,
    ("GET", "/v1/webhooks/{webhook}"): AccessRole.ADMIN,
    ("POST", "/v1/webhooks/{webhook}/end"): AccessRole.ADMIN,
    ("GET", "/v1/webhooks/{webhook}/deliveries"): AccessRole.ADMIN,
    ("POST", "/v1/webhooks/{webhook}/deliveries/{message}/retry"): AccessRole.ADMIN,
    ("GET", "/v1/models"): AccessRole.VIEWER,
    ("GET", "/v1/models/{model:path}/trend"): AccessRole.VIEWER,
    ("POST", "/v1/keys"): AccessRole.ADMIN,
    ("GET", "/v1/keys"): AccessRole.ADMIN,
    ("POST", "/v1/keys/{key}/end"): AccessRole.ADMIN,
    ("GET", "/v1/acts"): AccessRole.ADMIN,
    ("POST", "/v1/people"): AccessRole.ADMIN,
    ("GET", "/v1/people"): AccessRole.ADMIN,
    ("POST", "/v1/people/{person}/end"): AccessRole.ADMIN,
    ("POST", "/v1/waivers"): AccessRole.APPROVER,
    ("GET", "/v1/waivers"): AccessRole.VIEWER,
    ("GET", "/v1/waivers/{digest}"): AccessRole.VIEWER,
    ("POST", "/v1/approvals"): AccessRole.APPROVER,
    ("GET", "/v1/approvals"): AccessRole.VIEWER,
    ("GET", "/v1/approvals/{digest}"): AccessRole.VIEWER,
    ("POST", "/v1/findings"): AccessRole.APPROVER,
    ("GET", "/v1/findings"): AccessRole.VIEWER,
    ("GET", "/v1/findings/{digest}"): AccessRole.VIEWER,
    ("POST", "/v1/waivers/draft"): AccessRole.APPROVER,
    ("POST", "/v1/approvals/draft"): AccessRole.APPROVER,
    ("POST", "/v1/findings/draft"): AccessRole.APPROVER,
    ("GET", "/v1/approvals/cases"): AccessRole.APPROVER,
    ("POST", "/v1/approvals/labels"): AccessRole.APPROVER,
    ("GET", "/v1/records/{digest}"): AccessRole.VIEWER,
    ("GET", "/v1/records/{digest}/files"): AccessRole.VIEWER,
    ("GET", "/v1/records/{digest}/files/{name:path}"): AccessRole.VIEWER,
}
"""Every route, and the least role that may call it; ``ANY`` wants no key."""
OF_A_PROJECT = (
    "{audit}", "{key}", "{person}", "{agent}", "{schedule}", "{webhook}", "{model:path}",
    "/v1/records/{digest}",
)  # fmt: skip
"""What stands in the path of a thing that one project has and another cannot see."""
BODIES: Mapping[str, Mapping[str, str]] = {
    "/v1/schedules/{schedule}/batches": {"dataset": SUM},
    "/v1/schedules/{schedule}/versions": {"artifact": SUM, "version": "2"},
}
"""What is sent to routes that read a body before they look for the thing that it is about."""
BEHIND = sorted(route for route, least in ROUTES.items() if least is not ANY)


def routes_of(world: World) -> list[APIRoute]:
    return [route for route in world.app.routes if isinstance(route, APIRoute)]


def path_of(world: World, path: str) -> str:
    """Fill a route with things that project ``default`` has, or with nothing that there is."""
    filled = path.replace("{audit}", world.done).replace("{name:path}", "record.json")
    filled = filled.replace("/v1/records/{digest}", f"/v1/records/{record_of(world)}")
    filled = (
        filled.replace("{person}", person_of(world))
        .replace("{digest}", SUM)
        .replace("{name}", "baseline")
    )
    filled = filled.replace("{agent}", world.keys["agent"].split("_")[1])
    filled = filled.replace("{lease}", "lea-" + "0a" * 12)
    filled = filled.replace("{schedule}", world.schedule).replace("{webhook}", world.webhook)
    filled = filled.replace("{message}", "msg_" + "0" * 32)
    filled = filled.replace("{model:path}/trend", "line/trend?metric=accuracy")
    return filled.replace("{key}", world.keys["ended"].split("_")[1])


def record_of(world: World) -> str:
    return str(world.call("GET", f"/v1/audits/{world.done}").json()["record"])


def person_of(world: World) -> str:
    """Return somebody who decides in the project ``default``."""
    people = world.call("GET", "/v1/people", "admin").json()["people"]
    if not people:
        asked = {"name": "Anna", "key": new_signer().public_pem().decode(), "may": ["waiver"]}
        people = [world.call("POST", "/v1/people", "admin", json=asked).json()]
    return str(people[0]["id"])


def test_the_table_names_every_route_and_no_other(world: World) -> None:
    served = {(verb, route.path) for route in routes_of(world) for verb in route.methods}
    assert served == set(ROUTES)


def test_every_route_declares_the_role_of_the_table(world: World) -> None:
    for route in routes_of(world):
        for verb in route.methods:
            least = ROUTES[verb, route.path]
            assert list(list_route_roles(route)) == ([] if least is ANY else [least]), route.path


@pytest.mark.parametrize(("verb", "path"), BEHIND)
def test_a_route_is_reached_from_its_least_role_on_and_by_nobody_else(
    world: World, verb: str, path: str
) -> None:
    least, where = ROUTES[verb, path], path_of(world, path)
    assert least is not None
    for role in AccessRole:
        status = world.call(verb, where, role.value).status_code
        assert (status == 403) is not role.may(least), (role, status)
        assert status != 401
        assert status < 500


@pytest.mark.parametrize("key", ["expired", "ended", "auk_0000000000000000_" + "A" * 43, "x", ""])
def test_a_key_that_does_not_hold_reaches_nothing(world: World, key: str) -> None:
    for verb, path in BEHIND:
        answer = world.call(verb, path_of(world, path), key)
        assert answer.status_code == 401, (verb, path)
        assert answer.headers["www-authenticate"].startswith("Bearer")


def test_without_a_key_nothing_is_reached(world: World) -> None:
    for verb, path in BEHIND:
        assert world.client.request(verb, path_of(world, path)).status_code == 401, (verb, path)


def test_a_wrong_secret_of_a_key_that_there_is_reaches_nothing(world: World) -> None:
    text = world.keys["admin"]
    assert world.call("GET", "/v1/keys", text).status_code == 200
    wrong = text[:-1] + ("A" if text[-1] != "A" else "B")
    assert world.call("GET", "/v1/keys", wrong).status_code == 401


@pytest.mark.parametrize(
    ("verb", "path"), [route for route in BEHIND if any(it in route[1] for it in OF_A_PROJECT)]
)
def test_the_things_of_another_project_are_not_there(world: World, verb: str, path: str) -> None:
    body = {"json": BODIES.get(path, {"reason": "not mine"})} if verb == "POST" else {}
    who = "strange agent" if ROUTES[verb, path] is AccessRole.AGENT else "stranger"
    answer = world.call(verb, path_of(world, path), who, **body)
    assert answer.status_code == 404
    assert problem(answer)["type"].endswith("/not_found")


def test_lists_hold_nothing_of_another_project(world: World) -> None:
    assert world.call("GET", "/v1/audits", "viewer").json()["audits"]
    assert world.call("GET", "/v1/audits", "stranger").json()["audits"] == []
    for kind in ("artifacts", "datasets"):
        raw = f"one of our {kind}".encode()
        assert world.call("PUT", f"/v1/{kind}/{sha(raw)}", content=raw).status_code == 201
        for who, seen in (("viewer", True), ("stranger", False)):
            listed = world.call("GET", f"/v1/{kind}", who).json()["uploads"]
            assert (sha(raw) in {item["digest"] for item in listed}) is seen
    keys = world.call("GET", "/v1/keys", "stranger").json()["keys"]
    assert {key["project"] for key in keys} == {"elsewhere"}


def test_what_there_is_not_is_told_to_callers_with_a_key_alone(world: World) -> None:
    assert world.client.get("/v1/nothing").status_code == 401
    assert world.client.get("/nothing").status_code == 401
    assert world.call("GET", "/v1/nothing", "viewer").status_code == 404
    assert world.call("PATCH", "/v1/audits", "viewer").status_code == 405


def test_two_authorization_headers_are_none(world: World) -> None:
    shown = ("Authorization", f"Bearer {world.keys['viewer']}")
    assert world.client.get("/v1/targets", headers=[shown]).status_code == 200
    assert world.client.get("/v1/targets", headers=[shown, shown]).status_code == 401


def test_only_a_hash_of_a_secret_is_kept(world: World) -> None:
    secret = world.keys["admin"].split("_", 2)[2]
    raw = (world.place.settings.home / "auditor.db").read_bytes()
    wal = (world.place.settings.home / "auditor.db-wal").read_bytes()
    assert world.keys["admin"].split("_")[1].encode() in raw + wal
    assert secret.encode() not in raw + wal


def test_a_route_without_a_role_does_not_start(world: World) -> None:
    from auditor.service.api.routes import anonymous  # noqa: PLC0415 -- to add a route and take it away

    anonymous.router.add_api_route("/v1/everything", lambda: "all of it", methods=["GET"])
    try:
        with pytest.raises(Exception, match="declares no role"):
            build_app(world.service)
    finally:
        anonymous.router.routes.pop()
