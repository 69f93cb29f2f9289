"""Command-line options of `auditor serve` and `auditor worker`: limits, webhooks and agents."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar, cast

import click

from auditor.cli.client_options import KEY, is_cleartext
from auditor.cli.decision_options import show_note
from auditor.cli.passwords import get_password_source
from auditor.cli.terminal import create_console
from auditor.domain.json import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import MissingExtraError, UsageError, suggest_install
from auditor.service.client.http import normalise_service_url
from auditor.service.domain.access import parse_service_limits
from auditor.service.leases.terms import LeaseTerms
from auditor.service.schedules.watched_places import parse_watch_roots
from auditor.service.server.options import (
    ServiceOptions,
    read_service_targets,
    refuse_unknown_target,
)
from auditor.service.telemetry import open_tracer
from auditor.service.uploads import MOST_BYTES
from auditor.service.webhooks.deliver import WebhookRules
from auditor.trust.keys.signers import open_signer
from auditor.workflows.settings import AuditorSettings

F = TypeVar("F", bound=Callable[..., object])


def hook_options(command: F) -> F:
    """Let a command be told where web hooks may lead."""
    http = click.option("--allow-http-hooks", is_flag=True, help="Send web hooks over plain HTTP.")
    private = click.option(
        "--allow-private-hooks",
        is_flag=True,
        help="Send web hooks to this machine and its own networks.",
    )
    public = click.option(
        "--public-url", metavar="URL", help="Where people reach this service, for links."
    )
    return http(private(public(command)))


def parse_hook_rules(
    *, allow_http_hooks: bool, allow_private_hooks: bool, public_url: str | None
) -> WebhookRules:
    """Return what the options allow. Raises ``UsageError`` for an address that is none."""
    return WebhookRules(
        http=allow_http_hooks,
        private=allow_private_hooks,
        public="" if public_url is None else normalise_service_url(public_url),
    )


GIB = 2**30
_OPTIONS = (
    click.option(
        "--targets",
        type=click.Path(path_type=Path),
        help="A targets.yaml; callers name its targets, and no others but cpu.",
    ),
    click.option(
        "--agents",
        multiple=True,
        metavar="TARGET",
        help="Leave its checks to agents, which call over HTTPS; repeats.",
    ),
    click.option(
        "--lease",
        type=click.IntRange(2, 3600),
        default=LeaseTerms().lease,
        show_default=True,
        help="Seconds after which an agent's check is offered again if nothing is heard of it.",
    ),
    click.option(
        "--allow-recipes", is_flag=True, help="Run the code of recipes that callers send."
    ),
    click.option(
        "--watch-root",
        "watch_roots",
        multiple=True,
        metavar="[PROJECT=]PLACE",
        help="Let schedules of a project (default: default) watch this folder, or s3://BUCKET/"
        "PREFIX, and what is below, for batches; repeats.",
    ),
    click.option(
        "--max-upload",
        type=click.IntRange(1),
        default=MOST_BYTES // GIB,
        show_default=True,
        help="The largest file that is taken, in GiB.",
    ),
    click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="NAME=N",
        help="Of a caller: reads and writes (calls a minute), upload (GiB an hour); of an address: "
        "failures (calls without a key a minute); of a project: stored (GiB), waiting (audits); "
        "keys (days that a new one may hold). 0 lifts one; repeats.",
    ),
    click.option(
        "--oidc",
        type=click.Path(path_type=Path),
        help="A file of identity providers whose tokens are taken in place of keys.",
    ),
)


def service_options(command: F) -> F:
    """Let a command be told what a service takes; it hands them to ``parse_service_options``."""
    command = hook_options(command)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def parse_service_options(  # noqa: PLR0913 -- one argument an option
    *,
    targets: Path | None,
    agents: tuple[str, ...],
    lease: int,
    allow_recipes: bool,
    watch_roots: tuple[str, ...],
    max_upload: int,
    limits: tuple[str, ...],
    oidc: Path | None,
    **hooks: Any,  # noqa: ANN401 -- click's
) -> ServiceOptions:
    """Return what the options choose. Raises ``TargetError`` and ``UsageError`` for mistakes."""
    known = read_service_targets(targets)
    refuse_unknown_target(known, agents)
    settings = AuditorSettings.from_environment()
    return ServiceOptions(
        targets=known,
        most=max_upload * GIB,
        rations=parse_service_limits(limits),
        recipes=allow_recipes,
        oidc=oidc,
        spans=open_tracer(os.environ),
        agents=tuple(dict.fromkeys(agents)),
        terms=LeaseTerms(lease=lease, live=3 * lease),
        hooks=parse_hook_rules(**hooks),
        roots=parse_watch_roots(watch_roots, settings.home, settings.blobs_url),
    )


@contextmanager
def require_server_extra() -> Iterator[None]:
    """Say which extra is missing where a part of a service is imported and is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise MissingExtraError(
            f"what a service is made of is not installed ({error.name})",
            cure=f"{suggest_install('server')}.",
        ) from error


def write_log_line(line: Mapping[str, Json]) -> None:
    """Write one line of a service's log, as JSON."""
    click.echo(json.dumps(line, ensure_ascii=True), err=True)


CACHE = 20


def agent_options(command: F) -> F:
    """Let a worker be told to be an agent."""
    server = click.option("--server", metavar="URL", help="Be an agent of this service.")
    key = click.option(
        "--key", metavar="FILE", help="The agent's private key, or a URI: it signs what it sees."
    )
    ca = click.option(
        "--ca", type=click.Path(path_type=Path), help="Believe these certificates alone (PEM)."
    )
    cache = click.option(
        "--cache",
        type=click.IntRange(1),
        default=CACHE,
        show_default=True,
        help="GiB of models and data that an agent keeps.",
    )
    return server(key(ca(cache(command))))


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentOptions:
    """For which service, by which key, below which certificates, and with how many GiB."""

    server: str
    key: str
    ca: Path | None
    cache: int

    @classmethod
    def of(cls, given: Mapping[str, object], *, slots: int, name: str) -> "AgentOptions | None":
        """Return what options say of an agent, or nothing. Raises ``UsageError``."""
        server, key = cast("str | None", given["server"]), cast("str | None", given["key"])
        ca = cast("Path | None", given["ca"])
        if server is None:
            if key is not None or ca is not None:
                raise UsageError("--key and --ca are an agent's", cure="Name its --server URL.")
            return None
        if key is None:
            raise UsageError(
                "an agent signs what it sees, and no key is named",
                cure="Name --key FILE; `auditor keys new --role agent` makes one.",
            )
        if slots > 1 or name:
            raise UsageError(
                "an agent does one check at a time, and is told apart by its key",
                cure="Leave out --slots and --name; enrol another agent for more at once.",
            )
        return cls(server=server, key=key, ca=ca, cache=cast("int", given["cache"]))

    def run(
        self,
        targets: tuple[str, ...],
        known: Mapping[str, TargetSpec],
        drain: int,
        *,
        allow_recipes: bool,
    ) -> None:
        """Work as this agent until told to stop. Raises as ``running.run``."""
        from auditor.service.agent.run import AgentConfig, run_agent  # noqa: PLC0415 -- heavy

        settings = AuditorSettings.from_environment()
        signer = open_signer(self.key, get_password_source(settings))
        if is_cleartext(self.server):
            note = f"{self.server} is plain HTTP: others on the way can read the key and all models"
            show_note(create_console(stderr=True), note)
        post = AgentConfig(
            url=self.server,
            key=os.environ.get(KEY, "").strip(),
            ca=self.ca,
            targets=targets,
            known=known,
            home=settings.home / "agent",
            cache=self.cache * GIB,
            drain=drain,
            allow_recipes=allow_recipes,
        )
        run_agent(post, signer, write_log_line)
