"""Start a service on this machine: its engine with the work of audits, and its doors."""

from dataclasses import replace

from auditor.serving.apart import Apart
from auditor.serving.choosing import Bind, Choices, post_of
from auditor.serving.draining import DrainedEngine
from auditor.serving.offering import offering
from auditor.serving.running import Say, serve
from auditor.serving.sighting import Sighter
from auditor.serving.spanning import SpannedWork
from auditor.store.service.store import ServiceStore
from auditor.workplaces import Workplace


def start(place: Workplace, choices: Choices, bind: Bind, say: Say, *, work: bool = True) -> None:
    """Serve until told to stop. With ``work`` the checks of audits are carried out as well.

    This process only answers: what is done for audits is done in another beside it.

    Raises ``UsageError`` where the address cannot be had, ``EngineError`` where the engine does
    not start, and ``MissingExtraError`` where a part is not installed.
    """
    targets = tuple(it for it in choices.targets if it not in choices.agents) if work else ()
    post = replace(post_of(place.settings, "serve", targets, control=True), offered=choices.agents)
    apart = Apart(place, choices, post.slots)
    try:
        offers = offering(ServiceStore(place.store), choices) if choices.agents else None
        spanned = SpannedWork(apart, choices.spans)
        looks = Sighter(place.store, post.executor, [choices.targets[it] for it in targets], say)
        serve(
            place,
            DrainedEngine(post, spanned, ServiceStore(place.store).owner, offers),
            choices,
            bind,
            say,
            looks,
        )
    finally:
        apart.close()
        choices.spans.close()
