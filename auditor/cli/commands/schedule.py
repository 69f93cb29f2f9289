"""Let a service audit regularly, on a timetable or after events."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click

from auditor.cli.client_options import (
    SERVER,
    ClientOptions,
    build_transport,
    is_cleartext,
    parse_duration,
)
from auditor.cli.decision_options import show_note
from auditor.cli.input_paths import AUDIT_FILE, CheckName, PolicyName, RecordName
from auditor.cli.main import ExitCode
from auditor.cli.remote_audit import prepare_remote_order
from auditor.cli.schedule_output import show_runs, show_schedules
from auditor.cli.workspace import parse_policy_option
from auditor.domain.budgets import Budget
from auditor.domain.targets import TargetSpec
from auditor.errors import UsageError
from auditor.inputs.auditfile.read import read_audit_file
from auditor.reports.terminal import create_console
from auditor.reports.terminal_text import make_printable
from auditor.service.client.api import ScheduleClient, ScheduleRequest, ServiceClient
from auditor.service.client.http import HttpTransport
from auditor.service.domain.schedules import SCHEDULE
from auditor.service.domain.triggers import ScheduleTrigger
from auditor.workflows.wiring import find_named_policy_file, read_audit_bytes

AT = click.option(
    "--server", metavar="URL", envvar=SERVER, required=True, help="URL of the service."
)
FORM = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
NAMED = click.argument("schedule")


@click.group("schedule")
def command() -> None:
    """Let a service audit regularly, on a timetable or after events."""


@command.command("add")
@click.argument("audit_file", type=AUDIT_FILE)
@click.option("--name", help="Name of the schedule; default: name of the audit file.")
@click.option(
    "--cron", help=("Cron expression in UTC: '0 3 * * *', or six fields with seconds first.")
)
@click.option(
    "--on",
    multiple=True,
    type=click.Choice([item.value for item in ScheduleTrigger if item is not ScheduleTrigger.CRON]),
    help="Event that starts an audit. Repeatable.",
)
@click.option("--batch-role", help="Data that a batch replaces: production.")
@click.option(
    "--watch",
    metavar="PLACE",
    help="Audit each new file in a folder on the service's machine, or in "
    "s3://BUCKET/PREFIX, as a batch.",
)
@click.option(
    "--policy",
    type=PolicyName(),
    help=("Policy to use instead of the audit file's: name of a pack, or a policy file."),
)
@click.option("--target", "targets", multiple=True, help="Only this target. Repeatable.")
@click.option("--budget", type=click.Choice([item.value for item in Budget]))
@click.option(
    "--only", type=CheckName(), multiple=True, metavar="CHECK", help="Only this check. Repeatable."
)
@click.option(
    "--wait-for-target",
    metavar="TIME",
    help=("Time to wait for a worker before each audit; default: 1h."),
)
@click.option(
    "--baseline",
    type=RecordName(),
    metavar="DIR|sha256:…",
    help="Record of the service to compare each audit with: its folder or its digest.",
)
@AT
@FORM
def add(  # noqa: PLR0913, PLR0917 -- one argument an option
    audit_file: Path,
    policy: str | None,
    targets: tuple[str, ...],
    budget: str | None,
    only: tuple[str, ...],
    wait_for_target: str | None,
    baseline: str | None,
    server: str,
    form: str,
    **plan: Any,  # noqa: ANN401 -- click's
) -> int:
    """Let a service run the audit of AUDIT_FILE regularly.

    The files that the audit file names are uploaded now, as with `auditor audit --server`; later
    audits use these copies. The schedule acts with the permissions of the API key in
    AUDITOR_API_KEY.
    """
    if plan["cron"] is None and not plan["on"] and plan["watch"] is None:
        raise UsageError("the schedule has no trigger", cure="Give --cron, --on or --watch.")
    changes = ScheduleTrigger.POLICY_CHANGED in plan["on"]
    pack = _pack_of(audit_file, policy) if changes else None
    effort = None if budget is None else Budget(budget)
    overrides = {
        "policy": parse_policy_option(policy, audit_file),
        "targets": targets,
        "budget": effort,
        "only": only,
        "baseline": baseline,
    }
    wait = None if wait_for_target is None else parse_duration(wait_for_target)
    there = ClientOptions(url=server, wait=wait, attach=None, audits=False)
    with _line(server) as line:
        # The form of what is audited, once the service has all that it names
        console = create_console(stderr=True)
        if is_cleartext(there.url):
            show_note(
                console,
                (f"{there.url} uses plain HTTP: others on the network can read the API key"),
            )
        order, _ = prepare_remote_order(console, ServiceClient(line), there, audit_file, overrides)
        audit = order.to_json()
        if pack is not None:
            audit["policy"] = pack
        planned = ScheduleRequest(audit=audit, **{**plan, "name": plan["name"] or audit_file.name})
        show_schedules([ScheduleClient(line).add(planned)], form)
    return ExitCode.DONE


def _pack_of(audit_file: Path, policy: str | None) -> str:
    """Return the pack that ``--policy``, or else the audit file, names.

    Raises ``UsageError`` where that is the path of a file.
    """
    named = parse_policy_option(policy, audit_file)
    if named is None:
        raw = read_audit_bytes(audit_file)
        anything = lambda target: TargetSpec(str(target))  # noqa: E731 -- a seam's one word
        named = read_audit_file(raw, audit_file.name, anything).policy
    if find_named_policy_file(named, audit_file.parent) is not None:
        raise UsageError(
            f"--on policy_changed needs a policy pack of the service, and {named} is a file",
            cure="Name a pack: --policy NAME, or policy: NAME in the audit file.",
        )
    return named


@command.command("list")
@AT
@FORM
def list_schedules(server: str, form: str) -> int:
    """List the schedules of the project, newest first, including ended ones."""
    with _line(server) as line:
        show_schedules(ScheduleClient(line).all(), form)
    return ExitCode.DONE


@command.command("show")
@NAMED
@AT
@FORM
def show(schedule: str, server: str, form: str) -> int:
    """Show a schedule and its state."""
    with _line(server) as line:
        show_schedules([ScheduleClient(line).one(_named(schedule))], form)
    return ExitCode.DONE


@command.command("pause")
@NAMED
@AT
def pause(schedule: str, server: str) -> int:
    """Pause a schedule. Audits that are due meanwhile are skipped."""
    return _change(server, schedule, "pause")


@command.command("resume")
@NAMED
@AT
def resume(schedule: str, server: str) -> int:
    """Resume a paused schedule."""
    return _change(server, schedule, "resume")


@command.command("end")
@NAMED
@AT
def end(schedule: str, server: str) -> int:
    """End a schedule permanently. Audits that it started continue."""
    return _change(server, schedule, "end")


@command.command("runs")
@NAMED
@click.option(
    "--most", type=click.IntRange(1), default=50, show_default=True, help="Maximum number of runs."
)
@AT
@FORM
def list_runs(schedule: str, most: int, server: str, form: str) -> int:
    """List the newest runs of a schedule, with the cause and the result of each."""
    with _line(server) as line:
        show_runs(ScheduleClient(line).runs(_named(schedule)), form, most)
    return ExitCode.DONE


def _change(server: str, schedule: str, verb: str) -> int:
    with _line(server) as line:
        found = ScheduleClient(line).change(_named(schedule), verb)
    click.echo(make_printable(f"{schedule} is {found['state']}"))
    return ExitCode.DONE


def _named(schedule: str) -> str:
    if not SCHEDULE.fullmatch(schedule):
        raise UsageError(
            f"{schedule!r} is not a schedule ID",
            cure="Write sch- and 24 hexadecimal digits; `auditor schedule list` shows the IDs.",
        )
    return schedule


@contextmanager
def _line(server: str) -> Iterator[HttpTransport]:
    line = build_transport(server)
    try:
        yield line
    finally:
        line.close()
