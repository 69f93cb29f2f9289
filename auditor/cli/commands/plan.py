"""Say before any compute what an audit costs, what is missing, and what it can decide."""

import json
from dataclasses import replace
from pathlib import Path

import click

from auditor.baselines import LAST
from auditor.cli.comparing import is_kept
from auditor.cli.exits import Exit
from auditor.cli.places import policy_asked
from auditor.cli.planned import show_plan
from auditor.cli.target_options import target_code_option
from auditor.cli.terminals import terminal
from auditor.costing import cost
from auditor.domain.budgets import Budget
from auditor.preparing import Overrides, prepare, read_asked
from auditor.settings import Settings
from auditor.targetfiles import operator_targets
from auditor.wiring import PLAN_OPENERS, beside, read_audit_bytes, readers


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
    named = policy_asked(policy, audit_file)
    overrides = Overrides(policy=named, targets=targets, budget=asked_budget, only=only)
    operator = operator_targets(audit_file, allow_code=allow_target_code)
    parts = readers(audit_file.parent, operator)
    asked = read_asked(read_audit_bytes(audit_file), audit_file.name, overrides, parts)
    if baseline is not None:
        asked = replace(asked, baseline=baseline)
    if asked.baseline == LAST and not is_kept(asked, Settings.from_environment().place):
        asked = replace(asked, baseline=None)
    with prepare(asked, beside(audit_file), overrides, parts) as prepared:
        plans = cost(prepared, PLAN_OPENERS)
    if form == "json":
        click.echo(json.dumps({name: plan.to_json() for name, plan in plans.items()}, indent=2))
    else:
        show_plan(terminal(), prepared, plans)
    return Exit.DONE
