"""Risks are read with the rules that evidence them; no acceptance is half given."""

import json
from typing import Any

import pytest

from auditor.domain.ai_system import RiskAcceptance, SystemRisk
from auditor.domain.json import encode_canonical
from auditor.domain.policies import Severity
from auditor.errors import DossierError
from auditor.inputs.auditfile.system_files import read_risks
from auditor.reports.schemas import find_schema_errors

ONE: dict[str, Any] = {
    "id": "R-1",
    "hazard": "Somebody is refused.",
    "affected": "applicants",
    "severity": "high",
    "residual": "Small groups.",
}
RULES = ("accuracy", "equal-selection")


def document(*risks: dict[str, Any]) -> dict[str, Any]:
    return {"apiVersion": "auditor/v1", "kind": "Risks", "risks": list(risks)}


def read(*risks: dict[str, Any]) -> tuple[SystemRisk, ...]:
    return read_risks(json.dumps(document(*risks)).encode(), "risks.yaml", RULES).risks


def test_a_risk_needs_neither_rules_nor_acceptance() -> None:
    (risk,) = read(ONE)
    assert risk.severity is Severity.HIGH
    assert (risk.rules, risk.accepted, risk.mitigations) == ((), None, ())


def test_a_risk_is_read_whole() -> None:
    (risk,) = read(
        {
            **ONE,
            "likelihood": "rare",
            "mitigations": "A second look.",
            "rules": ["accuracy"],
            "accepted_by": "J. Doe",
            "accepted_on": "2026-11-02",
        }
    )
    assert risk.rules == ("accuracy",)
    assert risk.mitigations == ("A second look.",)
    assert risk.accepted == RiskAcceptance("J. Doe", "2026-11-02")


def test_a_day_may_be_written_without_quotes() -> None:
    lines = [f"    {name}: {value}" for name, value in ONE.items() if name != "id"]
    raw = "\n".join(
        [
            "apiVersion: auditor/v1",
            "kind: Risks",
            "risks:",
            "  - id: R-1",
            *lines,
            "    accepted_by: J. Doe",
            "    accepted_on: 2026-11-02",
        ]
    )
    (risk,) = read_risks(raw.encode(), "risks.yaml").risks
    assert risk.accepted == RiskAcceptance("J. Doe", "2026-11-02")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"severity": "grave"}, "risks.0.severity: "),
        ({"hazard": None}, "risks.0.hazard: "),
        ({"hazard": "TBD"}, "is a placeholder"),
        ({"rules": ["accuracy", "accuracy"]}, "risks.0.rules names a rule twice"),
        ({"accepted_by": "J. Doe"}, "risks.0 lacks accepted_on"),
        ({"accepted_on": "2026-11-02"}, "risks.0 lacks accepted_by"),
        ({"accepted_by": "J", "accepted_on": "2026-02-30"}, "is '2026-02-30', which is not a day"),
        ({"accepted_by": "J", "accepted_on": "20261102"}, "which is not a day"),
        ({"owner": "x"}, "risks.0.owner: there is no such setting"),
    ],
)
def test_a_mistake_is_named_with_its_place_and_cure(fields: dict[str, object], said: str) -> None:
    with pytest.raises(DossierError) as raised:
        read({**ONE, **fields})
    assert raised.value.problem.startswith("risks.yaml:1: ")
    assert said in raised.value.problem
    assert raised.value.cure


def test_no_risk_and_one_twice_are_mistakes() -> None:
    with pytest.raises(DossierError, match="lists no risk"):
        read()
    with pytest.raises(DossierError, match="is 'R-1' a second time"):
        read(ONE, ONE)


def test_a_rule_that_the_policy_lacks_is_named_with_its_likes() -> None:
    with pytest.raises(DossierError) as raised:
        read({**ONE, "rules": ["equal-selections"]})
    assert "is 'equal-selections', which is not a rule of the policy" in raised.value.problem
    assert "; nearest is: equal-selection" in raised.value.problem
    raw = json.dumps(document({**ONE, "rules": ["gone"]})).encode()
    assert read_risks(raw, "risks.yaml").risks[0].rules == ("gone",)


def test_what_is_kept_as_evidence_reads_back_as_the_same() -> None:
    paper = read_risks(json.dumps(document(ONE)).encode(), "risks.yaml")
    assert read_risks(encode_canonical(paper.document), "evidence") == paper


def test_what_is_read_follows_the_published_schema() -> None:
    assert find_schema_errors("risks", document(ONE)) == []
    assert find_schema_errors("risks", document())
    assert find_schema_errors("risks", document({**ONE, "severity": "grave"}))
