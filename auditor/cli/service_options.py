"""What whoever starts a service says of what it takes, from whom, and how much."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from auditor.cli.hook_options import hook_options, hook_rules
from auditor.domain.rations import read_rations
from auditor.leasing.terms import Terms
from auditor.schedules.places import read_roots
from auditor.serving.choosing import Choices, read_served_targets, refuse_unknown
from auditor.settings import Settings
from auditor.spans.marking import open_spans
from auditor.uploading import MOST_BYTES

F = TypeVar("F", bound=Callable[..., object])
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
        default=Terms().lease,
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
    """Let a command be told what a service takes; it hands them to ``choices_of``."""
    command = hook_options(command)
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def choices_of(  # noqa: PLR0913 -- one argument an option
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
) -> Choices:
    """Return what the options choose. Raises ``TargetError`` and ``UsageError`` for mistakes."""
    known = read_served_targets(targets)
    refuse_unknown(known, agents)
    settings = Settings.from_environment()
    return Choices(
        targets=known,
        most=max_upload * GIB,
        rations=read_rations(limits),
        recipes=allow_recipes,
        oidc=oidc,
        spans=open_spans(os.environ),
        agents=tuple(dict.fromkeys(agents)),
        terms=Terms(lease=lease, live=3 * lease),
        hooks=hook_rules(**hooks),
        roots=read_roots(watch_roots, settings.home, settings.blobs_url),
    )
