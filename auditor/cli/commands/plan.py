"""Say before any compute what an audit costs, what is missing, and what it can decide."""

import json
from dataclasses import replace
from pathlib import Path

import click

from auditor.cli.baseline_options import is_baseline_stored
from auditor.cli.main import ExitCode
from auditor.cli.policy_output import show_plan
from auditor.cli.target_options import target_code_option
from auditor.cli.terminal import create_console
from auditor.cli.workspace import parse_policy_option
from auditor.domain.budgets import Budget
from auditor.targets.config import load_operator_targets
from auditor.workflows.baseline import LAST
from auditor.workflows.plan import build_target_plans
from auditor.workflows.prepare import AuditOverrides, prepare_audit, read_overridden_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import (
    PLAN_OPENERS,
    build_path_resolver,
    build_resolvers,
    read_audit_bytes,
)


@click.command("plan")
@click.argument("audit_file", type=click.Path(path_type=Path))
@click.option(
    "--policy",
    help="Instead of the audit file's: a pack's name, or a policy file, from the working folder or "
    "else from the audit file's.",
)
@click.option("--target", "targets", multiple=True, help="Only this target; repeats.")
@click.option("--budget", type=click.Choice([item.value for item in Budget]))
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; repeats.")
@click.option("--baseline", metavar="DIR|last", help="The baseline, as in an audit.")
@target_code_option
@click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    audit_file: Path,
    policy: str | None,
    targets: tuple[str, ...],
    budget: str | None,
    only: tuple[str, ...],
    baseline: str | None,
    allow_target_code: bool,  # noqa: FBT001 -- click's
    form: str,
) -> int:
    """Say what AUDIT_FILE's audit will cost and which of its rules can come to an answer.

    Opens the model and times a few rows; measures nothing, fetches nothing, and runs no program
    that a file names.
    """
    asked_budget = None if budget is None else Budget(budget)
    named = parse_policy_option(policy, audit_file)
    overrides = AuditOverrides(policy=named, targets=targets, budget=asked_budget, only=only)
    operator = load_operator_targets(audit_file, allow_code=allow_target_code)
    parts = build_resolvers(audit_file.parent, operator)
    asked = read_overridden_audit_file(
        read_audit_bytes(audit_file), audit_file.name, overrides, parts
    )
    if baseline is not None:
        asked = replace(asked, baseline=baseline)
    if asked.baseline == LAST and not is_baseline_stored(
        asked, AuditorSettings.from_environment().place
    ):
        asked = replace(asked, baseline=None)
    with prepare_audit(asked, build_path_resolver(audit_file), overrides, parts) as prepared:
        plans = build_target_plans(prepared, PLAN_OPENERS)
    if form == "json":
        click.echo(json.dumps({name: plan.to_json() for name, plan in plans.items()}, indent=2))
    else:
        show_plan(create_console(), prepared, plans)
    return ExitCode.DONE
