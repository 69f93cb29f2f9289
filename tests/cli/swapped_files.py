"""A file that becomes another one as soon as somebody has read it once."""

import ctypes
import os
import select
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

CLOSED_UNWRITTEN = 0x10
"""inotify(7), IN_CLOSE_NOWRITE: somebody who only read the file has closed it."""
LONGEST = 120.0


@contextmanager
def swapped_once_read(path: Path, raw: bytes) -> Iterator[threading.Event]:
    """Put other bytes in the place of a file after its first reader; the event says it happened.

    The kernel tells of it, so that no code of ours has to be changed to act in between.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    watch = libc.inotify_init()
    assert watch >= 0
    assert libc.inotify_add_watch(watch, os.fsencode(path), CLOSED_UNWRITTEN) >= 0
    # Beside the folder, not in it: whoever lists the folder meanwhile would find one file too many
    other = path.parent.with_name(f".{path.name}")
    other.write_bytes(raw)
    done, over = threading.Event(), threading.Event()

    def act() -> None:
        while not over.is_set():
            if select.select([watch], [], [], 0.01)[0]:
                other.replace(path)
                done.set()
                return

    thread = threading.Thread(target=act, daemon=True)
    thread.start()
    try:
        yield done
    finally:
        over.set()
        thread.join(LONGEST)
        os.close(watch)
