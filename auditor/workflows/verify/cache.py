"""Cache of verification results for files that have not changed on disk."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Iterable
from pathlib import Path

from auditor.domain.verification_steps import VerificationStep, all_hold

Marks = tuple[tuple[int, int, int], ...]


def read_file_marks(paths: Iterable[Path]) -> Marks:
    """Return by what a changed file is known: where it lies, its size, and when it was written.

    Raises ``OSError`` for a file that is not there.
    """
    found = (path.stat() for path in paths)
    return tuple((it.st_ino, it.st_size, it.st_mtime_ns) for it in found)


class VerificationCache:
    """Remembers folders all of whose steps hold, until one of their files is another.

    Verifying rests on nothing but the files, the key, and the code of this process.
    """

    def __init__(self, most: int = 2000) -> None:
        self._most = most
        self._steps: OrderedDict[tuple[str, bytes], tuple[Marks, tuple[VerificationStep, ...]]] = (
            OrderedDict()
        )
        self._lock = threading.Lock()

    def known(self, files: str, key: bytes, found: Marks) -> tuple[VerificationStep, ...] | None:
        """Return the steps of the folder of a manifest under a key, if it is as it was then."""
        with self._lock:
            known = self._steps.get((files, key))
        return known[1] if known is not None and known[0] == found else None

    def steps(
        self,
        files: str,
        key: bytes,
        found: Marks,
        verify: Callable[[], tuple[VerificationStep, ...]],
    ) -> tuple[VerificationStep, ...]:
        """Return the steps of the folder of a manifest under a key, as they are or as they were."""
        known = self.known(files, key, found)
        if known is not None:
            return known
        steps = verify()
        if all_hold(steps):
            with self._lock:
                self._steps[files, key] = found, steps
                self._steps.move_to_end((files, key))
                while len(self._steps) > self._most:
                    self._steps.popitem(last=False)
        return steps
