"""Put a service together: what its doors open on, from a workplace and an engine."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, partial
from pathlib import Path

from auditor.api.parts import Service
from auditor.checks.discovery import discover
from auditor.clock import now
from auditor.desks import Desk, Engine
from auditor.domain.canonical import Json
from auditor.domain.policies import Policy
from auditor.errors import AuditorError
from auditor.gatekeeping import Gatekeeper
from auditor.packs.catalogues import load_catalogues
from auditor.packs.folders import PackSummary, find_written, list_policies
from auditor.packs.loading import load_policy, load_written
from auditor.people.panels import Panel
from auditor.preparing import Readers
from auditor.projects import holds, make_project, new_admin
from auditor.rationing import Rationing
from auditor.refusals import NotFoundError
from auditor.serving.choosing import Choices
from auditor.serving.deciding import panel_of
from auditor.serving.offering import leasehold
from auditor.serving.scheduling import messenger_of, scheduler_of
from auditor.settings import ADMIN_KEY
from auditor.shipped import shipped
from auditor.store.service.store import ServiceStore
from auditor.targets.resolving import known_target
from auditor.tokens.fetching import open_tokens
from auditor.uploading import Intake
from auditor.workplaces import Workplace

PROJECT = "default"
PACK = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
NO_PACK = (
    "GET /v1/policies lists the packs. A policy of your own goes by its digest: GET /v1/models "
    "names it for each model that was audited by it."
)


def assemble(
    place: Workplace,
    engine: Engine,
    choices: Choices,
    log: Callable[[Mapping[str, Json]], None],
    stopping: Callable[[], bool],
) -> Service:
    """Return the service of a workplace whose submissions ``engine`` carries out.

    Raises ``UsageError`` for a mistake in the file of identity providers.
    """
    kept, packs = ServiceStore(place.store), Packs(shipped("policies"))
    people, hold = panel_of(place, kept, packs.read), leasehold(kept, choices)
    desk = replace(_desk(kept, engine, choices, packs), agents=hold.live)
    gatekeeper, intake = _gatekeeper(people, packs), _intake(kept, choices)
    service = Service(
        store=place.store,
        kept=kept,
        desk=desk,
        agents=hold,
        intake=intake,
        gatekeeper=gatekeeper,
        people=people,
        schedules=scheduler_of(desk, gatekeeper, intake, choices.roots),
        hooks=messenger_of(kept, desk, place.settings.home, choices.hooks),
        report_key=place.signer.public_pem(),
        packs=packs.listed,
        pack=packs.named,
        clock=now,
        log=log,
        stopping=stopping,
        ready=lambda: lacking(place, engine),
    )
    return _entered(service, choices)


def _entered(service: Service, choices: Choices) -> Service:
    """Return a service with its limits, its traces, and those whose tokens it takes."""
    return replace(
        service,
        rationing=Rationing(choices.rations),
        spans=choices.spans,
        tokens=None if choices.oidc is None else open_tokens(choices.oidc),
    )


def _intake(kept: ServiceStore, choices: Choices) -> Intake:
    return Intake(kept.store.blobs, kept, now, choices.most, choices.rations.stored)


def _gatekeeper(people: Panel, packs: "Packs") -> Gatekeeper:
    return Gatekeeper(
        kept=people.kept,
        people=people,
        pack=packs.named,
        policy=people.policy,
        verifier=people.verifier,
        clock=now,
    )


def _desk(kept: ServiceStore, engine: Engine, choices: Choices, packs: "Packs") -> Desk:
    return Desk(
        kept=kept,
        blobs=kept.store.blobs,
        engine=engine,
        readers=Readers(
            resolve_target=partial(known_target, known=choices.targets),
            load_policy=packs.named,
            checks=discover(),
        ),
        targets=choices.targets,
        pack=packs.named,
        policy=packs.read,
        clock=now,
        recipes=choices.recipes,
        most_waiting=choices.rations.waiting,
    )


@dataclass(frozen=True)
class Packs:
    """The policies that come with auditor, by name, and how others are read from their bytes."""

    folder: Path

    def named(self, name: str) -> Policy:
        """Return a pack. Raises ``NotFoundError``; no other file is ever looked for."""
        if not PACK.fullmatch(name) or not (self.folder / f"{name}.yaml").is_file():
            raise NotFoundError(f"no pack is called {name[:80]!r}", cure=NO_PACK)
        return _pack(self.folder, name)

    def read(self, raw: bytes, source: str) -> Policy:
        """Read the resolved document of a policy. Raises ``PolicyError``."""
        return load_policy(raw, source, discover(), load_catalogues(self.folder))

    def listed(self) -> Sequence[PackSummary]:
        """Return what lists say of every pack."""
        return _packs(self.folder)


@cache
def _pack(folder: Path, name: str) -> Policy:
    written = find_written(name, folder, folder)
    return load_written(written, discover(), load_catalogues(folder))


@cache
def _packs(folder: Path) -> Sequence[PackSummary]:
    return list_policies(folder)


def lacking(place: Workplace, engine: Engine) -> Sequence[str]:
    """Name what keeps a service from working: the store, or the engine."""
    found = []
    try:
        with place.store.ledger() as ledger:
            ledger.head()
    except AuditorError:
        found.append("store")
    try:
        engine.live(())
    except Exception:  # noqa: BLE001 -- whatever it raises, it does not work
        found.append("engine")
    return found


def first_admin(kept: ServiceStore, home: Path) -> Path | None:
    """Make the project ``default`` and its first admin's key, and return where the key lies.

    Nothing is made, and ``None`` returned, where the key in the file holds; whoever owns the
    folder can have a new one by removing it. Raises ``StoreError`` where it cannot be written.
    """
    at, path = now(), home / ADMIN_KEY
    make_project(kept, PROJECT, at)
    if holds(kept, path, at):
        return None
    new_admin(kept, PROJECT, path, at)
    return path
