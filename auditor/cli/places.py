"""The workplace of whoever called the command, with passwords asked for where that is needed."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from auditor.cli.asking import passwords
from auditor.keeping import note_keys, open_kept
from auditor.settings import Settings
from auditor.store.store import Store
from auditor.wiring import now
from auditor.workplaces import Workplace, workplace


def own_workplace() -> AbstractContextManager[Workplace]:
    """Open the store, its ledger and the signer that the environment names."""
    settings = Settings.from_environment()
    return workplace(settings, passwords(settings))


@contextmanager
def own_ledger() -> Iterator[Store]:
    """Open the store with the ledger's key alone; a ledger that was not begun begins."""
    settings = Settings.from_environment()
    store, _ = open_kept(settings.place, passwords(settings))
    try:
        note_keys(store, {}, now())
        yield store
    finally:
        store.close()
