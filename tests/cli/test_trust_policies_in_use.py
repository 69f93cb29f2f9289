"""A trust policy as people use it: signed, accepted, named in audits, verifications and gates."""

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
import yaml
from trust_papers import (
    BUILD,
    CI,
    OWNER,
    RELEASE,
    RULE,
    SLSA,
    Change,
    document,
    headed,
    named,
    provenance,
    revoking,
    ruled,
    save,
)

from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import FileDigest
from auditor.domain.policies import AssuranceLevel
from auditor.domain.record_json import read_record
from auditor.reports.folder import RecordFolder, write_folder
from auditor.reports.publish import build_report_files
from auditor.workflows.wiring import load_named_policy

Command = Callable[..., Any]
LASTING = headed(expires="2999-01-01")
LINE = ruled(models=["line"])
ONLY = ("--only", "provenance.signature", "--out", "out")


def write(path: Path, *changes: Change) -> None:
    """Write a policy whose release key lies beside it."""
    found = document(LASTING, LINE, *changes)
    found["keys"]["release"]["pem"] = "release.pub"
    path.write_text(yaml.safe_dump(found))


@pytest.fixture
def place(auditor: Command, inside: Path, home: Path) -> Path:
    """The small audit under a trust policy: the model is signed, and CI's key signs records."""
    save(CI, home / "signer.key")
    for name, key in (("release", RELEASE), ("owner", OWNER)):
        save(key, inside / f"{name}.key")
    named_in = "artifact: model.onnx, signature: model.sig, trust: trust.yaml"
    file = inside / "audit.yaml"
    file.write_text(file.read_text().replace("artifact: model.onnx", named_in))
    write(inside / "trust.yaml")
    assert auditor("sign", "model.onnx", "--out", "model.sig", "--key", "release.key",
                   "--name", "line", "--version", "1.0.0").code == 0  # fmt: skip
    return inside


def accept(auditor: Command, *options: str) -> Any:  # noqa: ANN401 -- how it ended
    assert auditor("trust", "sign", "trust.yaml", "--key", "owner.key").code == 0
    return auditor("trust", "accept", "trust.yaml", *options)


def verified(folder: Path) -> tuple[bool, list[str]]:
    """What the record in a folder says of the signature, with the codes of its findings."""
    record = json.loads((folder / "record.json").read_bytes())
    (found,) = [it for it in record["readings"] if it["check"] == "provenance.signature"]
    return found["value"], [item["code"] for item in found["details"]["findings"]]


def gate(*options: str) -> tuple[str, ...]:
    asked = ("--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out")
    return ("gate", *asked, *options)


def test_an_audit_under_an_accepted_policy_is_verified_reproduced_and_gated(
    auditor: Command, place: Path
) -> None:
    # The tag of the audit file is one that the rule asks for.
    write(place / "trust.yaml", ruled(tags=["released"]))
    file = place / "audit.yaml"
    file.write_text(
        file.read_text().replace("version: 1.0.0,", "version: 1.0.0, tags: [released],")
    )
    assert accept(auditor, "--key", "owner.pub").code == 0
    audited = auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    assert audited.code == 0, audited.said
    assert verified(place / "out") == (True, [])
    record = json.loads((place / "out" / "record.json").read_bytes())
    digest = record["request"]["trust"]["digest"]
    used = [edge["role"] for edge in record["lineage"] if edge["destination"] == digest]
    assert used == ["trust_policy"]
    shown = auditor("trust", "show", "trust.yaml")
    assert digest in shown.said
    assert "accepted here" in shown.said
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 0
    by_policy = auditor("verify", "out", "--trust", "trust.yaml")
    assert by_policy.code == 0, by_policy.said
    assert "ci may claim A1" in by_policy.said
    opened = auditor(*gate("--trust", "trust.yaml"))
    assert (opened.code, "holds signer" in opened.said) == (0, True), opened.said
    # Nothing that lies here is needed: the policy and the keys beside it were kept.
    for name in ("trust.yaml", "release.pub", "model.sig"):
        (place / name).unlink()
    again = auditor("reproduce", "out")
    assert again.code == 0, again.said
    assert auditor("ledger", "verify").code == 0


def test_a_key_that_was_revoked_since_opens_no_gate_and_changes_no_record(
    auditor: Command, place: Path
) -> None:
    accept(auditor, "--key", "owner.pub")
    auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    write(place / "trust.yaml", headed(version=4), revoking("keys", named(RELEASE)))
    # Newer than what was accepted: nobody knows that it is the owner's.
    assert "POLICY_UNACCEPTED" in auditor(*gate("--trust", "trust.yaml")).said
    assert accept(auditor).code == 0
    shut = auditor(*gate("--trust", "trust.yaml"))
    assert (shut.code, "REVOKED" in shut.said) == (1, True)
    assert auditor("verify", "out", "--trust", "trust.yaml").code == 0
    assert verified(place / "out") == (True, [])


def test_the_key_of_a_first_run_is_no_auditors(auditor: Command, place: Path, home: Path) -> None:
    shutil.rmtree(home)
    auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 0
    for asked in (("verify", "out", "--trust", "trust.yaml"), gate("--trust", "trust.yaml")):
        refused = auditor(*asked)
        assert (refused.code, "AUDITOR: not signed by an auditor" in refused.said) == (1, True)


def claiming(folder: Path, assurance: AssuranceLevel) -> None:
    """Let CI sign the same record with another assurance."""
    record = replace(read_record((folder / "out/record.json").read_bytes()), assurance=assurance)
    evidence = RecordFolder(folder / "out").evidence
    checks = discover_checks()
    policy = load_named_policy("policy.yaml", folder, checks)
    files = build_report_files(record, policy, checks, evidence, CI)
    write_folder(folder / "out", files)


def test_an_auditor_claims_no_more_assurance_than_the_policy_gives_it(
    auditor: Command, place: Path
) -> None:
    auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    claiming(place, AssuranceLevel.A2)
    refused = auditor("verify", "out", "--trust", "trust.yaml")
    assert (refused.code, "ASSURANCE: nothing shows more than A1" in refused.said) == (1, True)
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 1
    write(place / "trust.yaml", lambda d: d["auditors"][0].update(highest="A2"))
    assert auditor("verify", "out", "--trust", "trust.yaml").code == 0


def test_a_key_may_be_believed_as_far_as_somebody_says(auditor: Command, place: Path) -> None:
    auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    claiming(place, AssuranceLevel.A1)
    by = ("verify", "out", "--key", "out/signer.pub")
    told = auditor(*by)
    assert (told.code, "say --assurance A1" in told.said) == (1, True)
    assert ("failed assurance" in told.said, "failed judgement" in told.said) == (True, False)
    assert auditor(*by, "--assurance", "A1").code == 0
    assert auditor(*by, "--assurance", "A2").code == 0
    assert "--assurance A1" in (place / "out/VERIFY.md").read_text()
    both = auditor("verify", "out", "--trust", "trust.yaml", "--assurance", "A1")
    assert (both.code, "Remove --assurance" in both.said) == (2, True)
    asked = ("gate", "--artifact", "model.onnx", "--policy", "policy.yaml", "--record", "out")
    believed = auditor(*asked, "--key", "out/signer.pub", "--assurance", "A1")
    assert "ASSURANCE" not in believed.said
    assert "ASSURANCE" in auditor(*asked, "--key", "out/signer.pub").said
    assert "ASSURANCE" in auditor("comment", "out", "--key", "out/signer.pub").out


def test_what_claims_more_than_a_key_shows_can_be_decided_on_and_compared(
    auditor: Command, place: Path
) -> None:
    auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    claiming(place, AssuranceLevel.A1)
    assert auditor("compare", "out", "out").code == 0
    assert auditor("keys", "new", "--role", "decision").code == 0
    reason = ("--reason", "it was tried on the line")
    yes = auditor("approve", "out", "--by", "Ann", "--role", "release manager", "--yes", *reason)
    assert yes.code == 0, yes.said
    packed = auditor("export", "out", "--out", "bundle.zip")
    assert packed.code == 0, packed.said


ASKED = """\
  - id: signed
    title: It is signed by whom our trust policy names
    severity: critical
    effect: deny
    measure: provenance.signature/verified
    require: >-
      reading.value && reading.details.trust.name == "acme"
      && reading.details.trust.standing == "accepted"
    rationale: The audit file's author must not choose whom to trust.
    remediation: Audit under the accepted trust policy.
"""


@pytest.mark.parametrize(("accepted", "outcome"), [(True, "passed"), (False, "failed")])
def test_a_policy_may_ask_for_an_accepted_trust_policy(
    accepted: bool,  # noqa: FBT001
    outcome: str,
    auditor: Command,
    place: Path,
) -> None:
    policy = place / "policy.yaml"
    policy.write_text(policy.read_text() + ASKED)
    if accepted:
        accept(auditor, "--key", "owner.pub")
    auditor("audit", "audit.yaml", *ONLY)
    record = json.loads((place / "out/record.json").read_bytes())
    found = {item["rule"]: item["outcome"] for item in record["findings"]}
    assert found["signed"] == outcome


def test_forged_evidence_of_a_signature_is_not_looked_at_again(
    auditor: Command, place: Path
) -> None:
    auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    path = place / "out/record.json"
    raw = path.read_bytes()
    (seen,) = [it for it in json.loads(raw)["observations"] if it["check"].startswith("prov")]
    (digest,) = seen["evidence"].values()
    for forged in (b"[]", b"{", b'{"trust":{}}', b'{"bindings":[1]}'):
        other = hashlib.sha256(forged).hexdigest()
        (place / "out/evidence" / other).write_bytes(forged)
        path.write_bytes(raw.replace(digest.removeprefix("sha256:").encode(), other.encode()))
        ended = auditor("reproduce", "out")
        assert (ended.code, "Internal error" in ended.said) in {(1, False), (2, False)}, ended.said


VERIFY = ("verify", "model.onnx", "--signature", "model.sig", "--trust", "trust.yaml")
AS_LINE = ("--model", "line", "--version", "1.0.0")
FAR = {"models": ["other"], "require": RULE["require"]}


@pytest.mark.parametrize(
    ("changes", "asked", "code"),
    [
        ((), AS_LINE, ""),
        ((), ("--model", "other", "--version", "1.0.0"), "NO_RULE"),
        ((ruled(signed_name=True),), AS_LINE, ""),
        (
            (lambda d: d["rules"].append({**FAR, "signed_name": True}),),
            ("--model", "other", "--version", "1.0.0"),
            "NAME",
        ),
        ((ruled(signed_name=True),), ("--model", "line", "--version", "2.0"), "NAME"),
        ((ruled(min_version="1.0.1"),), AS_LINE, "VERSION_FLOOR"),
        ((ruled(timestamp="required"),), AS_LINE, "NO_TIME"),
        ((ruled(timestamp="required"),), (*AS_LINE, "--at", "2026-01-01T00:00:00Z"), ""),
        ((ruled(max_age="30d"),), (*AS_LINE, "--at", "2020-01-01T00:00:00Z"), "TOO_OLD"),
        ((headed(expires="2020-01-01"),), AS_LINE, "POLICY_EXPIRED"),
        (
            (revoking("keys", {"sha256": named(RELEASE), "since": "2026-01-01"}),),
            AS_LINE,
            "REVOKED",
        ),
        ((ruled(tags=["released"]),), AS_LINE, "NO_RULE"),
        ((ruled(tags=["released"]),), (*AS_LINE, "--tag", "released"), ""),
        (
            (ruled(require=[*RULE["require"], {"predicate": SLSA, "any_of": [{"key": "build"}]}]),),
            AS_LINE,
            "PREDICATE_MISSING",
        ),
    ],
    ids=[
        "good",
        "no rule",
        "named",
        "another model",
        "another version",
        "rolled back",
        "no time",
        "stamped",
        "old",
        "ended",
        "revoked",
        "untagged",
        "tagged",
        "no provenance",
    ],
)
def test_an_artifact_is_verified_as_what_it_is_taken_for(
    changes: tuple[Change, ...], asked: tuple[str, ...], code: str, auditor: Command, place: Path
) -> None:
    write(place / "trust.yaml", *changes)
    ended = auditor(*VERIFY, *asked)
    assert ended.code == (1 if code else 0), ended.said
    assert f"{code}: " in ended.said


def test_a_statement_that_a_rule_asks_for_is_handed_over(auditor: Command, place: Path) -> None:
    asked = {"predicate": SLSA, "any_of": [{"key": "build"}]}
    write(place / "trust.yaml", ruled(require=[*RULE["require"], asked]))
    model = FileDigest.of("model.onnx", (place / "model.onnx").read_bytes())
    (place / "slsa.json").write_bytes(provenance(BUILD, (model,)))
    assert auditor(*VERIFY, *AS_LINE, "--document", "slsa.json").code == 0
    assert auditor(*VERIFY, *AS_LINE, "--document", "policy.yaml").code == 1
    assert auditor(*VERIFY, *AS_LINE, "--document", "none.json").code == 2


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (VERIFY, "Add --model and --version"),
        ((*VERIFY, *AS_LINE, "--key", "release.pub"), "without --key"),
        ((*VERIFY, *AS_LINE, "--profile", "compat"), "--trust conflicts with other trust options"),
        (
            ("verify", "model.onnx", "--signature", "model.sig", "--key", "release.pub", *AS_LINE),
            "Add --trust",
        ),
        (("verify", "out", "--trust", "trust.yaml", *AS_LINE), "Give --key or --trust only"),
        (("verify", "out", "--trust", "trust.yaml", "--key", "release.pub"), "one of them"),
        (gate(), "Give --key or --trust"),
        (("sign", "model.onnx", "--out", "x.sig", "--name", "line"), "Use both, or neither"),
        (("trust", "accept", "none.yaml"), "none.yaml cannot be read: No such file"),
        (("trust", "sign", "trust.yaml", "--key", "release.key"), "the owner's key is release"),
    ],
    ids=[
        "no model",
        "a key too",
        "a profile too",
        "no policy",
        "a model of a record",
        "both",
        "neither",
        "half a name",
        "no file",
        "not an owner",
    ],
)
def test_what_makes_no_sense_is_said(
    asked: tuple[str, ...], said: str, auditor: Command, place: Path
) -> None:
    (place / "out").mkdir()
    (place / "out" / "record.json").touch()
    ended = auditor(*asked)
    assert (ended.code, said in ended.said) == (2, True), ended.said


def test_verifying_leaves_nothing_behind(auditor: Command, place: Path, home: Path) -> None:
    before = sorted(path.name for path in home.iterdir())
    assert "POLICY_UNACCEPTED" in auditor(*VERIFY, *AS_LINE).said
    assert sorted(path.name for path in home.iterdir()) == before


def test_an_older_or_another_policy_than_the_accepted_one_trusts_nobody(
    auditor: Command, place: Path
) -> None:
    assert accept(auditor, "--key", "owner.pub").code == 0
    assert auditor(*VERIFY, *AS_LINE).code == 0
    write(place / "trust.yaml", headed(version=2))
    assert "POLICY_ROLLBACK" in auditor(*VERIFY, *AS_LINE).said
    assert "POLICY_ROLLBACK" in accept(auditor).said
    write(place / "trust.yaml", ruled(models=["*"]))
    assert "POLICY_CHANGED" in auditor(*VERIFY, *AS_LINE).said
    refused = accept(auditor)
    assert (refused.code, "POLICY_CHANGED" in refused.said) == (1, True)


@pytest.mark.slow
def test_other_bytes_need_another_version_where_the_policy_binds_them(
    auditor: Command, place: Path
) -> None:
    write(place / "trust.yaml", lambda d: d.update(bind_versions=True))
    audit = ("audit", "audit.yaml", *ONLY)
    for _ in range(2):
        assert "was registered" not in auditor(*audit).said
        assert verified(place / "out") == (True, ["POLICY_UNACCEPTED"])
    model = place / "model.onnx"
    model.write_bytes(model.read_bytes().replace(b"line", b"lime"))
    auditor("sign", "model.onnx", "--out", "model.sig", "--key", "release.key")
    noted = auditor(*audit)
    assert "Note line 1.0.0 was registered at" in noted.said
    assert verified(place / "out") == (False, ["POLICY_UNACCEPTED", "VERSION_BOUND"])
    file = place / "audit.yaml"
    file.write_text(file.read_text().replace("version: 1.0.0", "version: 1.0.1"))
    auditor(*audit)
    assert verified(place / "out") == (True, ["POLICY_UNACCEPTED"])


def test_lint_says_what_is_doubtful_and_where_a_mistake_is(auditor: Command, place: Path) -> None:
    doubtful = auditor("trust", "lint", "trust.yaml")
    assert (doubtful.code, "keys.build is trusted for nothing" in doubtful.said) == (0, True)
    write(place / "trust.yaml", ruled(min_versoin="1"))
    wrong = auditor("trust", "lint", "trust.yaml")
    assert wrong.code == 2
    assert "trust.yaml:" in wrong.said
    assert "'min_versoin' is an unknown setting" in wrong.said


def test_show_gives_the_document_whose_digest_counts(auditor: Command, place: Path) -> None:
    shown = auditor("trust", "show", "trust.yaml", "--format", "json")
    found = json.loads(shown.out)
    assert found["keys"]["release"]["pem"].encode() == RELEASE.public_pem()


def test_the_verifier_without_auditor_follows_the_ledger_under_a_trust_policy(
    auditor: Command, place: Path, home: Path
) -> None:
    accept(auditor, "--key", "owner.pub")
    auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    keys = ("--key", home / "signer.pub", "--ledger-key", home / "ledger.pub")
    script = [sys.executable, "-I", place / "out" / "verify.py", place / "out", *keys]
    ended = subprocess.run(script, capture_output=True, text=True, check=False)
    assert (ended.returncode, "in the ledger" in ended.stdout) == (0, True), ended.stdout


@pytest.mark.slow
def test_an_audit_that_can_withhold_rows_names_no_signature_in_what_it_publishes(
    auditor: Command, place: Path
) -> None:
    accept(auditor, "--key", "owner.pub")
    with (place / "audit.yaml").open("a") as file:
        file.write("disclosure: rows\n")
    ended = auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    assert ended.code == 0, ended.said
    assert auditor("verify", "out", "--key", "out/signer.pub").code == 0
    held = hashlib.sha256((place / "model.sig").read_bytes()).hexdigest()
    assert held not in (place / "out" / "verdict.vsa.json").read_text()
    opened = auditor(*gate("--trust", "trust.yaml"))
    assert (opened.code, "holds signer" in opened.said) == (0, True), opened.said
    again = auditor("reproduce", "out")
    assert again.code == 0, again.said


def test_the_owners_key_has_one_role_and_an_end(auditor: Command, place: Path, home: Path) -> None:
    # The key that signs records here, and one that the ledger knows as a model's.
    ended = auditor("trust", "sign", "trust.yaml", "--key", home / "signer.key")
    assert (ended.code, "is the report key" in ended.said) == (2, True), ended.said
    assert auditor("keys", "enrol", "owner.pub", "--role", "model").code == 0
    ended = auditor("trust", "sign", "trust.yaml", "--key", "owner.key")
    assert (ended.code, "may not be the trust key too" in ended.said) == (2, True), ended.said


def test_a_trust_key_that_was_revoked_signs_no_policy_and_one_it_signed_is_not_accepted(
    auditor: Command, place: Path
) -> None:
    assert auditor("trust", "sign", "trust.yaml", "--key", "owner.key").code == 0
    assert auditor("keys", "enrol", "owner.pub", "--role", "trust").code == 0
    lost = ("--since", "2020-01-01T00:00:00Z", "--reason", "lost")
    assert auditor("keys", "revoke", "owner.pub", *lost).code == 0
    ended = auditor("trust", "accept", "trust.yaml", "--key", "owner.pub")
    assert (ended.code, "may sign no more" in ended.said) == (2, True), ended.said
    ended = auditor("trust", "sign", "trust.yaml", "--key", "owner.key")
    assert (ended.code, "may sign no more" in ended.said) == (2, True), ended.said


def test_a_locked_key_of_ones_own_signs_a_trust_policy(
    auditor: Command, place: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (place / "password").write_text("secret\n")
    monkeypatch.setenv("AUDITOR_PASSWORD_FILE", str(place / "password"))
    assert auditor("keys", "new", "--encrypt", "--role", "trust").code == 0
    assert auditor("trust", "sign", "trust.yaml").code == 0
    assert auditor("trust", "accept", "trust.yaml", "--key", home / "trust.pub").code == 0


@pytest.mark.slow
def test_a_gate_knows_what_was_registered_here_under_the_same_name_and_version(
    auditor: Command, place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: Path
) -> None:
    write(place / "trust.yaml", lambda found: found.update(bind_versions=True))
    accept(auditor, "--key", "owner.pub")
    # Elsewhere the bytes are the first of their name and version; here, others were before.
    model = (place / "model.onnx").read_bytes()
    shutil.copytree(home, tmp_path / "elsewhere")
    monkeypatch.setenv("AUDITOR_HOME", str(tmp_path / "elsewhere"))
    auditor("audit", "audit.yaml", "--only", "quality.accuracy", *ONLY)
    assert auditor(*gate("--trust", "trust.yaml")).code == 0
    monkeypatch.setenv("AUDITOR_HOME", str(home))
    other = onnx.load_from_string(model)
    other.doc_string = "other bytes"
    onnx.save(other, place / "model.onnx")
    auditor("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "first")
    (place / "model.onnx").write_bytes(model)
    shut = auditor(*gate("--trust", "trust.yaml"))
    assert (shut.code, "VERSION_BOUND" in shut.said) == (1, True), shut.said
