"""Let a service audit again and again: when the time comes, or upon what happens."""

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
from auditor.cli.main import ExitCode
from auditor.cli.remote_audit import prepare_remote_order
from auditor.cli.schedule_output import show_runs, show_schedules
from auditor.cli.terminal import create_console
from auditor.cli.terminal_text import make_printable
from auditor.cli.workspace import parse_policy_option
from auditor.domain.budgets import Budget
from auditor.domain.json import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import UsageError
from auditor.inputs.auditfile.read import read_audit_file
from auditor.service.client.api import ScheduleClient, ScheduleRequest, ServiceClient
from auditor.service.client.http import HttpTransport
from auditor.service.domain.schedules import SCHEDULE, ScheduleTrigger
from auditor.workflows.prepare import AuditOverrides
from auditor.workflows.wiring import find_named_policy_file, read_audit_bytes

AT = click.option(
    "--server", metavar="URL", envvar=SERVER, required=True, help="The service; AUDITOR_SERVER."
)
FORM = click.option("--format", "form", type=click.Choice(["table", "json"]), default="table")
NAMED = click.argument("schedule")


@click.group("schedule")
def command() -> None:
    """Let a service audit again and again: when the time comes, or upon what happens."""


@command.command("add")
@click.argument("audit_file", type=click.Path(path_type=Path))
@click.option("--name", help="What people call it; default: the audit file's name.")
@click.option("--cron", help="When, in UTC: '0 3 * * *', or six fields from the second on.")
@click.option(
    "--on",
    multiple=True,
    type=click.Choice([item.value for item in ScheduleTrigger if item is not ScheduleTrigger.CRON]),
    help="Upon what; repeats.",
)
@click.option("--batch-role", help="The data that a batch takes the place of: production.")
@click.option(
    "--watch",
    metavar="PLACE",
    help="Take each new file of a folder of the service's machine, or of s3://BUCKET/PREFIX, as a "
    "batch.",
)
@click.option("--policy", help="Instead of the audit file's: a pack's name, or a policy file.")
@click.option("--target", "targets", multiple=True, help="Only this target; repeats.")
@click.option("--budget", type=click.Choice([item.value for item in Budget]))
@click.option("--only", multiple=True, metavar="CHECK", help="Only this check; repeats.")
@click.option("--wait-for-target", metavar="TIME", help="Wait so long each time; default: 1h.")
@click.option(
    "--baseline",
    metavar="DIR|sha256:…",
    help="The record of the service that each audit is held against: its folder or its digest.",
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
    """Let a service audit as AUDIT_FILE says, again and again.

    What the audit file names is uploaded, as `auditor audit --server` does; what is audited later
    is what it says now. A key of the service in AUDITOR_API_KEY is what the schedule acts by.
    """
    _refuse_pointless(plan["cron"], plan["on"], plan["watch"])
    changes = ScheduleTrigger.POLICY_CHANGED in plan["on"]
    pack = _pack_of(audit_file, policy) if changes else None
    effort = None if budget is None else Budget(budget)
    overrides = AuditOverrides(
        policy=parse_policy_option(policy, audit_file),
        targets=targets,
        budget=effort,
        only=only,
        baseline=baseline,
    )
    wait = None if wait_for_target is None else parse_duration(wait_for_target)
    there = ClientOptions(url=server, wait=wait, attach=None, audits=False)
    with _line(server) as line:
        audit = _uploaded(line, there, audit_file, overrides)
        if pack is not None:
            audit["policy"] = pack
        planned = ScheduleRequest(audit=audit, **{**plan, "name": plan["name"] or audit_file.name})
        show_schedules([ScheduleClient(line).add(planned)], form)
    return ExitCode.DONE


def _refuse_pointless(cron: str | None, on: tuple[str, ...], watch: str | None) -> None:
    if cron is None and not on and watch is None:
        raise UsageError("nothing says when to audit", cure="Give --cron, --on or --watch.")


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
            f"the policy {named} is a file, and a file never changes at a service",
            cure="Name a policy that comes with the service: --policy NAME, or policy: NAME in "
            "the audit file.",
        )
    return named


def _uploaded(
    line: HttpTransport, there: ClientOptions, audit_file: Path, overrides: AuditOverrides
) -> dict[str, Json]:
    """Return the form of what is audited, once the service has all that it names."""
    console = create_console(stderr=True)
    if is_cleartext(there.url):
        show_note(console, f"{there.url} is plain HTTP: others on the way can read the key")
    return prepare_remote_order(
        console, ServiceClient(line), there, audit_file, overrides
    ).to_json()


@command.command("list")
@AT
@FORM
def list_schedules(server: str, form: str) -> int:
    """List the project's schedules, the newest first, those that have ended too."""
    with _line(server) as line:
        show_schedules(ScheduleClient(line).all(), form)
    return ExitCode.DONE


@command.command("show")
@NAMED
@AT
@FORM
def show(schedule: str, server: str, form: str) -> int:
    """Show a schedule as it stands."""
    with _line(server) as line:
        show_schedules([ScheduleClient(line).one(_named(schedule))], form)
    return ExitCode.DONE


@command.command("pause")
@NAMED
@AT
def pause(schedule: str, server: str) -> int:
    """Let a schedule rest; what comes meanwhile is not made up."""
    return _change(server, schedule, "pause")


@command.command("resume")
@NAMED
@AT
def resume(schedule: str, server: str) -> int:
    """Let a schedule that rests go on."""
    return _change(server, schedule, "resume")


@command.command("end")
@NAMED
@AT
def end(schedule: str, server: str) -> int:
    """End a schedule for good; audits that it made go on."""
    return _change(server, schedule, "end")


@command.command("runs")
@NAMED
@click.option("--most", type=click.IntRange(1), default=50, show_default=True, help="How many.")
@AT
@FORM
def list_runs(schedule: str, most: int, server: str, form: str) -> int:
    """List a schedule's newest runs: why each was due, and what came of it."""
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
            f"{schedule!r} is no schedule of a service",
            cure="Write it as sch- and 24 digits of hex; `auditor schedule list` shows them.",
        )
    return schedule


@contextmanager
def _line(server: str) -> Iterator[HttpTransport]:
    line = build_transport(server)
    try:
        yield line
    finally:
        line.close()
