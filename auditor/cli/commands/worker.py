"""Carry out a service's checks on targets of this machine."""

import os
import sys
from pathlib import Path
from typing import NoReturn

import click

from auditor.cli.agent_options import AgentChoice, agent_options
from auditor.cli.exits import Exit
from auditor.cli.isolation_options import isolation_option, require
from auditor.cli.service_parts import log_line, needing_server
from auditor.serving.choosing import Bind, Choices, read_served_targets
from auditor.settings import Settings
from auditor.spans.marking import open_spans
from auditor.workplaces import workbench

DRAIN = Bind().drain


@click.command("worker")
@click.option("--target", "names", multiple=True, required=True, help="Work for it; repeats.")
@click.option(
    "--targets",
    type=click.Path(path_type=Path),
    help="The targets.yaml that the service was started with.",
)
@click.option(
    "--slots", type=click.IntRange(1), default=1, show_default=True, help="Checks at once a target."
)
@click.option("--name", default="", help="Tells two workers for the same targets here apart.")
@click.option("--allow-recipes", is_flag=True, help="Run the code of recipes that callers send.")
@click.option(
    "--drain",
    type=click.IntRange(0),
    default=DRAIN,
    show_default=True,
    help="Seconds that checks in hand have at the end.",
)
@isolation_option
@agent_options
def command(  # noqa: PLR0913 -- one argument an option
    *,
    names: tuple[str, ...],
    targets: Path | None,
    slots: int,
    name: str,
    drain: int,
    allow_recipes: bool,
    isolation: str | None,
    **agent: object,
) -> NoReturn:
    """Carry out a service's checks on targets of this machine.

    It meets the service in its database: the same AUDITOR_DATABASE_URL (PostgreSQL) and
    AUDITOR_BLOBS_URL, or on one machine the same AUDITOR_HOME. It needs none of the service's keys.
    SIGTERM stops it once checks in hand have ended; what it
    leaves, also where it is killed, others for the target take up.

    With --server it is an agent: it calls the service over HTTPS with the key in AUDITOR_API_KEY,
    signs what it sees with --key, and needs neither database nor blobs. An admin enrols it.
    """
    require(isolation)
    known, wanted = read_served_targets(targets), tuple(dict.fromkeys(names))
    choice = AgentChoice.of(agent, slots=slots, name=name)
    if choice is not None:
        choice.run(wanted, known, drain, allow_recipes=allow_recipes)
        # A check that outlasts --drain is in a thread that nobody waits for.
        sys.stderr.flush()
        os._exit(Exit.DONE)
    choices = Choices(targets=known, recipes=allow_recipes, spans=open_spans(os.environ))
    with needing_server():
        from auditor.serving.working import Working, work  # noqa: PLC0415 -- heavy and optional
    working = Working(targets=wanted, slots=slots, name=name, drain=drain)
    with workbench(Settings.from_environment()) as place:
        work(place, choices, working, log_line)
    # As with `serve`: the engine's threads may wait for a step that never begins any more.
    sys.stderr.flush()
    os._exit(Exit.DONE)
