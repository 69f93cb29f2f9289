"""What anybody may read, what every answer carries, and what no log ever holds."""

import json
import re
import stat
from dataclasses import replace

import pytest
from served_worlds import World, problem
from starlette.testclient import TestClient

from auditor._time import utc_now
from auditor.errors import AuditorError, MalformedRequestError, UnauthorizedError
from auditor.service.api.access_log import SECURE
from auditor.service.api.app import build_app
from auditor.service.api.errors import TABLE
from auditor.service.auth.api_keys import authenticate_key, resolve_key_expiry
from auditor.service.domain.access import AccessRole
from auditor.service.leases.terms import add_seconds
from auditor.service.server.assemble import create_first_admin
from auditor.trust.ledger.notes import NoteKey, open_checkpoint
from auditor.workflows.settings import ADMIN_KEY

DAY = 24 * 3600


def test_the_ledger_is_read_by_anybody_who_has_its_key(world: World) -> None:
    key = NoteKey.parse(world.client.get("/.well-known/auditor-keys").json()["ledger"])
    note = world.client.get("/v1/ledger/checkpoint")
    head = open_checkpoint(note.content, key).head
    full, rest = divmod(head.size, 256)  # other tests of this service write into its ledger too
    last = f"{full:03}.p/{rest}" if rest else f"{full - 1:03}"
    tile = world.client.get(f"/v1/ledger/tile/0/{last}")
    assert len(tile.content) == (rest or 256) * 32
    entries = world.client.get(f"/v1/ledger/tile/entries/{last}")
    assert entries.status_code == 200
    assert "immutable" in tile.headers["cache-control"]


@pytest.mark.parametrize(
    "path", ["0/999", "x", "0/..%2f..%2fcheckpoint", "entries/000.p/256", "0/000.p/0"]
)
def test_what_the_ledger_has_not_is_not_there(world: World, path: str) -> None:
    assert world.client.get(f"/v1/ledger/tile/{path}").status_code == 404


def test_health_is_told_to_anybody(world: World) -> None:
    assert world.client.get("/healthz").json() == {"status": "ok", "lacking": []}
    assert world.client.get("/readyz").json()["status"] == "ok"


def test_counts_are_told_on_this_machine_alone(world: World) -> None:
    here = world.client.get("/metrics")
    assert here.status_code == 200
    assert 'auditor_target_live{target="cpu"} 1.0' in here.text
    counted = 'auditor_http_requests_total{method="GET",route="/metrics",status="200"}'
    assert counted in world.client.get("/metrics").text
    away = TestClient(world.app, base_url="http://127.0.0.1:8400", client=("192.0.2.7", 1))
    assert away.get("/metrics").status_code == 404
    for header in (
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=::1"},
        {"Host": "evil.example"},
    ):
        assert world.client.get("/metrics", headers=header).status_code == 404


def test_every_answer_carries_the_secure_headers(world: World) -> None:
    paths = ("/healthz", "/nothing", "/v1/targets", "/openapi.json")
    answers = [world.client.get(path) for path in paths]
    answers.append(world.call("GET", f"/v1/audits/{world.done}", "viewer"))
    for answer in answers:
        assert all(name in answer.headers for name in SECURE), answer.url
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert len(answer.headers["x-request-id"]) == 16


def test_a_line_of_the_log_names_the_audit_and_neither_key_nor_path(world: World) -> None:
    world.log.clear()
    made = world.call("POST", "/v1/audits?secret=tell", json=world.body()).json()["id"]
    world.call("GET", f"/v1/audits/{world.done}?secret=tell", "viewer")
    world.client.get("/v1/audits", headers={"Authorization": "Bearer wrong-key"})
    posted, looked, refused = (dict(line) for line in world.log)
    assert (posted["audit"], posted["status"], posted["route"]) == (made, 201, "/v1/audits")
    assert (looked["audit"], looked["route"]) == (world.done, "/v1/audits/{audit}")
    assert looked["caller"] == world.keys["viewer"].split("_")[1]
    assert (refused["status"], refused["caller"]) == (401, None)
    text = json.dumps([posted, looked, refused])
    for secret in ("tell", "wrong-key", *(key.split("_", 2)[2] for key in world.keys.values())):
        assert secret not in text


def test_a_fault_of_the_service_tells_nothing_of_it(world: World) -> None:
    world.log.clear()
    broken = "the database /srv/secret/place is on fire"

    def fail() -> list[str]:
        raise RuntimeError(broken)

    app = build_app(replace(world.service, ready=fail))
    answer = TestClient(app).get("/readyz")
    assert answer.status_code == 500
    assert problem(answer)["type"].endswith("/error")
    assert "fire" not in answer.text
    assert "Traceback" not in answer.text
    told = {"event": "fault", "kind": "RuntimeError", "id": answer.headers["x-request-id"]}
    assert told.items() <= dict(world.log[0]).items()


def every(kind: type[AuditorError]) -> set[type[AuditorError]]:
    return {kind} | {found for below in kind.__subclasses__() for found in every(below)}


def test_every_error_has_its_place_in_the_one_table() -> None:
    mine = {item for item in every(AuditorError) if item.__module__.startswith("auditor.")}
    assert {item.slug for item in mine} - {"method_not_allowed"} <= set(TABLE)
    assert set(TABLE) - {item.slug for item in mine} == {"method_not_allowed"}
    assert len({title for _, title in TABLE.values()}) == len(TABLE)


def test_the_documents_show_every_route_with_an_example_of_its_answers(world: World) -> None:
    told = world.client.get("/openapi.json").json()
    assert told["openapi"].startswith("3.")
    for path, verbs in told["paths"].items():
        for verb, said in verbs.items():
            assert said["summary"], path
            assert "4XX" in said["responses"], path
            good = [it for code, it in said["responses"].items() if code.startswith("2")]
            assert all(
                "content" in it or verb == "head" or "204" in said["responses"] for it in good
            )
            bodies = said.get("requestBody", {}).get("content", {})
            if "application/json" in bodies:
                assert bodies["application/json"]["schema"]["examples"], path
    named = set(re.findall(r'"#/components/schemas/([^"]+)"', json.dumps(told)))
    assert named <= set(told["components"]["schemas"])
    assert "$defs" not in json.dumps(told["paths"])
    for name, form in told["components"]["schemas"].items():
        if name not in {"HTTPValidationError", "ValidationError"} and form["type"] == "object":
            assert form["examples"], name


def test_a_key_is_made_shown_once_and_ended(world: World) -> None:
    asked = {"name": "pipeline", "role": "submitter", "expires": add_seconds(utc_now(), 365 * DAY)}
    made = world.call("POST", "/v1/keys", "admin", json=asked)
    assert made.status_code == 201
    text, key = made.json()["text"], made.json()["key"]
    assert authenticate_key(text, world.service.kept.key, utc_now()).role is AccessRole.SUBMITTER
    assert world.call("GET", "/v1/targets", text).status_code == 200
    listed = world.call("GET", "/v1/keys", "admin")
    assert key in listed.json()["keys"]
    assert text.split("_", 2)[2] not in listed.text
    ended = world.call("POST", f"/v1/keys/{key['id']}/end", "admin", json={"reason": "a leak"})
    assert ended.json()["ended"] is not None
    assert world.call("GET", "/v1/targets", text).status_code == 401


def test_a_key_cannot_end_itself_or_begin_in_the_past(world: World) -> None:
    mine = world.keys["admin"].split("_")[1]
    ending = world.call("POST", f"/v1/keys/{mine}/end", "admin", json={"reason": "tired"})
    assert ending.status_code == 409
    for expires in ("2020-01-01T00:00:00Z", "tomorrow", "2999-01-01"):
        asked = {"name": "x", "role": "viewer", "expires": expires}
        assert world.call("POST", "/v1/keys", "admin", json=asked).status_code == 422


def test_a_key_has_a_longest_life_and_older_keys_without_an_end_are_shown(world: World) -> None:
    asked = {"name": "x", "role": "viewer"}
    made = world.call("POST", "/v1/keys", "admin", json=asked).json()["key"]
    assert made["expires"] == add_seconds(made["created"], 366 * DAY)
    late = world.call(
        "POST", "/v1/keys", "admin", json={**asked, "expires": add_seconds(utc_now(), 367 * DAY)}
    )
    assert "is valid for at most 366 days" in problem(late)["detail"]
    endless = world.key("default", AccessRole.VIEWER)
    assert world.call("GET", "/v1/targets", endless).status_code == 200
    listed = world.call("GET", "/v1/keys", "admin").json()["keys"]
    assert {it["expires"] for it in listed if it["id"] == endless.split("_")[1]} == {None}


@pytest.mark.parametrize("days", [0, 30])
def test_who_runs_a_service_says_how_long_keys_hold(days: int) -> None:
    at, far = "2026-01-01T00:00:00Z", "2999-01-01T00:00:00Z"
    assert resolve_key_expiry(None, at, days) == ("2026-01-31T00:00:00Z" if days else None)
    if days:
        with pytest.raises(MalformedRequestError, match="at most 30 days"):
            resolve_key_expiry(far, at, days)
    else:
        assert resolve_key_expiry(far, at, days) == far


def test_the_first_start_makes_an_admin_whose_key_nobody_else_can_read(world: World) -> None:
    home, kept = world.place.settings.home, world.service.kept
    path = create_first_admin(kept, home)
    assert path == home / ADMIN_KEY
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text().strip()
    assert world.call("GET", "/v1/keys", text).status_code == 200
    assert authenticate_key(text, kept.key, utc_now()).expires is not None
    assert create_first_admin(kept, home) is None
    kept.end_key(text.split("_")[1], utc_now(), "lost")
    assert create_first_admin(kept, home) == path
    with pytest.raises(UnauthorizedError):
        authenticate_key(text, kept.key, utc_now())
    authenticate_key(path.read_text().strip(), kept.key, utc_now())
