"""Run the audit service: HTTP API, web pages and, by default, a worker.

The first start creates the project `default` and an admin API key, and prints the path of its file.
Standard error gets one line of JSON per request. SIGTERM stops the service after the running
checks; the next start resumes the others. Without --tls the service uses plain HTTP: put a TLS
proxy in front of it if other machines connect.
"""

import os
import sys
from pathlib import Path
from typing import Any, NoReturn

import click

from auditor.cli.console import show_new_keys
from auditor.cli.input_paths import CERTIFICATES
from auditor.cli.isolation_options import isolation_option, require_isolation_level
from auditor.cli.main import ExitCode
from auditor.cli.serve_options import (
    parse_service_options,
    require_server_extra,
    service_options,
    write_log_line,
)
from auditor.cli.workspace import open_own_workspace
from auditor.reports.terminal import create_console
from auditor.service.server.bind_address import BindAddress

USUAL = BindAddress()


@click.command("serve")
@click.option("--host", default=USUAL.host, show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=USUAL.port, show_default=True)
@click.option(
    "--tls",
    nargs=2,
    type=CERTIFICATES,
    metavar="CERT KEY",
    help="Use TLS with this certificate chain and its private key (PEM).",
)
@click.option(
    "--proxy",
    "proxies",
    multiple=True,
    metavar="ADDRESS",
    help=(
        "Trusted proxy (address or network): its X-Forwarded-For header gives the "
        "client address. Repeatable."
    ),
)
@click.option(
    "--no-work",
    is_flag=True,
    help=("Run no checks here; separate `auditor worker` processes run them."),
)
@service_options
@isolation_option
@click.option(
    "--drain",
    type=click.IntRange(0),
    default=USUAL.drain,
    show_default=True,
    help="Seconds that running checks have to finish at shutdown.",
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
    """Run the audit service: HTTP API, web pages and, by default, a worker.

    The first start creates the project `default` and an admin API key, and prints the path of its
    file. Standard error gets one line of JSON per request. SIGTERM stops the service after the
    running checks; the next start resumes the others. Without --tls the service uses plain HTTP:
    put a TLS proxy in front of it if other machines connect.
    """
    require_isolation_level(isolation)
    choices = parse_service_options(**options)
    bind = BindAddress(host=host, port=port, drain=drain, tls=tls, proxies=proxies)
    with open_own_workspace() as place:
        show_new_keys(create_console(stderr=True), place.made_keys)
        with require_server_extra():
            from auditor.service.server.run import start_service  # noqa: PLC0415 -- heavy and optional
        start_service(place, choices, bind, write_log_line, work=not no_work)
    # The engine's threads may still be in a step, which is done again after the next start, or wait
    # for one that never ends: an interpreter that ends well would wait for them.
    sys.stderr.flush()
    os._exit(ExitCode.DONE)
