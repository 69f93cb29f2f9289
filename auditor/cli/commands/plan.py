"""Show before an audit what it costs, what is missing, and what it can decide."""

import json
from pathlib import Path

import click

from auditor.cli.budget_options import budget_options
from auditor.cli.code_permission_options import target_code_option
from auditor.cli.input_paths import AUDIT_FILE
from auditor.cli.main import ExitCode
from auditor.cli.plan_output import show_plan
from auditor.cli.workspace import parse_policy_option
from auditor.domain.budgets import Budget
from auditor.reports.terminal import create_console
from auditor.workflows.local_audit import open_audit_file
from auditor.workflows.plan import plan_audit


@click.command("plan")
@click.argument("audit_file", type=AUDIT_FILE)
@click.option(
    "--policy",
    help="Policy to use instead of the audit file's: name of a pack, or path of a "
    "policy file (from the working folder, then from the folder of the audit "
    "file).",
)
@click.option("--target", "targets", multiple=True, help="Only this target. Repeatable.")
@budget_options
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check. Repeatable.")
@click.option("--baseline", metavar="DIR|last", help="Baseline, as for `auditor audit`.")
@target_code_option
@click.option("--all", "everything", is_flag=True, help="List every check, rule and input.")
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    audit_file: Path,
    policy: str | None,
    targets: tuple[str, ...],
    budget: str | None,
    max_minutes: float | None,
    only: tuple[str, ...],
    baseline: str | None,
    allow_target_code: bool,  # noqa: FBT001 -- click's
    form: str,
    *,
    everything: bool,
) -> int:
    """Show the cost of the audit, what is missing, and which rules it can decide.

    Opens the model and times a few rows. It measures nothing, downloads nothing, and runs no
    program that a file names.
    """
    asked_budget = None if budget is None else Budget(budget)
    named = parse_policy_option(policy, audit_file)
    audit = open_audit_file(
        audit_file,
        allow_target_code=allow_target_code,
        policy=named,
        targets=targets,
        budget=asked_budget,
        max_minutes=max_minutes,
        only=only,
        baseline=baseline,
    )
    prepared, plans = plan_audit(audit)
    if form == "json":
        click.echo(json.dumps({name: plan.to_json() for name, plan in plans.items()}, indent=2))
    else:
        show_plan(create_console(), prepared, plans, everything=everything)
    return ExitCode.DONE
