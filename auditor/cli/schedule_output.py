"""Terminal output of schedules and their runs, also at 80 columns."""

import json
from collections.abc import Iterable, Sequence
from itertools import islice

import click

from auditor.cli.console import show_rows
from auditor.domain.json import JsonPart
from auditor.reports.terminal import create_console
from auditor.service.client.api import Document

HEADS = ("schedule, model, state", "name", "runs")
RUN_HEADS = ("run", "cause and result")
LINE = "\n"


def show_schedules(found: Iterable[Document], form: str) -> None:
    """Show schedules as a table, or as JSON."""
    if form == "json":
        _as_json(found)
        return
    show_rows(create_console(), HEADS, [_row(JsonPart(item, "schedule")) for item in found])


def show_runs(found: Iterable[Document], form: str, most: int) -> None:
    """Show the newest runs as a table, or as JSON."""
    newest = islice(found, most)
    if form == "json":
        _as_json(newest)
        return
    show_rows(create_console(), RUN_HEADS, [_run_row(JsonPart(item, "run")) for item in newest])


def _as_json(found: Iterable[Document]) -> None:
    click.echo(json.dumps([dict(item) for item in found], indent=2))


def _row(part: JsonPart) -> Sequence[str]:
    upon = [*([cron] if (cron := part.maybe("cron", str)) else []), *part.texts("on")]
    following, watch = part.maybe("next", str), part.maybe("watch", str)
    runs = [", ".join(upon), f"next {following}" if following else "", watch or ""]
    return (
        LINE.join(part.get(name, str) for name in ("id", "model", "state")),
        part.get("name", str),
        LINE.join(filter(None, runs)),
    )


def _run_row(part: JsonPart) -> Sequence[str]:
    audit = part.maybe("audit", str) or "no audit"
    # Say what came of a run: its verdict, what failed, and what to go back to
    skipped, verdict = part.maybe("skipped", str), part.maybe("verdict", str)
    if skipped is not None:
        came = f"{skipped.replace('_', ' ')}: {part.get('detail', str)}"
    elif verdict is None:
        came = part.get("detail", str) or part.get("state", str)
    else:
        failed = part.texts("failed")
        said = [verdict, *([f"failed: {', '.join(failed)}"] if failed else [])]
        detail = [told] if (told := part.get("detail", str)) else []
        came = "; ".join([*said, *detail, *part.list_of("rollback", _back)])
    return (
        LINE.join([audit, part.get("at", str)]),
        LINE.join([part.get("why", str), came]),
    )


def _back(part: JsonPart) -> str:
    target, candidate = part.get("target", str), part.value.get("candidate")
    if candidate is None:
        return f"no earlier version to return to on {target}"
    version = part.part("candidate").get("version", str)
    return f"return to {version} on {target}"
