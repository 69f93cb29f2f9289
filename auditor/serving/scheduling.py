"""Put together what a service does upon schedules, and how it tells web hooks."""

from functools import cache, partial
from pathlib import Path

from auditor.desks import Desk
from auditor.domain.record_json import read_record
from auditor.errors import RecordError
from auditor.gatekeeping import Gatekeeper
from auditor.hooks.addresses import HookRules, look_up
from auditor.hooks.delivering import Messenger
from auditor.hooks.sending import Sender
from auditor.hooks.signing import secret_key
from auditor.hooks.telling import Teller
from auditor.schedules.parts import Scheduler
from auditor.schedules.places import Roots
from auditor.store.service.arrivals import KeptArrivals
from auditor.store.service.hook_deliveries import KeptDeliveries
from auditor.store.service.hooks import KeptHooks
from auditor.store.service.schedule_runs import KeptRuns
from auditor.store.service.schedules import KeptSchedules
from auditor.store.service.sightings import Sightings
from auditor.store.service.store import ServiceStore
from auditor.store.service.trends import KeptTrends
from auditor.store.store import Store
from auditor.uploading import Intake

HOOK_KEY = Path("service") / "hooks.key"
"""Where the key lies that secrets of web hooks follow from, below ``AUDITOR_HOME``."""
AT_ONCE = 50


def scheduler_of(desk: Desk, gatekeeper: Gatekeeper, intake: Intake, roots: Roots) -> Scheduler:
    """Return what schedules need of a service; ``roots`` are the places that may be watched."""
    store = desk.kept.store
    return Scheduler(
        kept=KeptSchedules(store),
        runs=KeptRuns(store),
        trends=KeptTrends(store),
        desk=desk,
        gate=gatekeeper.ask,
        people=gatekeeper.people,
        sightings=Sightings(store),
        arrivals=KeptArrivals(store),
        intake=intake,
        roots=roots,
    )


def messenger_of(kept: ServiceStore, desk: Desk, home: Path, rules: HookRules) -> Messenger:
    """Return what delivers messages to web hooks; its key is made when the first one is."""
    return Messenger(
        kept=KeptHooks(kept.store),
        deliveries=KeptDeliveries(kept.store),
        teller=Teller(kept, rules.public),
        key=cache(partial(secret_key, home / HOOK_KEY)),
        sender=Sender(rules=rules, look=look_up),
        clock=desk.clock,
    )


class Earlier:
    """Keeps the trends of records that were made before there were any, a few at a time."""

    def __init__(self, store: Store) -> None:
        self._trends = KeptTrends(store)
        self._last: str | None = ""

    def note(self) -> None:
        """Go on from where it stood; once all was seen, nothing is looked for any more."""
        if self._last is None:
            return
        found = self._trends.missing(self._last, AT_ONCE)
        for submission, project, body in found:
            try:
                self._trends.note(submission, project, read_record(body))
            except RecordError:
                continue  # of a version that this one does not read: it has no trends here
        self._last = found[-1][0] if found else None
