"""A policy that has the name of a pack and is not that pack is named as such."""

from dataclasses import replace
from pathlib import Path

import pytest

from auditor._resources import find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.domain.requests import PolicyRef
from auditor.policy.find import list_pack_names
from auditor.policy.pack_names import explain_pack_name, read_pack_identity
from auditor.workflows.wiring import load_named_policy

PACKS = list_pack_names(find_shipped_folder("policies"))


@pytest.mark.parametrize("pack", PACKS)
def test_a_pack_is_known_by_the_digest_under_which_it_judges(pack: str) -> None:
    policy = load_named_policy(pack, Path(), discover_checks())
    found = read_pack_identity(pack)
    assert found == PolicyRef(policy.name, policy.version, policy.digest)
    assert explain_pack_name(found) == ""


@pytest.mark.parametrize("pack", PACKS)
def test_a_copy_of_a_packs_name_and_version_is_not_the_pack(pack: str) -> None:
    forged = replace(read_pack_identity(pack), digest=f"sha256:{'0' * 64}")
    said = explain_pack_name(forged)
    assert said.startswith(f"The policy calls itself “{forged.name} {forged.version}” but is not")


@pytest.mark.parametrize(
    ("name", "version"), [("baseline", "1.0.0"), ("Baseline", "2.0.0"), ("base\u200bline", "2.0.0")]
)
def test_a_pack_of_another_version_is_not_denied(name: str, version: str) -> None:
    said = explain_pack_name(PolicyRef(name, version, f"sha256:{'0' * 64}"))
    assert "cannot tell whether this policy is another version" in said
    assert "is not the pack" not in said


def test_a_policy_of_another_name_is_not_compared() -> None:
    assert explain_pack_name(PolicyRef("house-rules", "1.0.0", f"sha256:{'0' * 64}")) == ""
