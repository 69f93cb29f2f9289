"""What whoever starts a service says of web hooks: where they may lead."""

from collections.abc import Callable
from typing import TypeVar

import click

from auditor.client.line import address_of
from auditor.hooks.addresses import HookRules

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


def hook_rules(
    *, allow_http_hooks: bool, allow_private_hooks: bool, public_url: str | None
) -> HookRules:
    """Return what the options allow. Raises ``UsageError`` for an address that is none."""
    return HookRules(
        http=allow_http_hooks,
        private=allow_private_hooks,
        public="" if public_url is None else address_of(public_url),
    )
