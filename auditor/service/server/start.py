"""Entry points that start a service or a worker process on this machine."""

from dataclasses import dataclass, replace

from auditor.domain.json import Json
from auditor.service.jobs.executor import build_executor
from auditor.service.server.options import (
    BindAddress,
    ServiceOptions,
    build_engine_config,
    refuse_unknown_target,
)
from auditor.service.server.run import Say, serve
from auditor.service.server.stop_signals import watch_stop_signals
from auditor.service.server.target_monitor import TargetMonitor
from auditor.service.server.work_wrappers import DrainableEngine, TracedWork, build_agent_work
from auditor.service.server.worker_process import WorkerProcessClient
from auditor.service.store.agents import refuse_other_blobs
from auditor.service.store.submissions import ServiceStore
from auditor.workflows.workspace import Workspace


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What one worker does: for which targets, how many checks at once, under which name of its
    own on this machine, and how many seconds checks in hand have when it stops.
    """

    targets: tuple[str, ...]
    slots: int = 1
    name: str = ""
    drain: int = 30


def run_worker(place: Workspace, choices: ServiceOptions, working: WorkerOptions, say: Say) -> None:
    """Carry out the checks of submissions on these targets until SIGTERM or SIGINT.

    Raises ``TargetError`` for a target that the service has not, ``StoreError`` where the blobs are
    another store's, ``EngineError`` where the engine does not start, or another worker of that
    name lives.
    """
    refuse_unknown_target(choices.targets, working.targets)
    refuse_other_blobs(place.store)
    role = f"worker {working.name or ' '.join(sorted(working.targets))}"
    post = build_engine_config(
        place.settings, role, working.targets, control=False, slots=working.slots
    )
    commissioned = build_executor(
        place, choices.targets, allow_recipes=choices.recipes, open_at_most=working.slots
    )
    engine, targets = (
        DrainableEngine(
            post, TracedWork(commissioned, choices.spans), ServiceStore(place.store).owner
        ),
        list[Json](working.targets),
    )
    try:
        with watch_stop_signals() as stop:
            engine.launch()
            say({"event": "working", "targets": targets, "executor": post.executor})
            mine = [choices.targets[name] for name in working.targets]
            TargetMonitor(place.store, post.executor, mine, say).look()
            stop.wait()
            engine.stop(working.drain)
    finally:
        commissioned.close()
        choices.spans.close()
    say({"event": "stopped"})


def start_service(
    place: Workspace, choices: ServiceOptions, bind: BindAddress, say: Say, *, work: bool = True
) -> None:
    """Serve until told to stop. With ``work`` the checks of audits are carried out as well.

    This process only answers: what is done for audits is done in another beside it.

    Raises ``UsageError`` where the address cannot be had, ``EngineError`` where the engine does
    not start, and ``MissingExtraError`` where a part is not installed.
    """
    targets = tuple(it for it in choices.targets if it not in choices.agents) if work else ()
    post = replace(
        build_engine_config(place.settings, "serve", targets, control=True), offered=choices.agents
    )
    apart = WorkerProcessClient(place, choices, post.slots)
    try:
        offers = build_agent_work(ServiceStore(place.store), choices) if choices.agents else None
        spanned = TracedWork(apart, choices.spans)
        looks = TargetMonitor(
            place.store, post.executor, [choices.targets[it] for it in targets], say
        )
        serve(
            place,
            DrainableEngine(post, spanned, ServiceStore(place.store).owner, offers),
            choices,
            bind,
            say,
            looks,
        )
    finally:
        apart.close()
        choices.spans.close()
