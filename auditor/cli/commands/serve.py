"""Take audits from others over HTTP, and carry them out."""

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from auditor.cli.exits import Exit
from auditor.cli.isolation_options import isolation_option, require
from auditor.cli.places import own_workplace
from auditor.cli.service_options import choices_of, service_options
from auditor.cli.service_parts import log_line, needing_server
from auditor.cli.showing import show_made
from auditor.cli.terminals import terminal
from auditor.serving.choosing import Bind, Choices
from auditor.workplaces import Workplace

USUAL = Bind()


@click.command("serve")
@click.option("--host", default=USUAL.host, show_default=True, help="The address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=USUAL.port, show_default=True)
@click.option(
    "--tls",
    nargs=2,
    type=click.Path(path_type=Path),
    metavar="CERT KEY",
    help="Speak TLS with this chain and its private key (PEM).",
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help="A proxy (address or network) whose X-Forwarded-For names who calls; repeats.",
)
@click.option("--no-work", is_flag=True, help="Leave the checks to `auditor worker`.")
@service_options
@isolation_option
@click.option(
    "--drain",
    type=click.IntRange(0),
    default=USUAL.drain,
    show_default=True,
    help="Seconds that checks in hand have at the end.",
)
def command(  # noqa: PLR0913 -- one argument an option
    *,
    host: str,
    port: int,
    tls: tuple[Path, Path] | None,
    proxies: tuple[str, ...],
    drain: int,
    no_work: bool,
    isolation: str | None,
    **options: Any,  # noqa: ANN401 -- click's
) -> NoReturn:
    """Take audits from others over HTTP, and carry them out.

    The first start makes the project `default` and an admin's key, and says where it lies. One line
    of JSON a call goes to standard error. SIGTERM stops it once what is in hand has ended; the rest
    is taken up at the next start. Without --tls it speaks plain HTTP: for others than this
    machine put TLS before it.
    """
    require(isolation)
    choices = choices_of(**options)
    bind = Bind(host=host, port=port, drain=drain, tls=tls, proxies=proxies)
    with own_workplace() as place:
        show_made(terminal(stderr=True), place.made_keys)
        _start(place, choices, bind, work=not no_work)
    # The engine's threads may still be in a step, which is done again after the next start, or wait
    # for one that never ends: an interpreter that ends well would wait for them.
    sys.stderr.flush()
    os._exit(Exit.DONE)


def _start(place: Workplace, choices: Choices, bind: Bind, *, work: bool) -> None:
    with needing_server():
        from auditor.serving.starting import start  # noqa: PLC0415 -- heavy and optional
    start(place, choices, bind, log_line, work=work)
