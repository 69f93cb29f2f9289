"""The whole walk at a browser: an audit that fails, a waiver and a yes, and the gate that opens."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from page_looks import (
    LOOK,
    MEASURE,
    OPEN_ALL,
    OUTSIDE,
    RULES,
    TEXTS_OVER_TEXTS,
    WIDTHS,
    fetched_axe,
)
from small_audits import POLICY
from test_pages_in_a_browser import TYPED, WHERE, Sitting, sitting
from webdriver import CHROMIUM, DRIVER

from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import digest_files
from auditor.trust.artifacts.files import digest_artifact
from auditor.workflows.wiring import load_named_policy

__all__ = ["sitting"]
pytestmark = [
    pytest.mark.slow,
    pytest.mark.fetches,
    pytest.mark.skipif(
        CHROMIUM is None or DRIVER is None,
        reason="needs chromium and its driver (Debian: chromium, chromium-driver)",
    ),
]
ASKS = POLICY.replace("least_budget", "approvals: 1, blind_labels: 2, least_budget").replace(
    "at_least: 0.6", "at_least: 0.999"
)
TICKED = """
const [name, value, done] = arguments;
for (const item of document.getElementsByName(name))
  item.checked = value === true || item.value === value;
done(true);
"""
CHOSEN = """
const done = arguments[arguments.length - 1];
for (const item of document.querySelectorAll("select[name^=case-]")) item.selectedIndex = 1;
done(document.querySelectorAll("select[name^=case-]").length);
"""
KEY = "arguments[arguments.length - 1](document.getElementById('signing-key').textContent);"


@dataclass(frozen=True)
class Walk:
    """The one who sits at the browser, as one person after the other."""

    sitting: Sitting
    axe: str

    def become(self, key: str) -> None:
        self.sitting.click("Log out", "API key of this service")
        self.sitting.log_in(key)

    def fill(self, **words: str) -> None:
        for name, value in words.items():
            self.sitting.browser.run(TYPED, name, value)

    def tick(self, name: str, value: object) -> None:
        self.sitting.browser.run(TICKED, name, value)

    def key_made_here(self) -> str:
        """Make a signing key in the browser, and return its public half."""
        self.sitting.go("/signing")
        self.sitting.click("Create my key", "Send this public key to an admin")
        return str(self.sitting.browser.run(KEY))

    def is_fit(self, name: str) -> None:
        """Look at the page that is open: wide and narrow, light and dark."""
        opened = self.sitting.browser
        opened.run(OPEN_ALL)
        for width_name, width in WIDTHS.items():
            for dark in (False, True):
                opened.look(width=width, dark=dark)
                assert opened.run(self.axe + LOOK, RULES) == [], (name, width_name, dark)
            content, window = opened.run(MEASURE)
            assert content <= window, (name, width_name)
            assert opened.run(OUTSIDE) == [], (name, width_name)
            assert opened.run(TEXTS_OVER_TEXTS) == [], (name, width_name)
        opened.look(width=1280)


def test_from_a_failing_audit_to_an_open_gate(sitting: Sitting, tmp_path: Path) -> None:
    (sitting.example / "policy.yaml").write_text(ASKS)
    walk = Walk(sitting, fetched_axe(tmp_path))
    sitting.go("/")
    sitting.log_in(sitting.key)
    audit = _failed(sitting)
    anna, bob = (_key(sitting, name) for name in ("Anna", "Bob"))
    people = [("Anna Smith", anna, ("may-waiver",)), ("Bob Brown", bob, ("may-approval",))]
    for name, key, may in people:
        _named(walk, name, key, may)
    assert _gate(sitting, sitting.example) is False

    walk.become(anna)
    sitting.go(audit)
    sitting.click("Waive…", "You waive")
    walk.fill(owner="olga@example.org", ticket="RISK-7", expires=_in_days(30))
    walk.fill(reason="The sensor is replaced in April.")
    walk.is_fit("waive")
    sitting.click("Continue to signing", "Review the statement before you sign it with your key")
    walk.is_fit("sign")
    sitting.click("Sign and submit", "Awaiting approval")
    assert sitting.browser.run(WHERE) == audit
    assert "2 records" in sitting.text()

    walk.become(bob)
    assert "Label first" in sitting.go(audit)
    assert "Awaiting approval" not in sitting.text()
    walk.is_fit("blind")
    sitting.click("Label the cases", "Cases of Bob Brown")
    walk.is_fit("label")
    assert sitting.browser.run(CHOSEN) == 2
    sitting.click("Submit labels", "Awaiting approval")
    walk.is_fit("awaits")
    sitting.click("Approve or reject…", "Your decision")
    walk.is_fit("approve")
    walk.tick("answer", "yes")
    walk.fill(role="model risk", reason="All findings are known.")
    sitting.click("Continue to signing", "Sign and submit")
    sitting.click("Sign and submit", "Approved")
    walk.is_fit("approved")
    assert _gate(sitting, sitting.example) is True

    walk.become(sitting.key)
    _a_schedule_and_a_hook(walk, audit)
    _every_other_page(walk, audit)


def _failed(sitting: Sitting) -> str:
    """Hand in an audit that fails one rule, see that on its page, and return where that is."""
    handing = sitting.audit("--only", "quality.accuracy")
    while "line" not in sitting.go("/audits"):
        assert handing.poll() is None, "it ended before it was there"
    sitting.click("line", "Audit of line")
    told = sitting.wait("All audits of this model")
    assert "Fail" in told.splitlines()
    assert "It is right often enough" in told
    assert handing.wait(60) != 0
    where = str(sitting.browser.run(WHERE))
    sitting.click("Open the report", "Verify it yourself")
    sitting.go(where)
    return where


def _key(sitting: Sitting, name: str) -> str:
    asked = {"name": name, "role": "approver"}
    answer = sitting.served.client.post("/v1/keys", json=asked)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["text"])


def _named(walk: Walk, name: str, key: str, may: tuple[str, ...]) -> None:
    """Make a key in the browser as the person, and name the person as the admin."""
    walk.become(key)
    pem = walk.key_made_here()
    assert pem.startswith("-----BEGIN PUBLIC KEY-----")
    walk.become(walk.sitting.key)
    walk.sitting.go("/people")
    walk.fill(name=name, key=pem, caller=key.split("_")[1])
    for kind in ("waiver", "approval", "finding"):
        walk.tick(f"may-{kind}", f"may-{kind}" in may)
    walk.sitting.click("Add person", "can now sign decisions in this project")


def _in_days(days: int) -> str:
    return (datetime.now(UTC) + timedelta(days=days)).strftime("%Y-%m-%d")


def _gate(sitting: Sitting, example: Path) -> bool:
    """Ask the gate of the service for the artifact, over HTTP."""
    artifact = digest_files(digest_artifact(example / "model.onnx"))
    policy = load_named_policy("policy.yaml", example, discover_checks())
    asked = {"artifact": artifact, "policy": policy.digest}
    answer = sitting.served.client.get("/v1/gate", params=asked)
    assert answer.status_code == 200, answer.text
    return bool(answer.json()["open"])


def _a_schedule_and_a_hook(walk: Walk, audit: str) -> None:
    sitting = walk.sitting
    sitting.go("/schedules")
    walk.fill(name="nightly", same_as=audit.rpartition("/")[2], cron="0 3 * * *")
    sitting.click("Create schedule", "No runs yet.")
    walk.is_fit("schedule")
    sitting.click("Pause", "Paused")
    sitting.go("/webhooks")
    walk.fill(url="https://hooks.example.org/audits")
    walk.tick("on-audit.failed", value=True)
    sitting.click("Create webhook", "Webhook secret")
    walk.is_fit("webhook-made")
    sitting.click("https://hooks.example.org/audits", "Messages")
    walk.is_fit("webhook")


def _every_other_page(walk: Walk, audit: str) -> None:
    name = audit.rpartition("/")[2]
    for path in ("/people", "/signing", "/decisions", "/schedules", "/webhooks", "/acts",
                 f"/decide/{name}/finding", f"/decide/{name}/label"):  # fmt: skip
        walk.sitting.go(path)
        walk.is_fit(path.strip("/").replace("/", "-"))
    walk.sitting.go("/decisions")
    walk.sitting.click("Bob Brown", "Signed statement")
    walk.is_fit("decision")
