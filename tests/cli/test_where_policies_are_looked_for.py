"""`--policy` is a path from the working folder, as of every command; else from the audit file's."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from auditor.cli.workspace import parse_policy_option

Command = Callable[..., Any]


@pytest.fixture
def outside(example: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder above that of the small audit, as the working directory."""
    monkeypatch.chdir(example.parent)
    return example.parent


AUDIT_FILE = Path("example/audit.yaml")


def test_a_path_leads_from_the_working_folder(outside: Path) -> None:
    (outside / "mine.yaml").write_text("mine")
    assert parse_policy_option("mine.yaml", AUDIT_FILE) == str(outside / "mine.yaml")
    assert parse_policy_option("example/policy.yaml", AUDIT_FILE) == str(
        outside / "example/policy.yaml"
    )


def test_of_two_the_one_in_the_working_folder_is_taken(outside: Path) -> None:
    (outside / "policy.yaml").write_text("mine")
    assert parse_policy_option("policy.yaml", AUDIT_FILE) == str(outside / "policy.yaml")


def test_where_only_the_old_place_has_it_that_is_taken(outside: Path) -> None:
    assert parse_policy_option("policy.yaml", AUDIT_FILE) == "policy.yaml"


def test_a_pack_stays_a_pack_and_nothing_stays_nothing(outside: Path) -> None:
    (outside / "baseline").write_text("no pack")
    assert parse_policy_option("baseline", AUDIT_FILE) == "baseline"
    assert parse_policy_option(None, AUDIT_FILE) is None


@pytest.mark.parametrize("verb", ["audit", "plan"])
def test_the_commands_read_it_there_and_name_it(auditor: Command, outside: Path, verb: str) -> None:
    (outside / "policy.yaml").write_text("kind: Nothing\n")
    ended = auditor(verb, AUDIT_FILE, "--policy", "policy.yaml")
    assert (ended.code, str(outside / "policy.yaml") in ended.said) == (2, True), ended.said
    absent = auditor(verb, AUDIT_FILE, "--policy", "absent.yaml")
    assert (absent.code, f"{outside / 'absent.yaml'} is not a file" in absent.said) == (2, True)
