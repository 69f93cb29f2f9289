"""What whoever starts a service decides, and where its processes meet."""

import hashlib
import socket
import ssl
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from pathlib import Path

from auditor.domain.targets import TargetSpec
from auditor.errors import TargetError, UsageError
from auditor.service.domain.access import ServiceLimits
from auditor.service.jobs.durable import EngineConfig
from auditor.service.leases.terms import LeaseTerms
from auditor.service.schedules.watched_places import WatchRoots
from auditor.service.telemetry import SILENT, SpanTracer
from auditor.service.uploads import MOST_BYTES
from auditor.service.webhooks.deliver import WebhookRules
from auditor.targets.config import parse_targets
from auditor.targets.target_specs import NAMED
from auditor.workflows.settings import AuditorSettings

FOLDER = "service"
"""The folder of a service's own files, below ``AUDITOR_HOME``."""
SQLITE = "sqlite:"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceOptions:
    """The targets of a service, how large uploads may be, how much callers and projects may ask,
    whether recipes' code may run, the file of identity providers that are believed, where web
    hooks may lead, and below which ``roots`` places may be watched; ``spans`` go to whoever
    collects traces.

    The checks on those of the targets that are left to ``agents`` are leased on these terms.
    """

    targets: Mapping[str, TargetSpec]
    most: int = MOST_BYTES
    rations: ServiceLimits = field(default_factory=ServiceLimits)
    recipes: bool = False
    oidc: Path | None = None
    spans: SpanTracer = SILENT
    agents: tuple[str, ...] = ()
    terms: LeaseTerms = field(default_factory=LeaseTerms)
    hooks: WebhookRules = field(default_factory=WebhookRules)
    roots: WatchRoots = field(default_factory=WatchRoots)


@dataclass(frozen=True, slots=True, kw_only=True)
class BindAddress:
    """Where a service listens, and how many seconds checks in hand have when it stops.

    With ``tls``, a chain of certificates and its private key (PEM files), it speaks TLS. Who calls
    by one of ``proxies``, which are addresses or networks, is whom that proxy names.
    """

    host: str = "127.0.0.1"
    port: int = 8400
    drain: int = 30
    tls: tuple[Path, Path] | None = None
    proxies: tuple[str, ...] = ()

    @property
    def open(self) -> bool:
        """Whether others than this machine can call; then something must put TLS before it."""
        try:
            return not ip_address(self.host).is_loopback
        except ValueError:
            return self.host != "localhost"

    def refuse_unusable(self) -> None:
        """Raise ``UsageError`` where a proxy is no address, or TLS cannot be spoken."""
        for proxy in self.proxies:
            _refuse_no_network(proxy)
        if self.tls is None:
            return
        chain, key = self.tls
        try:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(chain, key, password=_nobody)
        except (OSError, ValueError) as error:  # ssl's own errors are of the first kind
            raise UsageError(
                f"{chain} and {key} cannot be used for TLS: {error}",
                cure="Name a chain in PEM form and its private key, which is not locked.",
            ) from None


def _refuse_no_network(text: str) -> None:
    try:
        ip_network(text)
    except ValueError:
        raise UsageError(
            f"--proxy {text[:80]!r} is no address and no network",
            cure="Write the address that the proxy calls from, as 10.0.0.7 or 10.0.0.0/24.",
        ) from None


def _nobody() -> str:
    raise ValueError("the private key is locked")


def read_service_targets(path: Path | None) -> Mapping[str, TargetSpec]:
    """Return the targets in a file, with those of the house. Raises ``TargetError``."""
    if path is None:
        return NAMED
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TargetError(
            f"{path} cannot be read: {error.strerror}", cure="Name a file of targets."
        ) from None
    return parse_targets(raw, path.name)


def refuse_unknown_target(known: Mapping[str, TargetSpec], targets: Sequence[str]) -> None:
    """Raise ``TargetError`` for a target that a service has not."""
    strangers = [name for name in targets if name not in known]
    if strangers:
        raise TargetError(
            f"the service has no target {strangers[0]!r}",
            cure=f"Name one of {', '.join(known)}, or its file with --targets.",
        )


def build_engine_config(
    settings: AuditorSettings, role: str, targets: tuple[str, ...], *, control: bool, slots: int = 1
) -> EngineConfig:
    """Return the place of one process among those of a service.

    All meet in the store's own database where that is PostgreSQL, else in a file beside it. The
    name is the same after a start anew, so that a process goes on with its own work at once.
    """
    folder = settings.home / FOLDER
    alone = settings.database.startswith(SQLITE)
    where = hashlib.sha256(str(settings.home).encode()).hexdigest()[:8]
    return EngineConfig(
        database=f"sqlite:///{folder / 'engine.db'}" if alone else settings.database,
        executor=f"{role}@{socket.gethostname()}.{where}",
        targets=targets,
        control=control,
        slots=slots,
        locks=folder / "locks",
    )
