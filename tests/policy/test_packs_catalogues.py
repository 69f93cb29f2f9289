"""The pinned catalogues are whole, and whatever checks and packs cite stands in them."""

from collections.abc import Mapping

import pytest
from pack_cases import CHECKS, RULE, written

from auditor._resources import find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.domain.checks import Check
from auditor.domain.policies import UNREAD
from auditor.errors import PolicyError
from auditor.policy.control_catalogues import FrameworkCatalogue, load_catalogues, read_catalogue
from auditor.policy.lint_remarks import LintLevel
from auditor.policy.load import find_policy_bytes, lint_policy, list_policies, load_policy
from auditor.reports.html.control_names import (
    FRAMEWORKS,
    find_control_title,
    format_control_name,
)

FOLDER = find_shipped_folder("policies")
PACKS = [pack.name for pack in list_policies(FOLDER)]
ANNEX_IV = (
    *(f"1({letter})" for letter in "abcdefgh"),
    *(f"2({letter})" for letter in "abcdefgh"),
    *"3456789",
)


@pytest.fixture(scope="module")
def checks() -> Mapping[str, type[Check]]:
    return discover_checks()


@pytest.fixture(scope="module")
def catalogues() -> Mapping[str, FrameworkCatalogue]:
    return load_catalogues(FOLDER)


@pytest.mark.parametrize(
    ("framework", "prefix", "count"),
    [
        ("nist-ai-rmf", "", 72),
        ("nist-ai-rmf", "GOVERN", 19),
        ("nist-ai-rmf", "MAP", 18),
        ("nist-ai-rmf", "MEASURE", 22),
        ("nist-ai-rmf", "MANAGE", 13),
        ("iso-42001", "A.", 38),
        ("owasp-ml", "ML", 10),
        ("mitre-atlas", "AML.M", 35),
        ("mitre-atlas", "AML.T", 173),
        ("us-sr-26-2", "", 14),
    ],
)
def test_a_catalogue_lists_as_many_controls_as_its_framework_has(
    framework: str, prefix: str, count: int, catalogues: Mapping[str, FrameworkCatalogue]
) -> None:
    found = [ref for ref in catalogues[framework].controls if ref.startswith(prefix)]
    assert len(found) == count


def test_the_attacks_of_nist_stand_under_their_five_goals(
    catalogues: Mapping[str, FrameworkCatalogue],
) -> None:
    refs = set(catalogues["nist-ai-100-2"].controls)
    goals = {f"NISTAML.0{number}" for number in range(1, 6)}
    assert goals <= refs
    assert len(refs - goals) == 23
    assert {ref[:10] for ref in refs - goals} <= goals


def test_every_point_of_annex_iv_has_a_title(catalogues: Mapping[str, FrameworkCatalogue]) -> None:
    controls = catalogues["eu-ai-act"].controls
    assert [point for point in ANNEX_IV if f"Annex IV {point}" not in controls] == []
    assert sum(ref.startswith("Annex IV") for ref in controls) == len(ANNEX_IV)


def test_what_the_law_deleted_is_not_to_be_cited(
    catalogues: Mapping[str, FrameworkCatalogue],
) -> None:
    controls = catalogues["eu-ai-act"].controls
    assert "10(5)" not in controls
    assert "4a" in controls
    raw = written({**RULE, "controls": [{"framework": "eu-ai-act", "ref": "10(5)"}]})
    (doubt,) = lint_policy(raw, "mine.yaml", CHECKS, catalogues)
    assert doubt.level is LintLevel.WARNING
    assert "Article 4a" in doubt.problem
    assert load_policy(raw, "mine.yaml", CHECKS, catalogues).rules  # records were made under such
    assert "2026/1744" in catalogues["eu-ai-act"].version


def test_every_control_that_a_check_or_a_pack_cites_is_catalogued(
    checks: Mapping[str, type[Check]], catalogues: Mapping[str, FrameworkCatalogue]
) -> None:
    cited = {(check.id, control) for check in checks.values() for control in check.controls}
    for name in PACKS:
        raw, source = find_policy_bytes(name, FOLDER, FOLDER)
        policy = load_policy(raw, source, checks, catalogues)
        cited |= {(name, control) for rule in policy.rules for control in rule.controls}
    known = {(item.framework, ref) for item in catalogues.values() for ref in item.controls}
    strangers = [(who, item) for who, item in cited if (item.framework, item.ref) not in known]
    assert strangers == []
    for _, control in cited:
        assert find_control_title(control)
        assert control.ref in format_control_name(control)


def test_reports_have_a_name_for_every_framework(
    catalogues: Mapping[str, FrameworkCatalogue],
) -> None:
    assert set(FRAMEWORKS) == set(catalogues)


def test_a_catalogue_that_nobody_read_may_say_so_and_names_only_its_own_controls() -> None:
    text = (
        "apiVersion: auditor/v1\nkind: Catalogue\n"
        "metadata: {framework: f, title: F, version: '1', source: 'https://example.org',"
        " verified: unread, review_by: 2027-01-31, unread: [A.1]}\n"
        "controls: {A.1: First}\n"
    )
    found = read_catalogue(text.encode(), "f.yaml")
    assert (found.verified, found.review_by, found.unread) == (UNREAD, "2027-01-31", {"A.1"})
    with pytest.raises(PolicyError, match=r"unread names A\.2"):
        read_catalogue(text.replace("[A.1]", "[A.2]").encode(), "f.yaml")
