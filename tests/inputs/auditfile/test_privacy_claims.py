"""A claim of differential privacy is read without guessing what was meant."""

import json
from typing import Any

import pytest

from auditor.domain.auditfiles import AuditFile, PrivacySection
from auditor.domain.privacy_claims import AdjacencyRelation, PrivacyAccountant, SamplingScheme
from auditor.domain.targets import TargetSpec
from auditor.errors import AuditFileError, PrivacyClaimError
from auditor.inputs.auditfile.privacy_claim import read_privacy_claim
from auditor.inputs.auditfile.read import read_audit_file

WHOLE: dict[str, Any] = {
    "epsilon": 6.03,
    "delta": 1e-05,
    "noise_multiplier": 1,
    "sampling_rate": 0.0356,
    "steps": 560,
    "clip": 1.0,
    "sampling": "poisson",
    "adjacency": "add_remove",
    "accountant": "prv",
}


def read(**fields: object) -> Any:  # noqa: ANN401 -- a claim
    told = {name: value for name, value in {**WHOLE, **fields}.items() if value is not None}
    return read_privacy_claim(json.dumps(told).encode(), "dp_claim.json")


def test_a_claim_is_read_from_json() -> None:
    claim = read(dataset_size=1400, digests={"model": "sha256:" + "a" * 64})
    assert (claim.epsilon, claim.delta, claim.noise_multiplier) == (6.03, 1e-5, 1.0)
    assert claim.sampling is claim.accounted is SamplingScheme.POISSON
    assert claim.adjacency is AdjacencyRelation.ADD_REMOVE
    assert claim.accounted_adjacency is None
    assert claim.accountant is PrivacyAccountant.PRV
    assert claim.dataset_size == 1400
    assert claim.digests == {"model": "sha256:" + "a" * 64}


def test_a_claim_is_read_from_yaml_and_1e_5_is_the_number_that_is_meant() -> None:
    told = "\n".join(f"{name}: {value}" for name, value in WHOLE.items() if name != "delta")
    claim = read_privacy_claim(f"{told}\ndelta: 1e-5\n".encode(), "dp_claim.yaml")
    assert claim == read()


def test_nothing_said_of_it_poisson_sampling_was_accounted_for() -> None:
    assert read(sampling="shuffle").accounted is SamplingScheme.POISSON
    assert read(sampling="full_batch", sampling_rate=1).accounted is SamplingScheme.FULL_BATCH
    assert read(sampling="shuffle", accounted="shuffle").accounted is SamplingScheme.SHUFFLE


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"epsilon": None}, "epsilon: this setting is missing"),
        ({"epsilon": -1}, "epsilon: -1 is not above 0"),
        ({"epsilon": "6"}, "epsilon: '6' is not a number"),
        ({"epsilon": True}, "epsilon: True is not a number"),
        ({"delta": 1.5}, "delta is 1.5, which promises nothing"),
        ({"sampling_rate": 2}, "sampling_rate is 2, and is a chance"),
        ({"sampling": "full_batch"}, "sampling_rate is not 1"),
        ({"steps": 0}, "steps is 0"),
        ({"steps": 1.5}, "steps"),
        ({"sampling": "random"}, "sampling"),
        ({"noise": 1}, "noise: there is no such setting"),
        ({"digests": {"weights": "sha256:" + "a" * 64}}, "digests.weights is not a known digest"),
        ({"digests": {"model": "abc"}}, "digests.model is not a SHA-256"),
    ],
)
def test_a_mistake_is_named_with_its_place(fields: dict[str, object], said: str) -> None:
    with pytest.raises(PrivacyClaimError) as raised:
        read(**fields)
    assert raised.value.problem.startswith("dp_claim.json:1: ")
    assert said in raised.value.problem
    assert raised.value.cure


@pytest.mark.parametrize("indent", [2, "\t"])
@pytest.mark.parametrize(
    ("name", "value", "line"),
    [("steps", 1.5, 6), ("delta", 2, 3), ("noise", 1, 11), ("epsilon", None, 1)],
)
def test_a_mistake_in_json_is_named_with_its_line(
    indent: int | str, name: str, value: object, line: int
) -> None:
    told = {**WHOLE, name: value}
    if value is None:
        del told[name]
    with pytest.raises(PrivacyClaimError) as raised:
        read_privacy_claim(json.dumps(told, indent=indent).encode(), "dp_claim.json")
    assert raised.value.problem.startswith(f"dp_claim.json:{line}: ")


@pytest.mark.parametrize("raw", [b"", b"[]", b"{}", b"\xff", b'{"epsilon": 1, "epsilon": 2}'])
def test_what_is_no_claim_is_refused(raw: bytes) -> None:
    with pytest.raises(PrivacyClaimError):
        read_privacy_claim(raw, "dp_claim.json")


def audit_file(claims: str) -> AuditFile:
    text = f"""\
apiVersion: auditor/v1
kind: Audit
model: {{name: m, artifact: model.onnx}}
claims: {claims}
"""
    return read_audit_file(text.encode(), "audit.yaml", lambda entry: TargetSpec(str(entry)))


def test_an_audit_file_names_the_claim_and_who_signed_it_apart_from_numbers() -> None:
    said = "{accuracy: 0.9, privacy: {path: dp_claim.json, signature: c.sig, key: owner.pub}}"
    file = audit_file(said)
    assert file.claims == {"accuracy": 0.9}
    assert file.privacy == PrivacySection(path="dp_claim.json", signature="c.sig", key="owner.pub")
    assert audit_file("{accuracy: 0.9}").privacy is None


@pytest.mark.parametrize(
    "claims",
    [
        "{privacy: dp_claim.json}",
        "{privacy: {signature: a}}",
        "{privacy: {path: 3}}",
        "{privacy: {path: 's3://b/c.json'}}",
        "{privacy: {path: a, epsilon: 3}}",
        "{privacy: null}",
    ],
)
def test_a_claim_that_names_no_file_is_refused_with_its_line(claims: str) -> None:
    with pytest.raises(AuditFileError) as raised:
        audit_file(claims)
    assert "audit.yaml:4: claims.privacy" in raised.value.problem
    assert "dp_claim.json" in raised.value.cure
