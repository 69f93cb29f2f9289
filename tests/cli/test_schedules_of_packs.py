"""A schedule runs upon a changed policy where that is a pack, wherever it is named."""

from pathlib import Path

import pytest
from click.testing import CliRunner
from small_audits import write_example

from auditor.cli.commands.schedule import command
from auditor.errors import AuditorError, UsageError

NOWHERE = "http://127.0.0.1:9"


def add(folder: Path, *more: str) -> BaseException | None:
    write_example(folder)
    words = ["add", str(folder / "audit.yaml"), "--on", "policy_changed", "--server", NOWHERE]
    done = CliRunner().invoke(
        command, [*words, *more], env={"AUDITOR_API_KEY": "auk_x"}, standalone_mode=False
    )
    return done.exception


def test_a_policy_in_a_file_is_refused_before_anybody_is_asked(tmp_path: Path) -> None:
    refused = add(tmp_path)
    assert isinstance(refused, UsageError)
    assert "needs a policy pack of the service, and policy.yaml is a file" in refused.problem
    assert "policy: NAME" in refused.cure


def test_a_policy_in_a_file_that_an_option_names_is_refused_too(tmp_path: Path) -> None:
    refused = add(tmp_path, "--policy", str(tmp_path / "policy.yaml"))
    assert isinstance(refused, UsageError)
    assert "is a file" in refused.problem


@pytest.mark.parametrize("option", [(), ("--policy", "baseline")])
def test_a_pack_is_no_reason_to_refuse(tmp_path: Path, option: tuple[str, ...]) -> None:
    write_example(tmp_path)
    audit = tmp_path / "audit.yaml"
    if not option:
        audit.write_text(audit.read_text().replace("policy.yaml", "baseline"))
    words = ["add", str(audit), "--on", "policy_changed", "--server", NOWHERE, *option]
    done = CliRunner().invoke(
        command, words, env={"AUDITOR_API_KEY": "auk_x"}, standalone_mode=False
    )
    assert isinstance(done.exception, AuditorError)
    assert not isinstance(done.exception, UsageError)  # it went on to ask the service
