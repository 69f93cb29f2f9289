"""List, show, lint, test, explain and compare policies."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from auditor._resources import find_shipped_folder
from auditor.cli.console import show_rows
from auditor.cli.main import ExitCode
from auditor.cli.policy_output import show_difference, show_explanation, show_policy_tests
from auditor.cli.terminal import create_console
from auditor.errors import PolicyError
from auditor.policy.lint_remarks import LintLevel
from auditor.policy.load import list_policies
from auditor.policy.testing import run_policy_tests
from auditor.workflows.wiring import (
    diff_named_policies,
    explain_named_policy,
    lint_named_policy,
    read_named_policy,
    read_named_policy_tests,
)

FORMAT = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")


@click.group("policies")
def command() -> None:
    """List, show, lint, test, explain and compare policies."""


@command.command("list")
@FORMAT
def list_packs(form: str) -> int:
    """List the packs that come with auditor."""
    packs = list_policies(find_shipped_folder("policies"))
    if form == "json":
        click.echo(json.dumps([pack.to_json() for pack in packs], indent=2))
    else:
        rows = [(pack.name, pack.version, str(pack.rules), pack.description) for pack in packs]
        show_rows(create_console(), ("policy", "version", "rules", "what it is for"), rows)
    return ExitCode.DONE


@command.command("show")
@click.argument("policy")
def show(policy: str) -> int:
    """Print POLICY, a pack's name or a file, as it is written."""
    raw, _ = read_named_policy(policy, Path.cwd())
    click.echo(raw.decode("utf-8", errors="replace"), nl=False)
    return ExitCode.DONE


@command.command("lint")
@click.argument("policies", nargs=-1, required=True)
def lint(policies: tuple[str, ...]) -> int:
    """Say what is wrong or doubtful in POLICIES, packs' names or files.

    Doubtful is also law that a policy rests on and that nobody has looked at for a year, or by the
    day that it names. Exit code: 0 without mistakes (doubts are only shown), 2 with mistakes.
    """
    worst = ExitCode.DONE
    for name in policies:
        remarks = lint_named_policy(name, Path.cwd(), datetime.now(UTC).date())
        for remark in remarks:
            click.echo(f"{remark.level.value}: {str(remark).rstrip('.')}. {remark.cure}")
        if any(remark.level is LintLevel.ERROR for remark in remarks):
            worst = ExitCode.INVALID
        elif not remarks:
            click.echo(f"{name}: nothing to remark")
    return worst


@command.command("explain")
@click.argument("policy")
@click.option("--rule", help="Explain this rule alone.")
def explain(policy: str, rule: str | None) -> int:
    """Say in plain words what POLICY asks, why, and what would keep or break each rule."""
    show_explanation(create_console(), explain_named_policy(policy, Path.cwd(), rule))
    return ExitCode.DONE


@command.command("diff")
@click.argument("old")
@click.argument("new")
@FORMAT
def diff(old: str, new: str, form: str) -> int:
    """Say which rules NEW adds, removes, tightens and loosens against OLD.

    Both are packs' names or files. Exit code: 0 when they are the same, 1 when they differ.
    """
    found = diff_named_policies(old, new, Path.cwd())
    if form == "json":
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        show_difference(create_console(), found)
    return ExitCode.DONE if found.same else ExitCode.FAILED


@command.command("test")
@click.argument("files", nargs=-1, type=click.Path(path_type=Path))
@FORMAT
def test(files: tuple[Path, ...], form: str) -> int:
    """Judge the cases of FILES, and say where a policy does not do what they expect.

    Without FILES those that come with auditor. Exit code: 0 when all is as expected, 1 when a
    case differs, 2 for an invalid file.
    """
    results = [
        run_policy_tests(read_named_policy_tests(path)) for path in files or _shipped_tests()
    ]
    if form == "json":
        click.echo(json.dumps([item.to_json() for item in results], indent=2, ensure_ascii=False))
    else:
        for result in results:
            show_policy_tests(create_console(), result)
    return ExitCode.DONE if all(item.as_expected for item in results) else ExitCode.FAILED


def _shipped_tests() -> list[Path]:
    found = sorted((find_shipped_folder("policies") / "tests").rglob("*.yaml"))
    if not found:
        raise PolicyError(
            "no policy tests come with this version of auditor", cure="Name files of your own."
        )
    return found
