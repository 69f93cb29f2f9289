"""The ledger of whoever called the command, for those that need none of an audit's parts."""

from collections.abc import Iterator
from contextlib import contextmanager

from auditor.cli.asking import passwords
from auditor.clock import now
from auditor.keeping import note_keys, open_kept
from auditor.settings import Settings
from auditor.store.store import Store


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
