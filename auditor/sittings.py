"""Subjects that stay open from one check of a submission to the next."""

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass

from auditor.domain.subjects import Subject
from auditor.domain.submissions import Submission
from auditor.preparing import Prepared

Open = Callable[[Submission, str], "AbstractContextManager[Sitting]"]


@dataclass(frozen=True, slots=True)
class Sitting:
    """An audit that is prepared, and its subject on one target."""

    prepared: Prepared
    subject: Subject


class Sittings:
    """Opens sittings, and keeps the last ``most`` that are not in use for their next checks.

    Two checks at once, as on two targets, have a sitting each.
    """

    def __init__(self, opened: Open, most: int = 1) -> None:
        self._opened = opened
        self._most = most
        self._idle: dict[tuple[str, str], tuple[Sitting, ExitStack]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def at(self, submission: Submission, target: str) -> Iterator[Sitting]:
        """Sit down to a submission on one target; after an exception nobody sits there again."""
        with ExitStack() as stack:
            sitting = self._taken(submission, target, stack)
            yield sitting
            self._leave((submission.id, target), sitting, stack.pop_all())

    def close(self, submission: str | None = None) -> None:
        """Close what is idle, of one submission or of all."""
        with self._lock:
            names = [name for name in self._idle if submission in {None, name[0]}]
        self._close(names)

    def _close(self, names: Sequence[tuple[str, str]]) -> None:
        with self._lock:
            found = [self._idle.pop(name, None) for name in names]
        for item in found:
            if item is not None:
                item[1].close()

    def _make_room(self) -> None:
        with self._lock:
            oldest = list(self._idle)[: max(0, len(self._idle) - self._most + 1)]
        self._close(oldest)

    def _taken(self, submission: Submission, target: str, stack: ExitStack) -> Sitting:
        with self._lock:
            found = self._idle.pop((submission.id, target), None)
        if found is None:
            self._make_room()
            return stack.enter_context(self._opened(submission, target))
        sitting, open_ = found
        stack.push(open_.pop_all())
        return sitting

    def _leave(self, name: tuple[str, str], sitting: Sitting, stack: ExitStack) -> None:
        self._make_room()
        with self._lock:
            self._idle[name] = (sitting, stack)
