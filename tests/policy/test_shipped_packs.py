"""The packs and catalogues that are shipped."""

from collections.abc import Mapping
from datetime import date

import pytest

from auditor._resources import find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.domain.budgets import Budget
from auditor.domain.checks import Check
from auditor.domain.policies import UNREAD, RuleEffect
from auditor.policy.check_parameters import resolve_check_parameters
from auditor.policy.control_catalogues import FrameworkCatalogue, load_catalogues
from auditor.policy.load import find_policy_bytes, lint_policy, list_policies, load_policy

FOLDER = find_shipped_folder("policies")
PACKS = [pack.name for pack in list_policies(FOLDER)]


@pytest.fixture(scope="module")
def checks() -> Mapping[str, type[Check]]:
    return discover_checks()


@pytest.fixture(scope="module")
def catalogues() -> Mapping[str, FrameworkCatalogue]:
    return load_catalogues(FOLDER)


def test_eight_packs_are_shipped() -> None:
    assert PACKS == [
        "baseline",
        "edge-deployment",
        "eu-ai-act.high-risk",
        "iso-42001",
        "model-risk",
        "nist-ai-rmf",
        "nyc-ll144",
        "privacy",
    ]


@pytest.mark.parametrize("name", PACKS)
def test_a_shipped_pack_says_what_it_leaves_to_whom_and_claims_no_compliance(
    name: str, checks: Mapping[str, type[Check]], catalogues: Mapping[str, FrameworkCatalogue]
) -> None:
    raw, source = find_policy_bytes(name, FOLDER, FOLDER)
    policy = load_policy(raw, source, checks, catalogues)
    assert policy.cannot_evidence
    assert all(duty.asks and duty.owner for duty in policy.cannot_evidence)
    assert b"compliant" not in raw.lower()
    for rule in policy.rules:
        assert len({control.framework for control in rule.controls}) > 1 or not rule.limits, rule.id


@pytest.mark.parametrize("name", PACKS)
def test_on_the_day_of_reading_lint_doubts_only_law_that_nobody_read(
    name: str, checks: Mapping[str, type[Check]], catalogues: Mapping[str, FrameworkCatalogue]
) -> None:
    raw, source = find_policy_bytes(name, FOLDER, FOLDER)
    policy = load_policy(raw, source, checks, catalogues)
    unread = [item.datum for item in policy.legal if item.verified == UNREAD]
    unread += [
        f"{catalogues[duty.control.framework].title} {duty.control.ref}"
        for duty in policy.cannot_evidence
        if duty.control.ref in catalogues[duty.control.framework].unread
    ]
    found = lint_policy(raw, source, checks, catalogues, date(2026, 11, 27))
    assert [item.problem.split(" was ")[0] for item in found] == unread


@pytest.mark.parametrize("name", PACKS)
def test_lint_has_nothing_to_say_of_a_shipped_pack(
    name: str, checks: Mapping[str, type[Check]], catalogues: Mapping[str, FrameworkCatalogue]
) -> None:
    raw, source = find_policy_bytes(name, FOLDER, FOLDER)
    assert [str(item) for item in lint_policy(raw, source, checks, catalogues)] == []


@pytest.mark.parametrize("name", PACKS)
def test_a_shipped_pack_says_why_it_asks_what_it_asks_and_what_to_do(
    name: str, checks: Mapping[str, type[Check]], catalogues: Mapping[str, FrameworkCatalogue]
) -> None:
    raw, source = find_policy_bytes(name, FOLDER, FOLDER)
    policy = load_policy(raw, source, checks, catalogues)
    assert policy.name == name
    assert any(rule.effect is RuleEffect.DENY for rule in policy.rules)
    for rule in policy.rules:
        assert rule.rationale, rule.id
        assert rule.remediation, rule.id
        assert rule.controls, rule.id
        assert rule.threshold, rule.id
    for budget in Budget:
        for check in checks.values():
            resolve_check_parameters(check, policy, budget)


def test_every_control_that_a_check_cites_is_catalogued(
    checks: Mapping[str, type[Check]], catalogues: Mapping[str, FrameworkCatalogue]
) -> None:
    strangers = [
        (check.id, control)
        for check in checks.values()
        for control in check.controls
        if control.ref not in catalogues[control.framework].controls
    ]
    assert strangers == []


def test_a_catalogue_says_where_and_when_it_was_read(
    catalogues: Mapping[str, FrameworkCatalogue],
) -> None:
    assert set(catalogues) == {
        "eu-ai-act",
        "iso-42001",
        "mitre-atlas",
        "nist-ai-100-2",
        "nist-ai-rmf",
        "nyc-ll144",
        "owasp-ml",
        "us-sr-26-2",
    }
    for catalogue in catalogues.values():
        assert catalogue.source.startswith("https://")
        assert catalogue.version
        assert catalogue.verified
