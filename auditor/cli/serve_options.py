"""A worker that is an agent: its service, its keys, and what it keeps."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar, cast

import click

from auditor.cli.asking import passwords
from auditor.cli.service_parts import log_line
from auditor.cli.terminals import terminal
from auditor.cli.there import KEY, in_the_clear
from auditor.cli.waiving import show_note
from auditor.domain.targets import TargetSpec
from auditor.errors import UsageError
from auditor.settings import Settings
from auditor.signing.opening import open_signer

F = TypeVar("F", bound=Callable[..., object])
GIB = 2**30
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
class AgentChoice:
    """For which service, by which key, below which certificates, and with how many GiB."""

    server: str
    key: str
    ca: Path | None
    cache: int

    @classmethod
    def of(cls, given: Mapping[str, object], *, slots: int, name: str) -> "AgentChoice | None":
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
        from auditor.agent.running import AgentPost, run  # noqa: PLC0415 -- heavy

        settings = Settings.from_environment()
        signer = open_signer(self.key, passwords(settings))
        if in_the_clear(self.server):
            note = f"{self.server} is plain HTTP: others on the way can read the key and all models"
            show_note(terminal(stderr=True), note)
        post = AgentPost(
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
        run(post, signer, log_line)
