"""Files of SQLite that several processes open: private from the start, settled with patience."""

import errno
import os
import sqlite3
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

PATIENCE = 30_000
"""Milliseconds for which SQLite waits for another process that is writing."""
PAUSE = 0.01
PRIVATE_FILE = 0o600


def make_private(path: Path) -> None:
    """Make a file before SQLite does, so that it is private from its first moment on.

    One that is there is not opened: closing it would let go of every lock that this process has on
    it, and another process would then take what is written ahead for nobody's. Raises ``OSError``.
    """
    if path.is_dir():
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, PRIVATE_FILE))


def settle(connection: Any, settings: Iterable[str]) -> None:  # noqa: ANN401 -- the driver's own type
    """Make settings of a connection; SQLite itself does not wait for others who turn to WAL too."""
    for setting in settings:
        _insist(connection, setting)


def _insist(connection: Any, setting: str) -> None:  # noqa: ANN401 -- the driver's own type
    until = time.monotonic() + PATIENCE / 1000
    while True:
        try:
            connection.execute(setting)
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(PAUSE)
        else:
            return
