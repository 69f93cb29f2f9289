"""What a child said or how it ended, in words that are safe to show."""

import re
import signal

from auditor.errors import ModelCrashedError, ModelOutgrewMemoryError, SubjectLostError

MOST_WORDS = 1000
LAST_LINES = 3
FIRST_SIGNAL = 128  # a wrapper such as bubblewrap reports the signal n as the status 128 + n
OUT_OF_MEMORY = re.compile(
    rb"bad_alloc|MemoryError|[Ff]ailed to allocate|[Cc]annot allocate|[Oo]ut of memory|"
    rb"can't allocate memory"
)
_CONTROL = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def plain(text: str, most: int = MOST_WORDS) -> str:
    """Return ``text`` without control characters, cut to ``most`` characters."""
    return _CONTROL.sub("", text).strip()[:most]


def cause_of_death(
    title: str, status: int | None, tail: bytes, memory_limit: int
) -> SubjectLostError:
    """Say why a process ended, from its exit status and the end of its standard error."""
    number = _signal(status)
    if number == signal.SIGKILL or OUT_OF_MEMORY.search(tail):
        return ModelOutgrewMemoryError(
            f"{title} asked for more memory than it has "
            f"({memory_limit / 2**30:.3g} GiB){last_words(tail)}",
            cure="Raise the target's `memory_limit`, or use a smaller model.",
        )
    return ModelCrashedError(
        f"{title} died ({_ending(status, number)}){last_words(tail)}",
        cure="Run the model alone in onnxruntime to see the crash; an update of onnxruntime or a "
        "new export of the model may mend it.",
    )


def _signal(status: int | None) -> int | None:
    if status is None or 0 <= status <= FIRST_SIGNAL:
        return None
    return -status if status < 0 else status - FIRST_SIGNAL


def _ending(status: int | None, number: int | None) -> str:
    if number is not None:
        try:
            return signal.Signals(number).name
        except ValueError:
            return f"signal {number}"
    return "it closed its pipe" if status is None else f"exit status {status}"


def last_words(tail: bytes) -> str:
    """Return the last lines of what a process said, after a colon; nothing where it was silent."""
    text = tail.decode("utf-8", errors="replace")
    lines = [plain(line, 300) for line in text.splitlines() if plain(line)]
    return f": {' | '.join(lines[-LAST_LINES:])}" if lines else ""
