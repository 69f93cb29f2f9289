"""Data that the auditor holds: an order names them, and whoever asks never has them."""

from collections.abc import Mapping
from typing import Any

import pytest
from served_toys import sha
from served_worlds import World, problem

from auditor.domain.record_json import read_record
from auditor.domain.requests import InputFile
from auditor.service.domain.access import AccessRole
from auditor.service.jobs.executor import build_executor

ROWS = b"id,a,b,c,town,y\nr1,0.9,0.9,0.1,north,yes\nr2,0.1,0.1,0.9,south,no\n"


@pytest.fixture(scope="module")
def held(world: World) -> str:
    """Hold rows that an approver brought, and return their digest."""
    answer = hold(world, "rows-2026")
    assert answer["name"] == "rows-2026"
    hold(world, "packed", b"no table", "rows.npz")
    return str(answer["digest"])


def hold(world: World, name: str, rows: bytes = ROWS, file: str = "rows.csv") -> Mapping[str, Any]:
    world.upload_example()
    asked = {"name": name, "role": "evaluation", "digest": world.upload(rows, key="approver"),
             "file": file, "note": "as test.csv"}  # fmt: skip
    answer = world.call("POST", "/v1/sealed-sets", "approver", json=asked)
    assert answer.status_code == 201, answer.text
    found: Mapping[str, Any] = answer.json()
    return found


def ordered(world: World, audit: str = "", **changes: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    """Return an order that names the set in place of the rows, by an audit file of its own."""
    body = world.body(sealed=True, sealed_sets=["rows-2026"])
    body["inputs"] = [item for item in body["inputs"] if item["path"] != "test.csv"]
    if audit:
        raw = (world.example / "audit.yaml").read_text() + audit
        body["audit_file"] = world.upload(raw.encode())
    return {**body, **changes}


def refused(world: World, body: Mapping[str, Any]) -> str:
    answer = world.call("POST", "/v1/audits", json=body)
    assert problem(answer)["status"] == 422
    return str(problem(answer)["detail"])


def test_rows_are_held_once_under_one_name(world: World, held: str) -> None:
    asked = {"name": "rows-2026", "role": "evaluation", "digest": held, "file": "rows.csv"}
    for changes in ({}, {"name": "again"}, {"digest": world.upload(b"other rows")}):
        answer = world.call("POST", "/v1/sealed-sets", "approver", json={**asked, **changes})
        assert problem(answer)["status"] == 409
    absent = {**asked, "name": "absent", "digest": sha(b"nobody has them")}
    assert world.call("POST", "/v1/sealed-sets", "approver", json=absent).status_code == 422
    assert world.call("POST", "/v1/sealed-sets", json=asked).status_code == 403
    page = world.call("GET", "/v1/sealed-sets?limit=1", "viewer").json()
    assert ([it["name"] for it in page["sealed_sets"]], page["next"]) == (["packed"], "packed")
    (shown,) = world.call("GET", "/v1/sealed-sets?cursor=packed", "viewer").json()["sealed_sets"]
    assert (shown["name"], shown["size"], shown["note"]) == ("rows-2026", len(ROWS), "as test.csv")
    assert world.call("GET", "/v1/sealed-sets", "stranger").json()["sealed_sets"] == []
    told = world.call("GET", "/v1/acts", "admin").json()["acts"]
    assert ("sealed_set_kept", "rows-2026") in {(it["kind"], it["about"]) for it in told}


def test_an_order_names_the_set_and_the_service_puts_its_rows_in(world: World, held: str) -> None:
    answer = world.call("POST", "/v1/audits", json=ordered(world))
    assert answer.status_code == 201, answer.text
    kept = world.service.kept.submission("default", answer.json()["id"])
    assert kept is not None
    rows: InputFile = kept.order.inputs[-1]
    assert (rows.path, rows.file.name, f"sha256:{rows.file.sha256}") == (
        "test.csv",
        "rows.csv",
        held,
    )
    assert kept.order.sealed_sets == ("rows-2026",)


def test_the_same_order_again_on_a_schedule_names_the_same_set(world: World, held: str) -> None:
    first = world.call("POST", "/v1/audits", json=ordered(world)).json()["id"]
    answer = world.call(
        "POST", "/v1/schedules", json={"name": "sealed", "same_as": first, "cron": "0 3 * * *"}
    )
    assert answer.status_code == 201, answer.text
    assert held not in answer.text


def test_rows_that_are_held_are_named_by_their_set_alone(world: World, held: str) -> None:
    rows = {"path": "test.csv", "name": "x.csv", "size": len(ROWS), "sha256": held[7:]}
    plain = world.body()
    others = [item for item in plain["inputs"] if item["path"] != "test.csv"]
    assert "is a sealed set" in refused(world, {**plain, "inputs": [*others, rows]})
    for field in ("audit_file", "policy"):
        assert "is a sealed set" in refused(world, world.body(**{field: held}))
    twice = world.body(sealed=True, sealed_sets=["rows-2026"])
    assert "among the inputs too" in refused(world, twice)


def test_what_an_audit_names_in_the_open_cannot_be_sealed(world: World) -> None:
    world.upload_example()
    body = world.body()
    assert world.call("POST", "/v1/audits", json=body).status_code == 201
    rows = next(item for item in body["inputs"] if item["path"] == "test.csv")
    for digest in (f"sha256:{rows['sha256']}", body["audit_file"], body["policy"]):
        asked = {"name": "grab", "role": "evaluation", "digest": digest, "file": "rows.csv"}
        answer = world.call("POST", "/v1/sealed-sets", "approver", json=asked)
        assert problem(answer)["status"] == 409
        assert "names" in problem(answer)["detail"]
    assert world.call("POST", "/v1/audits", json=body).status_code == 201


def test_an_admin_releases_a_set_that_no_audit_has_used(world: World) -> None:
    raw = b"id,y\nr1,yes\n"
    digest = str(hold(world, "fresh", raw)["digest"])
    path, reason = "/v1/sealed-sets/fresh/release", {"reason": "it was another's upload"}
    assert world.call("POST", path, "approver", json=reason).status_code == 403
    elsewhere = world.key("elsewhere", AccessRole.ADMIN)
    assert world.call("POST", path, elsewhere, json=reason).status_code == 404
    assert world.call("POST", path, "admin", json=reason).status_code == 204
    assert world.call("POST", path, "admin", json=reason).status_code == 404
    listed = world.call("GET", "/v1/sealed-sets", "viewer").json()["sealed_sets"]
    assert "fresh" not in {it["name"] for it in listed}
    rows = {"path": "test.csv", "name": "x.csv", "size": len(raw), "sha256": digest[7:]}
    plain = world.body()
    others = [item for item in plain["inputs"] if item["path"] != "test.csv"]
    answer = world.call("POST", "/v1/audits", json={**plain, "inputs": [*others, rows]})
    assert answer.status_code == 201, answer.text
    asked = {"name": "fresh-2", "role": "evaluation", "digest": digest, "file": "rows.csv"}
    assert world.call("POST", "/v1/sealed-sets", "approver", json=asked).status_code == 409
    told = world.call("GET", "/v1/acts", "admin").json()["acts"]
    assert ("sealed_set_released", "fresh") in {(it["kind"], it["about"]) for it in told}


def test_a_set_that_an_audit_used_stays_held(world: World, held: str) -> None:
    answer = world.call("POST", "/v1/audits", json=ordered(world))
    assert answer.status_code == 201, answer.text
    path, reason = "/v1/sealed-sets/rows-2026/release", {"reason": "let me see the rows"}
    assert (
        "an audit used the sealed set"
        in problem(world.call("POST", path, "admin", json=reason))["detail"]
    )
    rows = {"path": "test.csv", "name": "x.csv", "size": len(ROWS), "sha256": held[7:]}
    plain = world.body()
    others = [item for item in plain["inputs"] if item["path"] != "test.csv"]
    assert "is a sealed set" in refused(world, {**plain, "inputs": [*others, rows]})


MISUSES: Mapping[str, tuple[str, Mapping[str, Any], str]] = {
    "rows that are shown": ("show_examples: true\n", {}, "asks to show examples"),
    "rows that are read as something else": ("system: test.csv\n", {}, "names test.csv elsewhere"),
    "two sets for one role": ("", {"sealed_sets": ["rows-2026", "packed"]}, "several sets are"),
    "another form": ("", {"sealed_sets": ["packed"]}, "another ending than rows.npz"),
    "a seed of one's own": ("", {"sealed": False}, "sealed sets need a sealed audit"),
    "a set that there is not": ("", {"sealed_sets": ["rows-2027"]}, "no sealed set rows-2027"),
}


@pytest.mark.usefixtures("held")
@pytest.mark.parametrize("misuse", MISUSES)
def test_what_would_give_the_rows_away_is_refused(world: World, misuse: str) -> None:
    audit, changes, words = MISUSES[misuse]
    assert words in refused(world, ordered(world, audit, **changes))


@pytest.mark.usefixtures("held")
def test_a_set_of_another_project_is_not_there(world: World) -> None:
    world.upload_example("stranger")
    answer = world.call("POST", "/v1/audits", "stranger", json=ordered(world))
    assert problem(answer)["status"] == 422
    assert "there is no sealed set rows-2026" in problem(answer)["detail"]


@pytest.mark.slow
def test_a_record_says_which_data_the_auditor_held(apart: World) -> None:
    hold(
        apart,
        "rows-2026",
        (apart.example / "test.csv").read_bytes() + b"x9,0.9,0.9,0.1,north,yes\n",
    )
    name = apart.call("POST", "/v1/audits", json=ordered(apart)).json()["id"]
    work = build_executor(apart.place, {})
    for target, checks in work.plan(name):
        for check in checks:
            work.observe(name, target, check)
    work.conclude(name)
    record = read_record(apart.call("GET", f"/v1/audits/{name}/record").content)
    assert record.request.attempt is not None
    assert record.request.attempt.sets == ("rows-2026",)
    (data,) = record.request.datasets
    assert data.rows == 241
    report = apart.call("GET", f"/v1/audits/{name}/report").text
    assert "the auditor held the data rows-2026" in report
    files = apart.call("GET", f"/v1/audits/{name}/files").json()["files"]
    assert not any("csv" in item["name"] for item in files)
