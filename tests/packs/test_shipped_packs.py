"""The packs and catalogues that are shipped."""

from collections.abc import Mapping

import pytest

from auditor.checks.discovery import discover
from auditor.domain.budgets import Budget
from auditor.domain.checks import Check
from auditor.domain.policies import Effect
from auditor.packs.catalogues import Catalogue, load_catalogues
from auditor.packs.folders import find_policy, list_policies
from auditor.packs.loading import lint_policy, load_policy
from auditor.packs.parameters import parameters_for
from auditor.shipped import shipped

FOLDER = shipped("policies")
PACKS = [pack.name for pack in list_policies(FOLDER)]


@pytest.fixture(scope="module")
def checks() -> Mapping[str, type[Check]]:
    return discover()


@pytest.fixture(scope="module")
def catalogues() -> Mapping[str, Catalogue]:
    return load_catalogues(FOLDER)


def test_the_baseline_is_shipped() -> None:
    assert "baseline" in PACKS


@pytest.mark.parametrize("name", PACKS)
def test_lint_has_nothing_to_say_of_a_shipped_pack(
    name: str, checks: Mapping[str, type[Check]], catalogues: Mapping[str, Catalogue]
) -> None:
    raw, source = find_policy(name, FOLDER, FOLDER)
    assert [str(item) for item in lint_policy(raw, source, checks, catalogues)] == []


@pytest.mark.parametrize("name", PACKS)
def test_a_shipped_pack_says_why_it_asks_what_it_asks_and_what_to_do(
    name: str, checks: Mapping[str, type[Check]], catalogues: Mapping[str, Catalogue]
) -> None:
    raw, source = find_policy(name, FOLDER, FOLDER)
    policy = load_policy(raw, source, checks, catalogues)
    assert policy.name == name
    assert any(rule.effect is Effect.DENY for rule in policy.rules)
    for rule in policy.rules:
        assert rule.rationale, rule.id
        assert rule.remediation, rule.id
        assert rule.controls, rule.id
    for budget in Budget:
        for check in checks.values():
            parameters_for(check, policy, budget)


def test_every_control_that_a_check_cites_is_catalogued(
    checks: Mapping[str, type[Check]], catalogues: Mapping[str, Catalogue]
) -> None:
    strangers = [
        (check.id, control)
        for check in checks.values()
        for control in check.controls
        if control.ref not in catalogues[control.framework].controls
    ]
    assert strangers == []


def test_a_catalogue_says_where_and_when_it_was_read(catalogues: Mapping[str, Catalogue]) -> None:
    assert set(catalogues) == {
        "eu-ai-act",
        "iso-42001",
        "mitre-atlas",
        "nist-ai-100-2",
        "nist-ai-rmf",
        "owasp-ml",
    }
    for catalogue in catalogues.values():
        assert catalogue.source.startswith("https://")
        assert catalogue.version
        assert catalogue.verified
