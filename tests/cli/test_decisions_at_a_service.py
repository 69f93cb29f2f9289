"""From a failing audit at a service to an open gate, by people with commands of their own."""

import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from auditor.trust.keys.files import create_key_pair

pytestmark = pytest.mark.slow
COMMAND = Path(sys.executable).with_name("auditor")
Command = Callable[..., Any]
STRICT = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: strict, version: 1.0.0, owner: tests@example.org, approvals: 2}
rules:
  - id: accuracy
    title: It is right
    severity: high
    measure: quality.accuracy/accuracy
    at_least: 0.999
"""
AUDITED = ("audit", "audit.yaml", "--policy", "strict.yaml", "--only", "quality.accuracy")


@pytest.fixture
def url(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Start a service in a home of its own, and show its admin's key from here on."""
    there, log = tmp_path / "service", tmp_path / "log"
    with log.open("w") as errors:
        process = subprocess.Popen(
            [COMMAND, "serve", "--port", "0"],
            env={**os.environ, "AUDITOR_HOME": str(there)}, stderr=errors,
        )  # fmt: skip
    try:
        until = time.monotonic() + 120
        while (found := re.search(r'"port": (\d+)', log.read_text())) is None:
            assert process.poll() is None, log.read_text()
            assert time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        monkeypatch.setenv("AUDITOR_API_KEY", (there / "service" / "admin.key").read_text().strip())
        yield f"http://127.0.0.1:{found[1]}"
    finally:
        process.terminate()
        process.wait(90)


@dataclass(frozen=True)
class Caller:
    """The API by hand."""

    line: httpx.Client

    def name(self, who: str, *may: str) -> None:
        key = Path(who, "decision.pub").read_text()
        self.post("people", {"name": who, "key": key, "may": list(may)}, 201)

    def post(self, path: str, body: Mapping[str, Any], status: int) -> Mapping[str, Any]:
        answer = self.line.post(f"/v1/{path}", json=body)
        assert answer.status_code == status, answer.text
        return dict(answer.json())

    def audit(self) -> Mapping[str, Any]:
        (one,) = self.line.get("/v1/audits").json()["audits"]
        return dict(self.line.get(f"/v1/audits/{one['id']}").json())


@pytest.fixture
def caller(url: str) -> Iterator[Caller]:
    """Call with the key that the environment shows."""
    shown = {"Authorization": f"Bearer {os.environ['AUDITOR_API_KEY']}"}
    with httpx.Client(base_url=url, headers=shown, timeout=60, trust_env=False) as line:
        yield Caller(line)


def signed(who: str, folder: str, server: tuple[str, ...], *words: str) -> tuple[str, ...]:
    role = ("--by", who, "--role", "model risk", "--reason", "All findings are known.")
    return ("approve", folder, *role, *words, "--key", f"{who}/decision.key", *server)


def test_an_audit_is_waived_approved_by_two_opened_and_found_wrong(
    auditor: Command, inside: Path, url: str, caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = ("--server", url)
    (inside / "strict.yaml").write_text(STRICT)
    for who, may in (
        ("anna", ("waiver", "finding")),
        ("bob", ("approval",)),
        ("carl", ("approval",)),
    ):
        create_key_pair(inside / who, stem="decision")
        caller.name(who, *may)
    create_key_pair(inside / "eve", stem="decision")
    assert auditor(*AUDITED, "--out", "report", *server).code == 1
    asked = ("gate", "--artifact", "model.onnx", "--policy", "strict.yaml", *server)
    assert auditor(*asked).code == 1

    # What a key of nobody signs is not taken, and the environment alone hands nothing in.
    leave = ("waive", "report", "--rule", "accuracy", "--reason", "The sensor is replaced.",
             "--ticket", "RISK-7", "--owner", "olga", "--expires", "30d")  # fmt: skip
    anna = (*leave, "--approver", "anna", "--key", "anna/decision.key", "--out", "w.json")
    eve = (*leave, "--approver", "eve", "--key", "eve/decision.key", "--out", "e.json")
    refused = auditor(*eve, *server)
    assert (refused.code, "is not the key of a person in this project" in refused.said) == (2, True)
    made = auditor(*anna, *server)
    assert made.code == 0, made.said
    stands = caller.audit()
    fresh = stands["records"][0]["digest"]
    assert f"Re-evaluated there: {fresh} (pass)" in made.said
    assert (stands["standing"], stands["verdict"]) == ("awaiting approval", "fail")
    shut = auditor(*asked)
    assert (shut.code, "0 of 2 approvals of this record are there" in shut.said) == (1, True)

    # Two people approve the record that was judged again, which they name by its digest.
    monkeypatch.setenv("AUDITOR_SERVER", url)
    at_home = auditor(*signed("bob", "report", (), "--yes"))
    assert (at_home.code, "in the ledger" in at_home.said) == (0, True)
    assert caller.audit()["standing"] == "awaiting approval"
    monkeypatch.delenv("AUDITOR_SERVER")
    for who in ("bob", "carl"):
        said = auditor(*signed(who, fresh, server, "--yes"))
        assert said.code == 0, said.said
    opened = auditor(*asked)
    assert opened.code == 0, opened.said
    assert "bob, carl approved this record" in opened.said
    assert caller.audit()["standing"] == "approved"

    # What was signed may not be changed, and who is not of the project learns nothing.
    bundle = (inside / "w.json").read_text()
    broken = bundle.replace('"sig":"ME', '"sig":"MF')
    caller.post("waivers", {"bundle": broken, "key": Path("anna/decision.pub").read_text()}, 422)
    flag = ("flag", fresh, "--by", "anna", "--role", "clinician", "--key", "anna/decision.key")
    brief = auditor(*flag, "--reason", "Wrong.", *server)
    assert (brief.code, "which is no reason" in brief.said) == (2, True)
    flagged = auditor(*flag, "--reason", "Row r17 is a scar.", *server)
    assert flagged.code == 0, flagged.said
    assert "found by anna (clinician)" in flagged.said
    wrong = auditor(*asked)
    assert (wrong.code, "Row r17 is a scar." in wrong.said) == (1, True)
    assert caller.audit()["standing"] == "failed"
