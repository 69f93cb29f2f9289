"""Schedules, web hooks and acts on pages: made, looked at, and changed as by the API."""

import pytest
from served_worlds import World
from visited_pages import Pages

from auditor.service.domain.access import AccessRole
from auditor.service.domain.schedules import DueRun, ScheduledRunResult
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.service.domain.webhooks import DeliveryAttempt, DeliveryOutcome


@pytest.fixture(scope="module")
def pages(apart: World) -> Pages:
    """Return the pages of a service whose schedules nobody else looks at."""
    return Pages.of(apart)


def test_a_schedule_is_made_like_an_audit_rests_and_ends(pages: Pages) -> None:
    submitter, done = pages.visit("submitter"), pages.world.done
    wanted = {"name": "<b>nightly</b>", "same_as": done, "cron": "0 3 * * *"}
    for wrong in ({"name": ""}, {"cron": "soon"}, {"cron": ""}, {"same_as": ""},
                  {"same_as": "sub-" + "0" * 24}, {"name": "a\nb"}):  # fmt: skip
        assert submitter.form("/schedules", **{**wanted, **wrong}).status_code == 422, wrong
    made = submitter.form("/schedules", **wanted, **{"on-new_version": "on"})
    assert made.status_code == 303
    where = made.headers["location"]
    page = submitter.get(where).text
    assert "0 3 * * *" in page
    assert "a new version is submitted" in page
    assert "&lt;b&gt;nightly&lt;/b&gt;" in page
    for change, word in (("pause", "Paused"), ("resume", "Active"), ("end", "Ended")):
        assert submitter.form(f"{where}/{change}").status_code == 303
        assert word in submitter.get(where).text
    assert submitter.form(f"{where}/pause").status_code == 409
    assert submitter.form(f"{where}/burn").status_code == 404
    assert "End the schedule" not in pages.visit("viewer").get(where).text


def test_the_last_run_and_what_to_go_back_to_are_shown(pages: Pages) -> None:
    world, done = pages.world, pages.world.done
    service = world.service
    made = pages.visit("submitter").form(
        "/schedules", name="hourly", same_as=done, cron="0 * * * *"
    )
    name = made.headers["location"].rpartition("/")[2]
    runs = service.schedules.runs
    for key, at in (("one", "2030-01-01T00:00:00Z"), ("two", "2030-01-01T01:00:00Z")):
        due = DueRun(key=key, trigger=ScheduleTrigger.CRON, why=f"{key} came", change={})
        run, _ = runs.claim(name, due, at)
        assert runs.started(run.id, done, at)
    candidate = {"version": "0.9.0", "artifact": "sha256:" + "1" * 64,
                 "record": "sha256:" + "2" * 64, "audit": done}  # fmt: skip
    came = ScheduledRunResult(
        record="sha256:" + "3" * 64, verdict="fail", failed=("accuracy on cpu",), told=False,
        rollback=({"target": "cpu", "candidate": candidate}, {"target": "npu", "candidate": None}),
    )  # fmt: skip
    assert runs.ended(run, "default", came, "2030-01-01T02:00:00Z")
    last = runs.last_of([name, world.schedule])
    assert {key: it.key for key, it in last.items()} == {name: "two"}
    for path in ("/schedules", f"/schedules/{name}"):
        page = pages.visit("viewer").get(path).text
        assert "Fail</span>" in page, path
        assert "0.9.0" in page, path
        assert "no version to roll back to" in page, path
    assert "accuracy on cpu" in page


def test_a_web_hook_shows_its_secret_once_and_sends_dead_messages_again(pages: Pages) -> None:
    admin, world = pages.visit("admin"), pages.world
    wanted = {"url": "https://hooks.example.org/<b>", "on-key.ended": "on"}
    for wrong in ({"url": ""}, {"url": "http://127.0.0.1/"}):
        assert admin.form("/webhooks", **{**wanted, **wrong}).status_code == 422, wrong
    assert admin.form("/webhooks", url=wanted["url"]).status_code == 422
    page = admin.form("/webhooks", **wanted).text
    assert "whsec_" in page
    assert "whsec_" not in admin.get("/webhooks").text
    hooks = world.service.hooks
    hook = hooks.kept.of_project("default")[0]
    message = _dead(world, hook.id)
    page = admin.get(f"/webhooks/{hook.id}").text
    assert "Not delivered" in page
    again = f"/webhooks/{hook.id}/messages/{message}/retry"
    assert admin.form(again).status_code == 303
    assert "Pending" in admin.get(f"/webhooks/{hook.id}").text
    assert admin.form(again).status_code == 409
    assert admin.form(f"/webhooks/{hook.id}/end").status_code == 303
    assert "1 deleted" in admin.get("/webhooks").text


def _dead(world: World, hook: str) -> str:
    """Let a message of a web hook be given up, and return its id."""
    made = world.key("default", AccessRole.VIEWER)
    admin = world.call("POST", f"/v1/keys/{made.split('_')[1]}/end", "admin", json={"reason": "x"})
    assert admin.status_code == 200, admin.text
    deliveries = world.service.hooks.deliveries
    (item,), _ = deliveries.of_hook(hook, None, 5)
    number = len(item.attempts) + 1
    failed = DeliveryAttempt(
        number=number, at=item.at, outcome=DeliveryOutcome.FAILED, status=500, detail="no"
    )
    assert deliveries.attempted(item.id, failed)
    return item.id


def test_acts_name_who_did_them(pages: Pages) -> None:
    admin = pages.visit("admin")
    admin.form("/keys", name="acts", role="viewer", expires="")
    page = admin.get("/acts").text
    assert "key made" in page
    assert "admin of default" in page
