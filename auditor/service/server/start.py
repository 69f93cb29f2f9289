"""Work for targets of a service in a process of its own, until it is told to stop."""

from dataclasses import dataclass

from auditor.domain.canonical import Json
from auditor.serving.choosing import Choices, post_of, refuse_unknown
from auditor.serving.draining import DrainedEngine
from auditor.serving.executor import build_executor
from auditor.serving.running import Say
from auditor.serving.sighting import Sighter
from auditor.serving.spanning import SpannedWork
from auditor.serving.stopping import told_to_stop
from auditor.store.service.at_hand import refuse_other_blobs
from auditor.store.service.store import ServiceStore
from auditor.workplaces import Workplace


@dataclass(frozen=True, slots=True, kw_only=True)
class Working:
    """What one worker does: for which targets, how many checks at once, under which name of its
    own on this machine, and how many seconds checks in hand have when it stops.
    """

    targets: tuple[str, ...]
    slots: int = 1
    name: str = ""
    drain: int = 30


def work(place: Workplace, choices: Choices, working: Working, say: Say) -> None:
    """Carry out the checks of submissions on these targets until SIGTERM or SIGINT.

    Raises ``TargetError`` for a target that the service has not, ``StoreError`` where the blobs are
    another store's, ``EngineError`` where the engine does not start, or another worker of that
    name lives.
    """
    refuse_unknown(choices.targets, working.targets)
    refuse_other_blobs(place.store)
    role = f"worker {working.name or ' '.join(sorted(working.targets))}"
    post = post_of(place.settings, role, working.targets, control=False, slots=working.slots)
    commissioned = build_executor(
        place, choices.targets, allow_recipes=choices.recipes, open_at_most=working.slots
    )
    engine, targets = (
        DrainedEngine(
            post, SpannedWork(commissioned, choices.spans), ServiceStore(place.store).owner
        ),
        list[Json](working.targets),
    )
    try:
        with told_to_stop() as stop:
            engine.launch()
            say({"event": "working", "targets": targets, "executor": post.executor})
            mine = [choices.targets[name] for name in working.targets]
            Sighter(place.store, post.executor, mine, say).look()
            stop.wait()
            engine.stop(working.drain)
    finally:
        commissioned.close()
        choices.spans.close()
    say({"event": "stopped"})
