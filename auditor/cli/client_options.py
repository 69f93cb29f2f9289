"""Command-line options of a service's clients: its address, its key, and options it refuses."""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeVar

import click

from auditor._http import is_local_address
from auditor.errors import UsageError
from auditor.service.client.api import ServiceClient
from auditor.service.client.http import HttpTransport, normalise_service_url
from auditor.service.domain.submissions import ID
from auditor.workflows.settings import ADMIN_KEY, AuditorSettings

F = TypeVar("F", bound=Callable[..., object])
SERVER, KEY = "AUDITOR_SERVER", "AUDITOR_API_KEY"
SPAN = re.compile(r"([0-9]{1,5})([smhd])")
SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 24 * 3600}
LONGEST = 7 * SECONDS["d"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientOptions:
    """A service to audit at: how many seconds to wait for a target, or which audit to follow.

    One that ``audits`` later, by a schedule, needs no live worker now; a ``sealed`` audit has a
    seed of the service, and ``sets`` are names of data that the auditor there holds.
    """

    url: str
    wait: int | None
    attach: str | None
    audits: bool = True
    sealed: bool = False
    sets: tuple[str, ...] = ()


def client_options(command: F) -> F:
    """Let a command be told to audit at a service."""
    server = click.option(
        "--server",
        metavar="URL",
        envvar=SERVER,
        help="Audit at this service: upload missing files, wait, and download the record folder.",
    )
    wait = click.option(
        "--wait-for-target",
        metavar="TIME",
        help="If a target has no worker online, wait this long for one: 90s, 10m, 2h.",
    )
    attach = click.option(
        "--attach", metavar="ID", help="Follow an audit of AUDIT_FILE that was submitted before."
    )
    sealed = click.option(
        "--sealed",
        is_flag=True,
        help="The service draws the seed after it registers the request; your seed is not used.",
    )
    sets = click.option(
        "--sealed-set",
        "sealed_sets",
        multiple=True,
        metavar="NAME",
        help="Sealed set of the service that replaces the data of its role. Needs --sealed. "
        "Repeatable.",
    )
    return server(wait(attach(sealed(sets(command)))))


def parse_client_options(
    server: str | None,
    wait: str | None,
    attach: str | None,
    *,
    sealed: bool = False,
    sets: tuple[str, ...] = (),
) -> ClientOptions | None:
    """Return the service that options name, if they do. Raises ``UsageError``."""
    if not server:
        alone = {
            "--wait-for-target": wait, "--attach": attach, "--sealed": sealed or None,
            "--sealed-set": sets or None,
        }  # fmt: skip
        given = [name for name, said in alone.items() if said is not None]
        if given:
            raise UsageError(f"{given[0]} needs a service", cure="Add --server URL.")
        return None
    if attach is not None and not ID.fullmatch(attach):
        raise UsageError(
            f"{attach!r} is not an audit ID", cure="Write sub- and 24 hexadecimal digits."
        )
    if sets and not sealed:
        raise UsageError("--sealed-set needs a sealed audit", cure="Add --sealed.")
    waits = None if wait is None else parse_duration(wait)
    return ClientOptions(url=server, wait=waits, attach=attach, sealed=sealed, sets=sets)


def parse_duration(text: str) -> int:
    """Read a time such as ``90s``, ``10m`` or ``2h``, in seconds. Raises ``UsageError``."""
    match = SPAN.fullmatch(text)
    found = 0 if match is None else int(match[1]) * SECONDS[match[2]]
    if not 0 < found <= LONGEST:
        raise UsageError(f"{text!r} is not a duration", cure="Write it as 90s, 10m or 2h.")
    return found


def refuse_unsupported_options(
    there: ClientOptions, overrides: Mapping[str, object], *, pdf: bool, allow_target_code: bool
) -> None:
    """Refuse options that no service takes. Raises ``UsageError`` for the first of them."""
    here = {
        "--waiver": overrides["waivers"],
        "--waiver-key": overrides["waiver_keys"],
        "--pdf": pdf,
        "--allow-target-code": allow_target_code,
        "--allow-unsandboxed": overrides["unsandboxed"],
    }
    for option, given in here.items():
        if given:
            raise UsageError(
                f"{option} does not work with a service yet",
                cure="Audit locally, without --server.",
            )
    if overrides["max_minutes"] is not None:
        raise UsageError(
            "--max-minutes does not work with a service",
            cure="Set max_minutes in the audit file.",
        )
    if overrides["baseline_key"] is not None:
        raise UsageError(
            "--baseline-key does not work with a service: it accepts only records that it signed",
            cure="Remove --baseline-key.",
        )
    if there.attach is not None and any((*overrides.values(), there.wait, there.sealed)):
        raise UsageError(
            "--attach follows an audit as it was submitted",
            cure="Remove --policy, --target, --budget, --only, --baseline, --sealed and "
            "--wait-for-target.",
        )


def build_client(url: str) -> ServiceClient:
    """Return a client of a service, with the key that the environment gives for it.

    On this very machine that is else the key of the service's first admin, where it can be read.
    Raises ``UsageError`` where there is none.
    """
    return ServiceClient(build_transport(url))


def build_transport(url: str) -> HttpTransport:
    """Return the line to a service, with the key for it. Raises as ``build_client``."""
    for_url = normalise_service_url(url)
    key_for = os.environ.get(KEY, "").strip()
    if key_for:
        if not key_for.isascii() or not key_for.isprintable():
            raise UsageError(f"{KEY} is not an API key", cure="Set it to the key only.")
    else:
        path = AuditorSettings.from_environment().home / ADMIN_KEY
        if is_local_address(for_url) and path.is_file() and os.access(path, os.R_OK):
            key_for = path.read_text(encoding="utf-8").strip()
        else:
            raise UsageError(
                f"there is no API key for {for_url}",
                cure=f"Set {KEY} to an API key. Ask an admin of the service for one.",
            )
    return HttpTransport(url, key_for)


def is_cleartext(url: str) -> bool:
    """Whether a key that is shown to a service can be read by others on the way."""
    return url.startswith("http:") and not is_local_address(url)
