"""Waivers that an audit is given count where a key that may waive signed them."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import pytest
from decision_papers import ANNA, BOB, EVE, signed, waiver
from trust_papers import policy, save

from auditor.domain.auditfiles import AuditFile
from auditor.domain.json import encode_canonical
from auditor.domain.targets import TargetSpec
from auditor.domain.trust_context import TrustPolicyStatus
from auditor.errors import AuditFileError, WaiverError
from auditor.inputs.auditfile.read import read_audit_file
from auditor.targets.target_specs import find_known_target
from auditor.trust.policies.query import QueryTime
from auditor.trust.policies.trust_policy import TrustPolicy
from auditor.trust.signatures.decisions import sign_waiver
from auditor.trust.signatures.keys import KeySigner
from auditor.workflows.waivers import (
    WHO,
    WaiverSources,
    list_waiver_keys,
    refuse_untrusted_waivers,
    stage_waivers,
    verify_waivers,
)

LEAVE = waiver()


def put(folder: Path, name: str, raw: bytes) -> Path:
    (folder / name).write_bytes(raw)
    return folder / name


def pems(*keys: KeySigner) -> tuple[bytes, ...]:
    return tuple(key.public_pem() for key in keys)


def test_waivers_count_in_their_order_by_whichever_key_signed_them(tmp_path: Path) -> None:
    first = put(tmp_path, "a.json", sign_waiver(LEAVE, BOB))
    second = put(tmp_path, "b.json", sign_waiver(waiver(rule="robust"), ANNA))
    found = verify_waivers(WaiverSources((first, second), pems(EVE, ANNA, BOB)))
    assert [(it.ref.file, it.waiver.rule, it.key) for it in found] == [
        ("a.json", "accurate", BOB.public_pem()),
        ("b.json", "robust", ANNA.public_pem()),
    ]
    assert verify_waivers(WaiverSources((), ())) == ()


def refusal(files: Sequence[Path], *keys: KeySigner) -> tuple[str, str]:
    with pytest.raises(WaiverError) as refused:
        verify_waivers(WaiverSources(tuple(files), pems(*keys)))
    return refused.value.problem, refused.value.cure


def test_a_waiver_that_is_named_twice_is_refused(tmp_path: Path) -> None:
    first = put(tmp_path, "a.json", sign_waiver(LEAVE, ANNA))
    second = put(tmp_path, "b.json", sign_waiver(LEAVE, BOB))
    said = ("b.json says the same as a.json", "Name each waiver once.")
    assert refusal((first, second), ANNA, BOB) == said
    assert refusal((first, first), ANNA)[0] == "a.json says the same as a.json"


def test_a_waiver_of_nobody_who_may_waive_is_refused_with_why(tmp_path: Path) -> None:
    file = put(tmp_path, "a.json", sign_waiver(LEAVE, ANNA))
    named = "the waiver RISK-12 of accurate (approved by anna@example.org)"
    assert refusal((file,)) == (f"a.json is {named}, and no key for waivers is named", WHO)
    assert refusal((file,), BOB, EVE) == (
        "a.json is not signed by any of the 2 keys for waivers",
        WHO,
    )


def test_a_signature_that_does_not_hold_is_told_before_that_it_is_of_another_key(
    tmp_path: Path,
) -> None:
    raw = sign_waiver(LEAVE, ANNA).replace(b'"sig":"ME', b'"sig":"MF')
    file = put(tmp_path, "a.json", raw)
    for keys in ((ANNA, BOB), (BOB, ANNA)):
        problem, cure = refusal((file,), *keys)
        assert problem.startswith("the signature of a.json does not hold: ")
        assert cure != WHO
    unsigned = put(tmp_path, "b.json", encode_canonical(LEAVE.to_json()))
    assert refusal((unsigned,), ANNA)[0] == refusal((unsigned,))[0] == "b.json is not signed"


def test_a_file_that_is_not_there_or_is_too_large_is_refused(tmp_path: Path) -> None:
    assert refusal((tmp_path / "no.json",), ANNA) == (
        "the waiver no.json cannot be read: No such file or directory",
        "Name a file that `auditor waive --out` wrote.",
    )
    raw = sign_waiver(LEAVE, ANNA)
    most = put(tmp_path, "most.json", raw + b" " * (2**20 - len(raw)))
    assert len(verify_waivers(WaiverSources((most,), pems(ANNA)))) == 1
    put(tmp_path, "most.json", raw + b" " * (2**20 - len(raw) + 1))
    assert refusal((most,), ANNA) == ("most.json is too large for a waiver", "Name another file.")


# What an audit file names.


AUDIT_FILE = """apiVersion: auditor/v1
kind: Audit
model: {name: model, version: "1", artifact: model.onnx}
task: {kind: classification, classes: ["no", "yes"]}
data: {evaluation: {path: test.csv, labels: label}}
policy: policy.yaml
targets: [cpu]"""


def audit_file(*lines: str, trust: bool = False) -> AuditFile:
    said = "\n".join([AUDIT_FILE, *lines, ""])
    if trust:
        said = said.replace("model.onnx", "model.onnx, trust: trust.yaml")
    return read_audit_file(
        said.encode(), "audit.yaml", partial(find_known_target, known={"cpu": TargetSpec("cpu")})
    )


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with waivers of Anna and Bob, and their keys."""
    put(tmp_path, "a.json", sign_waiver(LEAVE, ANNA))
    put(tmp_path, "b.json", sign_waiver(waiver(rule="robust"), BOB))
    put(tmp_path, "e.json", sign_waiver(waiver(rule="fair"), EVE))
    for name, key in (("anna", ANNA), ("bob", BOB), ("eve", EVE)):
        save(key, tmp_path / f"{name}.key")
    return tmp_path


def staged(
    file: AuditFile, place: Path, files: Sequence[str] = (), keys: Sequence[str] = ()
) -> list[str]:
    beside = {"waivers": files, "waiver_keys": keys}
    named = {
        name: (*getattr(file, name), *(place / it for it in given))
        for name, given in beside.items()
    }
    found = stage_waivers(replace(file, **named), lambda name: place / name)
    return [it.ref.file for it in found]


def test_waivers_of_the_audit_file_come_before_those_of_the_command_line(place: Path) -> None:
    plain = audit_file()
    own = audit_file("waivers: [b.json]", "waiver_keys: [bob.pub]")
    assert staged(plain, place) == []
    assert staged(own, place) == ["b.json"]
    assert staged(plain, place, ["a.json"], ["anna.pub"]) == ["a.json"]
    assert staged(own, place, ["a.json"], ["anna.pub"]) == ["b.json", "a.json"]
    # Keys alone waive nothing, and are not looked at.
    assert staged(plain, place, keys=["none.pub"]) == []


@pytest.mark.parametrize(
    ("lines", "where"),
    [
        (
            ("waivers: [a.json, no.json]", "waiver_keys: [anna.pub]"),
            "audit.yaml:8: waivers.1: no.json",
        ),
        (("waivers: [a.json]", "waiver_keys: [no.pub]"), "audit.yaml:9: waiver_keys.0: no.pub"),
    ],
)
def test_a_file_that_the_audit_file_names_in_vain_is_told_at_its_line(
    place: Path, lines: tuple[str, ...], where: str
) -> None:
    with pytest.raises(WaiverError) as refused:
        staged(audit_file(*lines), place)
    assert refused.value.problem.startswith(f"{where} does not exist")


TRUST = """\
apiVersion: auditor/v1
kind: TrustPolicy
metadata: {name: acme, version: 1, owner: risk@acme.example, expires: 2999-01-01}
keys: {anna: {pem: anna.pub}, bob: {pem: bob.pub}, eve: {pem: eve.pub}}
rules:
  - models: ["*"]
    require: [{predicate: https://model_signing/signature/v1.0, any_of: [{key: bob}]}]
auditors:
  - {key: anna, roles: [waiver], highest: A0}
  - {key: eve, roles: [record, approval], highest: A0}
"""


def test_a_trust_policy_of_the_audit_file_says_alone_who_may_waive(place: Path) -> None:
    (place / "trust.yaml").write_text(TRUST)
    assert staged(audit_file("waivers: [a.json]", trust=True), place) == ["a.json"]
    assert staged(audit_file(trust=True), place, ["a.json"]) == ["a.json"]
    with pytest.raises(WaiverError, match="is not signed by any of the 1 keys for waivers"):
        staged(audit_file("waivers: [e.json]", trust=True), place)
    with pytest.raises(WaiverError) as refused:
        staged(audit_file("waivers: [a.json]", trust=True), place, keys=["anna.pub"])
    assert refused.value.problem == (
        "audit.yaml: keys of waivers are named beside model.trust, and only one of them can "
        "say who may waive"
    )
    assert refused.value.cure == (
        "Keep one of the two; the trust policy's auditors of the role waiver may."
    )
    with pytest.raises(AuditFileError, match=r"waiver_keys is set beside model\.trust"):
        audit_file("waivers: [a.json]", "waiver_keys: [anna.pub]", trust=True)


def trusting(*roles: str) -> TrustPolicy:
    return policy(
        lambda found: found["keys"].update(anna={"pem": ANNA.public_pem().decode()}),
        lambda found: found.update(
            auditors=[{"key": "anna", "roles": list(roles), "highest": "A0"}]
        ),
    )


def test_only_keys_of_the_role_waiver_may_waive() -> None:
    assert list(list_waiver_keys(trusting("waiver", "approval"))) == [ANNA.public_pem()]
    assert list(list_waiver_keys(trusting("record", "approval"))) == []


def test_a_waiver_counts_as_long_as_the_trust_policy_does() -> None:
    given, now = [signed(LEAVE)], QueryTime(datetime(2026, 6, 1, tzinfo=UTC))
    may = trusting("waiver")
    refuse_untrusted_waivers(given, may, now, TrustPolicyStatus.ACCEPTED)
    refuse_untrusted_waivers([], may, now, TrustPolicyStatus.OLDER)
    over = replace(now, looked=datetime(2027, 1, 2, tzinfo=UTC))
    for policy_, when, standing in (
        (may, over, TrustPolicyStatus.ACCEPTED),
        (may, now, TrustPolicyStatus.OLDER),
        (trusting("approval"), now, TrustPolicyStatus.ACCEPTED),
    ):
        with pytest.raises(WaiverError) as refused:
            refuse_untrusted_waivers(given, policy_, when, standing)
        assert refused.value.problem.startswith("w.json does not count: ")
        assert refused.value.cure == (
            "It needs the signature of an auditor with the role waiver in acme 3."
        )
