"""A worker: one process that carries out the steps of audits for the targets that it works for.

`auditor worker` is one, and so is the process that `auditor serve` starts beside itself.
"""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from auditor._time import utc_now
from auditor.domain.json import Json
from auditor.domain.targets import TargetSpec
from auditor.errors import AuditorError
from auditor.service.domain.submissions import ShardKey
from auditor.service.jobs.durable import DurableEngine
from auditor.service.jobs.executor import build_executor
from auditor.service.jobs.job_steps import StepRunner
from auditor.service.leases.offers import offer_shard, wait_for_agent
from auditor.service.server.options import (
    ServiceOptions,
    build_engine_config,
    build_lease_service,
    refuse_unknown_target,
)
from auditor.service.store.agents import SightingStore, refuse_other_blobs
from auditor.service.store.submission_history import ServiceStore
from auditor.service.telemetry import span_step
from auditor.store.record_store import RecordStore
from auditor.targets.probe import probe_target
from auditor.targets.runtimes import runs_files
from auditor.workflows.workspace import Workspace

Say = Callable[[Mapping[str, Json]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerOptions:
    """What one worker does: for which targets, how many checks at once, under which name of its
    own on this machine, and how many seconds checks in hand have when it stops.

    One with ``control`` is a service's own: it takes submissions in hand, and concludes them.
    """

    targets: tuple[str, ...]
    slots: int = 1
    name: str = ""
    drain: int = 30
    control: bool = False


def run_worker(  # noqa: PLR0913, PLR0917 -- where, of what, until when, and who hears
    place: Workspace,
    choices: ServiceOptions,
    working: WorkerOptions,
    say: Say,
    stop: threading.Event,
    steps: StepRunner | None = None,
) -> None:
    """Carry out the checks of submissions on these targets until ``stop`` is set.

    Raises ``TargetError`` for a target that the service has not, ``StoreError`` where the blobs are
    another store's, ``EngineError`` where the engine does not start, or another worker of that
    name lives.
    """
    refuse_unknown_target(choices.targets, working.targets)
    if not working.control:
        refuse_other_blobs(place.store)
    named = f"worker {working.name or ' '.join(sorted(working.targets))}"
    role = "serve" if working.control else named
    post = build_engine_config(
        place.settings, role, working.targets, control=working.control, slots=working.slots
    )
    kept, steps = ServiceStore(place.store), steps or StepRunner(partial(span_step, choices.spans))
    executor = build_executor(
        place, choices.targets, allow_recipes=choices.recipes, open_at_most=working.slots
    )
    look = partial(offer_shard, build_lease_service(kept, choices))

    def wait(submission: str, target: str, check: str) -> None:
        key = ShardKey(submission=submission, target=target, check=check)
        wait_for_agent(look, key, steps.turn)

    offered = dict.fromkeys(choices.agents, wait)
    engine = DurableEngine(post, executor, kept.owner, steps, offered)
    try:
        engine.launch()
        say(
            {
                "event": "working",
                "targets": list[Json](working.targets),
                "executor": post.executor,
            }
        )
        mine = [choices.targets[name] for name in working.targets]
        record_sightings(place.store, post.executor, mine, say)
        stop.wait()
        engine.stop(working.drain)
    finally:
        executor.close()
        choices.spans.close()


def record_sightings(
    store: RecordStore, seer: str, targets: Sequence[TargetSpec], say: Say
) -> None:
    """Keep what each target that a process (``seer``) works for turns out to be.

    So a changed one is audited on again. A served one tells nothing; one that cannot be probed is
    told, and no other is kept up.
    """
    for spec in targets:
        if not runs_files(spec.runtime) or spec.brings_model:
            continue
        try:
            SightingStore(store).note(seer, spec.name, probe_target(spec), utc_now())
        except AuditorError as error:
            say({"event": "unseen", "target": spec.name, "problem": error.problem})
