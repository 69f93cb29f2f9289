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
from auditor.cli.input_paths import CERTIFICATES, PROVIDERS, TARGETS_FILE, KeyName
from auditor.cli.passwords import get_password_source
from auditor.domain.json import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import MissingExtraError, UsageError, suggest_install
from auditor.reports.terminal import create_console
from auditor.service.client.http import normalise_service_url
from auditor.service.domain.access import MOST_UPLOAD_BYTES, parse_service_limits
from auditor.service.domain.leases import LeaseTerms
from auditor.service.schedules.watched_places import parse_watch_roots
from auditor.service.server.options import (
    ServiceOptions,
    read_service_targets,
    refuse_unknown_target,
)
from auditor.service.telemetry import open_tracer
from auditor.service.webhooks.deliver import WebhookRules
from auditor.trust.keys.signers import open_signer
from auditor.workflows.settings import AuditorSettings

F = TypeVar("F", bound=Callable[..., object])


def hook_options(command: F) -> F:
    """Let a command be told where web hooks may lead."""
    http = click.option("--allow-http-hooks", is_flag=True, help="Allow webhooks over plain HTTP.")
    private = click.option(
        "--allow-private-hooks",
        is_flag=True,
        help="Allow webhooks to this machine and to private networks.",
    )
    public = click.option(
        "--public-url", metavar="URL", help="Public URL of this service, used in links."
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
        type=TARGETS_FILE,
        help="targets.yaml with the targets that clients can name, in addition to cpu.",
    ),
    click.option(
        "--agents",
        multiple=True,
        metavar="TARGET",
        help="Agents run the checks of this target; they connect over HTTPS. Repeatable.",
    ),
    click.option(
        "--lease",
        type=click.IntRange(2, 3600),
        default=LeaseTerms().lease,
        show_default=True,
        help="Seconds without contact after which an agent's check is given to another agent.",
    ),
    click.option("--allow-recipes", is_flag=True, help="Run training recipes (code) from clients."),
    click.option(
        "--watch-root",
        "watch_roots",
        multiple=True,
        metavar="[PROJECT=]PLACE",
        help="Folder or s3://BUCKET/PREFIX that schedules of the project (default: "
        "default) can watch for batches, including everything below it. "
        "Repeatable.",
    ),
    click.option(
        "--max-upload",
        type=click.IntRange(1),
        default=MOST_UPLOAD_BYTES // GIB,
        show_default=True,
        help="Maximum size of an uploaded file, in GiB.",
    ),
    click.option(
        "--limit",
        "limits",
        multiple=True,
        metavar="NAME=N",
        help="Limit to set; 0 removes it. Per API key: reads and writes (requests per "
        "minute), upload (GiB per hour). Per address: failures (requests without "
        "a valid key per minute). Per project: stored (GiB), waiting (audits), "
        "keys (maximum days that a new API key is valid). Repeatable.",
    ),
    click.option(
        "--oidc",
        type=PROVIDERS,
        help="File with the OIDC identity providers that can replace API keys.",
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
            f"the packages of the service are not installed ({error.name})",
            cure=f"{suggest_install('server')}.",
        ) from error


def write_log_line(line: Mapping[str, Json]) -> None:
    """Write one line of a service's log, as JSON."""
    click.echo(json.dumps(line, ensure_ascii=True), err=True)


CACHE = 20


def agent_options(command: F) -> F:
    """Let a worker be told to be an agent."""
    server = click.option("--server", metavar="URL", help="Service to work for as an agent.")
    key = click.option(
        "--key",
        type=KeyName(),
        metavar="FILE",
        help=("Private key of the agent (file or URI), which signs its results."),
    )
    ca = click.option(
        "--ca",
        type=CERTIFICATES,
        help="Trust only these certificate authorities (PEM).",
    )
    cache = click.option(
        "--cache",
        type=click.IntRange(1),
        default=CACHE,
        show_default=True,
        help="GiB of models and data that an agent caches.",
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
                raise UsageError("--key and --ca work only for an agent", cure="Add --server URL.")
            return None
        if key is None:
            raise UsageError(
                "an agent needs a key to sign its results",
                cure="Add --key FILE; create a key with `auditor keys new --role agent`.",
            )
        if slots > 1 or name:
            raise UsageError(
                (
                    "--slots and --name do not work for an agent: it runs one check at a "
                    "time and its key identifies it"
                ),
                cure="Remove --slots and --name; enrol more agents to run more checks at once.",
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
            note = (
                f"{self.server} uses plain HTTP: others on the network can read the "
                "API key and all models"
            )
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
