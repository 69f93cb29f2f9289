"""Options of a service at its start: addresses, limits, and how its processes connect."""

import hashlib
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from auditor._resources import code_digest
from auditor._time import utc_now
from auditor.domain.targets import TargetSpec
from auditor.errors import TargetError
from auditor.service.domain.access import MOST_UPLOAD_BYTES, ServiceLimits
from auditor.service.domain.leases import LeaseTerms
from auditor.service.jobs.durable import EngineConfig
from auditor.service.leases.terms import MOST_EVIDENCE, LeaseService
from auditor.service.schedules.watched_places import WatchRoots
from auditor.service.store.submission_history import ServiceStore
from auditor.service.telemetry import SILENT, SpanTracer
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
    most: int = MOST_UPLOAD_BYTES
    rations: ServiceLimits = field(default_factory=ServiceLimits)
    recipes: bool = False
    oidc: Path | None = None
    spans: SpanTracer = SILENT
    agents: tuple[str, ...] = ()
    terms: LeaseTerms = field(default_factory=LeaseTerms)
    hooks: WebhookRules = field(default_factory=WebhookRules)
    roots: WatchRoots = field(default_factory=WatchRoots)


def read_service_targets(path: Path | None) -> Mapping[str, TargetSpec]:
    """Return the targets in a file, with those of the house. Raises ``TargetError``."""
    if path is None:
        return NAMED
    try:
        raw = path.read_bytes()
    except OSError as error:
        raise TargetError(
            f"{path} cannot be read: {error.strerror}", cure="Name a targets.yaml."
        ) from None
    return parse_targets(raw, path.name)


def refuse_unknown_target(known: Mapping[str, TargetSpec], targets: Sequence[str]) -> None:
    """Raise ``TargetError`` for a target that a service has not."""
    strangers = [name for name in targets if name not in known]
    if strangers:
        raise TargetError(
            f"the service has no target {strangers[0]!r}",
            cure=f"Use one of {', '.join(known)}, or name a targets.yaml with --targets.",
        )


def build_lease_service(kept: ServiceStore, choices: ServiceOptions) -> LeaseService:
    """Return what leasing works on in a service of these choices."""
    return LeaseService(
        kept=kept,
        clock=utc_now,
        code=code_digest(),
        targets={name: choices.targets[name] for name in choices.agents},
        terms=choices.terms,
        most=min(choices.most, MOST_EVIDENCE),
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
