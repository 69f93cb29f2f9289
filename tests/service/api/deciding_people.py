"""People with keys of their own in a service's project, and what they sign and hand in."""

import base64
import json
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from served_toys import sha
from served_worlds import World

from auditor._time import utc_now
from auditor.checks.registry import discover_checks
from auditor.domain.approvals import Approval, ApprovalAnswer, HumanFinding
from auditor.domain.artifacts import digest_files
from auditor.domain.json import Json, encode_canonical
from auditor.domain.policies import Policy
from auditor.domain.waivers import Waiver
from auditor.policy.load import load_policy
from auditor.service.jobs.executor import AuditExecutor, build_executor
from auditor.trust.artifacts.files import digest_artifact
from auditor.trust.signatures.decisions import sign_approval, sign_finding, sign_waiver
from auditor.trust.signatures.keys import KeySigner

FUTURE = "2999-01-01T00:00:00Z"


@dataclass(frozen=True)
class Someone:
    """A person of a project, whose private key is here."""

    world: World
    name: str
    signer: KeySigner
    id: str = ""

    @property
    def pem(self) -> str:
        return self.signer.public_pem().decode()

    def post(self, kind: str, bundle: bytes, key: str = "approver") -> httpx.Response:
        return self.world.call(
            "POST", f"/v1/{kind}", key, json={"bundle": bundle.decode(), "key": self.pem}
        )

    def waive(self, waiver: Waiver) -> httpx.Response:
        return self.post("waivers", sign_waiver(waiver, self.signer))

    def answer(
        self,
        record: str,
        answer: ApprovalAnswer = ApprovalAnswer.YES,
        **changes: Any,  # noqa: ANN401 -- any field
    ) -> httpx.Response:
        said: dict[str, Any] = {
            "record": record, "record_id": record_id(self.world, record), "by": self.name,
            "role": "model risk", "answer": answer, "reason": "All findings are known.",
            "created": utc_now(),
        }  # fmt: skip
        return self.post("approvals", sign_approval(Approval(**{**said, **changes}), self.signer))

    def find(self, record: str) -> httpx.Response:
        said = HumanFinding(
            record=record, record_id=record_id(self.world, record), by=self.name,
            role="clinician", reason="Row r17 is a scar.", created=utc_now(),
        )  # fmt: skip
        return self.post("findings", sign_finding(said, self.signer))


def record_id(world: World, record: str) -> str:
    path = f"/v1/records/{record}/files/record.json"
    return str(json.loads(world.call("GET", path, "viewer").content)["id"])


def somebody(world: World, name: str, *may: str, key: str = "admin", **more: Any) -> Someone:  # noqa: ANN401 -- JSON
    """Make a key for a person, and name the person to a project."""
    made = Someone(world, name, KeySigner(ec.generate_private_key(ec.SECP256R1())))
    asked = {"name": name, "key": made.pem, "may": list(may), **more}
    answer = world.call("POST", "/v1/people", key, json=asked)
    assert answer.status_code == 201, answer.text
    return Someone(world, name, made.signer, answer.json()["id"])


def policy_of(name: str, at_least: float = 0.999, **asks: int | str) -> Policy:
    """Return a policy whose one rule asks for an accuracy, under a name of its own."""
    document: dict[str, Json] = {
        "apiVersion": "auditor/v1", "kind": "Policy",
        "metadata": {"name": name, "version": "1.0.0", "owner": "tests@example.org", **asks},
        "rules": [{
            "id": "accuracy", "title": "It is right", "severity": "high", "effect": "deny",
            "measure": "quality.accuracy/accuracy", "at_least": at_least,
        }],
    }  # fmt: skip
    return load_policy(encode_canonical(document), name, discover_checks(), {})


def audited(world: World, policy: Policy, key: str = "submitter") -> str:
    """Hand the example in under a policy, carry it out as an engine does, and return its id."""
    name = handed_in(world, policy, key)
    observed(world, name).conclude(name)
    return name


def handed_in(world: World, policy: Policy, key: str = "submitter") -> str:
    """Hand the example in under a policy, and return the id of the audit."""
    world.upload_example(key)
    digest = world.upload(encode_canonical(policy.document), "datasets", key)
    asked = world.call("POST", "/v1/audits", key, json=world.body(policy=digest))
    assert asked.status_code == 201, asked.text
    return str(asked.json()["id"])


def observed(world: World, name: str) -> AuditExecutor:
    """See all that an audit's checks see, and return who is to conclude it."""
    work = build_executor(world.place, {})
    for target, checks in work.plan(name):
        for check in checks:
            work.observe(name, target, check)
    return work


def look(world: World, audit: str) -> dict[str, Any]:
    """Look at an audit, which a list of all says the same of."""
    answer = world.call("GET", f"/v1/audits/{audit}", "viewer")
    assert answer.status_code == 200, answer.text
    page = world.call("GET", "/v1/audits", "viewer", params={"limit": 200}).json()["audits"]
    assert [item for item in page if item["id"] == audit] == [answer.json()]
    return dict(answer.json())


def gate(world: World, policy: Policy, key: str = "viewer", **more: str) -> dict[str, Any]:
    """Ask the gate, and return its answer with the detail of each step under its name."""
    asked = {"artifact": artifact(world), "policy": policy.digest, **more}
    answer = world.call("GET", "/v1/gate", key, params=asked)
    assert answer.status_code == 200, answer.text
    said = answer.json()
    return {**said, "by": {it["name"]: it["detail"] for it in said["steps"]}}


def artifact(world: World) -> str:
    return digest_files(digest_artifact(world.example / "model.onnx"))


def waiver_of(world: World, policy: Policy, person: Someone, **changes: Any) -> Waiver:  # noqa: ANN401 -- any field
    """Return a waiver of the one rule of a policy, as `auditor waive` writes one."""
    said: dict[str, Any] = {
        "rule": "accuracy", "model": "line", "artifact": artifact(world), "policy": policy.name,
        "policy_digest": policy.digest, "owner": "olga@example.org", "approver": person.name,
        "reason": "The sensor is replaced in April.", "ticket": "RISK-7", "created": utc_now(),
        "expires": later(utc_now(), 30),
    }  # fmt: skip
    return Waiver(**{**said, **changes})


def later(at: str, days: float) -> str:
    moved = datetime.fromisoformat(at).astimezone(UTC) + timedelta(days=days)
    return moved.strftime("%Y-%m-%dT%H:%M:%SZ")


def as_a_browser(signer: KeySigner, to_sign: str) -> str:
    """Sign as WebCrypto does: both numbers side by side, 32 bytes each, in base64."""
    der = signer.key.sign(base64.b64decode(to_sign), ec.ECDSA(hashes.SHA256()))
    one, other = decode_dss_signature(der)
    return base64.b64encode(one.to_bytes(32) + other.to_bytes(32)).decode()


def digest_of(raw: str) -> str:
    return sha(raw.encode())
