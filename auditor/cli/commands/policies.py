"""List, show, lint, test, explain and compare policies."""

import json
from datetime import UTC, datetime
from pathlib import Path

import click

from auditor._resources import find_shipped_folder
from auditor.cli.console import show_rows
from auditor.cli.input_paths import POLICY_TESTS, PolicyName
from auditor.cli.main import ExitCode
from auditor.cli.policy_output import show_difference, show_explanation, show_policy_tests
from auditor.errors import PolicyError
from auditor.policy.lint_remarks import LintLevel
from auditor.policy.load import list_policies
from auditor.policy.run_policy_tests import run_policy_tests
from auditor.reports.terminal import create_console
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
@click.argument("policy", type=PolicyName())
def show(policy: str) -> int:
    """Print the text of POLICY, the name of a pack or a file."""
    raw, _ = read_named_policy(policy, Path.cwd())
    click.echo(raw.decode("utf-8", errors="replace"), nl=False)
    return ExitCode.DONE


@command.command("lint")
@click.argument("policies", type=PolicyName(), nargs=-1, required=True)
def lint(policies: tuple[str, ...]) -> int:
    """Check POLICIES (names of packs, or files) for errors and warnings.

    A warning also names law that a policy cites and that was not reviewed for a year, or by the
    date that the policy sets. Exit code: 0 without errors (warnings are only shown), 2 with errors.
    """
    worst = ExitCode.DONE
    for name in policies:
        remarks = lint_named_policy(name, Path.cwd(), datetime.now(UTC).date())
        for remark in remarks:
            click.echo(f"{remark.level.value}: {str(remark).rstrip('.')}. {remark.cure}")
        if any(remark.level is LintLevel.ERROR for remark in remarks):
            worst = ExitCode.INVALID
        elif not remarks:
            click.echo(f"{name}: no warnings")
    return worst


@command.command("explain")
@click.argument("policy", type=PolicyName())
@click.option("--rule", help="Explain only this rule.")
def explain(policy: str, rule: str | None) -> int:
    """Explain each rule of POLICY: its requirement, its reason, and when it passes or fails."""
    show_explanation(create_console(), explain_named_policy(policy, Path.cwd(), rule))
    return ExitCode.DONE


@command.command("diff")
@click.argument("old", type=PolicyName())
@click.argument("new", type=PolicyName())
@FORMAT
def diff(old: str, new: str, form: str) -> int:
    """Show which rules NEW adds, removes, tightens and loosens compared to OLD.

    OLD and NEW are names of packs or files. Exit code: 0 if they are the same, 1 if they differ.
    """
    found = diff_named_policies(old, new, Path.cwd())
    if form == "json":
        click.echo(json.dumps(found.to_json(), indent=2, ensure_ascii=False))
    else:
        show_difference(create_console(), found)
    return ExitCode.DONE if found.same else ExitCode.FAILED


@command.command("test")
@click.argument("files", nargs=-1, type=POLICY_TESTS)
@FORMAT
def test(files: tuple[Path, ...], form: str) -> int:
    """Run the policy tests in FILES, and show each case with an unexpected result.

    Without FILES, run the tests that come with auditor. Exit code: 0 if all cases give the expected
    result, 1 if a case differs, 2 for an invalid file.
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
            "this version of auditor includes no policy tests", cure="Name policy test files."
        )
    return found
