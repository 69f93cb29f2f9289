"""What a run came to is said by the record as the waivers that are in force leave it."""

import json
from typing import Any

import pytest
from deciding_people import audited, look, observed, somebody, waiver_of
from served_worlds import World
from visited_pages import Pages

from auditor.checks.registry import discover_checks
from auditor.domain.json import Json, encode_canonical
from auditor.domain.policies import Policy
from auditor.policy.load import load_policy
from auditor.service.domain.webhooks import WebhookEvent
from auditor.service.schedules.run import run_due_schedules
from auditor.service.webhooks.manage import create_webhook

pytestmark = pytest.mark.slow


def two_rules(name: str) -> Policy:
    """Return a policy of two rules that the example breaks."""
    rules: list[Json] = [
        {"id": metric, "title": "It is right", "severity": "high", "effect": "deny",
         "measure": f"quality.accuracy/{metric}", "at_least": 0.999}
        for metric in ("accuracy", "balanced_accuracy")
    ]  # fmt: skip
    document: dict[str, Json] = {
        "apiVersion": "auditor/v1", "kind": "Policy",
        "metadata": {"name": name, "version": "1.0.0", "owner": "tests@example.org",
                     "least_budget": "smoke"},
        "rules": rules,
    }  # fmt: skip
    return load_policy(encode_canonical(document), name, discover_checks(), {})


class Leave:
    """A schedule in a project where waivers are for some of the rules, and a hook that hears."""

    def __init__(self, world: World, name: str, *rules: str) -> None:
        self.world, self.policy = world, two_rules(name)
        first = audited(world, self.policy)
        anna = somebody(world, f"Anna of {name}", "waiver")
        for rule in rules:
            given = anna.waive(waiver_of(world, self.policy, anna, rule=rule))
            assert given.status_code == 201, given.text
        schedule = {"name": name, "same_as": first, "on": ["batch"], "batch_role": "evaluation"}
        self.schedule = str(self.call("/v1/schedules", schedule)["id"])
        admin = world.service.kept.key(world.keys["admin"].split("_")[1])
        assert admin is not None
        url = f"https://{name}.example.org/"
        self.hook, _secret = create_webhook(
            world.service.hooks, admin, url, [WebhookEvent.REAUDIT_FAILED]
        )

    def call(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        answer = self.world.call("POST", path, json=body)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())

    def runs_upon(self, line: bytes) -> dict[str, Any]:
        """Push the example's data with one line more, and return what the run came to."""
        raw = (self.world.example / "test.csv").read_bytes() + line
        self.call(f"/v1/schedules/{self.schedule}/batches", {"dataset": self.world.upload(raw)})
        run_due_schedules(self.world.service.schedules)
        observed(self.world, self.run()["audit"]).conclude(self.run()["audit"])
        run_due_schedules(self.world.service.schedules)
        return self.run()

    def run(self) -> dict[str, Any]:
        path = f"/v1/schedules/{self.schedule}/runs"
        (found,) = self.world.call("GET", path).json()["runs"]
        return dict(found)

    def told(self) -> list[dict[str, Any]]:
        hooks = self.world.service.hooks
        page = hooks.deliveries.of_hook(self.hook.id, None, 50)[0]
        return [json.loads(hooks.teller.body(item, self.hook))["data"] for item in page]


def test_a_run_that_passes_by_a_waiver_passes_and_nobody_is_told_otherwise(apart: World) -> None:
    leave = Leave(apart, "leaveall", "accuracy", "balanced_accuracy")
    run = leave.runs_upon(b"x1,0.1,0.2,0.3,north,no\n")
    stands = look(apart, run["audit"])
    assert (run["verdict"], run["failed"], run["rollback"]) == ("pass", [], [])
    assert run["record"] == stands["records"][-1]["digest"] != stands["record"]
    assert leave.told() == []
    visitor = Pages.of(apart).log_in("submitter")
    for path in ("/schedules", f"/schedules/{leave.schedule}"):
        assert "Approved by exception</span>" in visitor.get(path).text, path


def test_a_message_speaks_of_what_no_waiver_is_for(apart: World) -> None:
    leave = Leave(apart, "leavesome", "accuracy")
    run = leave.runs_upon(b"x2,0.1,0.2,0.3,north,no\n")
    assert (run["verdict"], run["failed"]) == ("fail", ["balanced_accuracy on cpu"])
    (said,) = leave.told()
    assert said["record"] == run["record"] != look(apart, run["audit"])["record"]
    assert said["failed"] == ["balanced_accuracy on cpu"]
    assert said["link"] == f"/audits/{run['audit']}"
