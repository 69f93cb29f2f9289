"""A project is made on the service's machine alone, with a key for its first admin."""

import stat
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from auditor._time import utc_now
from auditor.cli.commands.projects import command
from auditor.errors import UsageError
from auditor.service.auth.api_keys import authenticate_key
from auditor.service.domain.access import AccessRole, ApiKey
from auditor.service.store.projects import AuditLogStore
from auditor.service.store.submission_history import ServiceStore
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.workspace import open_workspace


def run(*words: str) -> Result:
    return CliRunner().invoke(command, words, standalone_mode=False)


def caller(path: Path) -> ApiKey:
    with open_workspace(AuditorSettings.from_environment()) as place:
        kept = ServiceStore(place.store)
        return authenticate_key(path.read_text().strip(), kept.key, utc_now())


def test_a_project_is_made_with_a_key_that_nobody_else_can_read(home: Path) -> None:
    made = run("new", "acme-vision")
    path = home / "service" / "projects" / "acme-vision.key"
    assert made.return_value == 0
    assert str(path) in made.output
    assert path.read_text().strip() not in made.output
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = caller(path)
    assert (found.project, found.role) == ("acme-vision", AccessRole.ADMIN)
    with open_workspace(AuditorSettings.from_environment()) as place:
        acts, _ = AuditLogStore(place.store).listed("acme-vision")
    assert [(act.caller, act.kind, act.about) for act in acts] == [
        ("operator", "key_made", found.id),
        ("operator", "project_made", "acme-vision"),
    ]
    assert "acme-vision" in run("list").output
    again = run("new", "acme-vision")
    assert isinstance(again.exception, UsageError)
    other = home / "other.key"
    assert run("key", "acme-vision", "--out", str(other)).return_value == 0
    assert caller(other).id != caller(path).id


@pytest.mark.parametrize("name", ["", "Acme", "../up", "a/b", "-a", "a" * 64, "a\n", "ä"])
def test_a_name_that_is_no_word_makes_nothing(home: Path, name: str) -> None:
    assert isinstance(run("new", "--", name).exception, UsageError)
    assert not (home / "service").exists()


def test_a_project_that_there_is_not_has_no_key(home: Path) -> None:
    assert run("key", "nobody").exception is not None
    assert not (home / "service").exists()
