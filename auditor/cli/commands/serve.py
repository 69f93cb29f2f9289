"""Take audits from others over HTTP, and carry them out."""

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from auditor.cli.console import show_new_keys
from auditor.cli.isolation_options import isolation_option, require_isolation_level
from auditor.cli.main import ExitCode
from auditor.cli.serve_options import (
    parse_service_options,
    require_server_extra,
    service_options,
    write_log_line,
)
from auditor.cli.terminal import create_console
from auditor.cli.workspace import open_own_workspace
from auditor.service.server.options import BindAddress, ServiceOptions
from auditor.workflows.workspace import Workspace

USUAL = BindAddress()


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
    require_isolation_level(isolation)
    choices = parse_service_options(**options)
    bind = BindAddress(host=host, port=port, drain=drain, tls=tls, proxies=proxies)
    with open_own_workspace() as place:
        show_new_keys(create_console(stderr=True), place.made_keys)
        _start(place, choices, bind, work=not no_work)
    # The engine's threads may still be in a step, which is done again after the next start, or wait
    # for one that never ends: an interpreter that ends well would wait for them.
    sys.stderr.flush()
    os._exit(ExitCode.DONE)


def _start(place: Workspace, choices: ServiceOptions, bind: BindAddress, *, work: bool) -> None:
    with require_server_extra():
        from auditor.service.server.start import start_service  # noqa: PLC0415 -- heavy and optional
    start_service(place, choices, bind, write_log_line, work=work)
