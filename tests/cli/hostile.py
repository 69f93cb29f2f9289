"""One way to break the small audit, and what the command must say to it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

Break = Callable[[Path], object]
AUDIT = ("audit", "audit.yaml", "--only", "quality.accuracy", "--out", "out")


@dataclass(frozen=True)
class Case:
    """How the folder is broken, and what is said: the thing, the place and the cure.

    ``command`` holds the arguments; those that name something in the folder are put below it.
    ``gap`` is the reason that the record gives for what is missing, where there is a record.
    """

    says: tuple[str, ...]
    breaks: Break
    code: int = 2
    gap: str = ""
    command: tuple[str, ...] = AUDIT
    slow: bool = False

    def asking(self, *command: str, code: int | None = None) -> "Case":
        """The same break, met by another command."""
        return replace(self, command=command, code=self.code if code is None else code)


def missing(name: str) -> Break:
    return lambda folder: (folder / name).unlink()


def written(name: str, content: str | bytes) -> Break:
    raw = content.encode() if isinstance(content, str) else content
    return lambda folder: (folder / name).write_bytes(raw)


def cut(name: str, share: float) -> Break:
    def shorten(folder: Path) -> None:
        raw = (folder / name).read_bytes()
        (folder / name).write_bytes(raw[: int(len(raw) * share)])

    return shorten


def edited(name: str, *pairs: tuple[str, str]) -> Break:
    """Replace each old text, which must be there, by the new one."""

    def edit(folder: Path) -> None:
        text = (folder / name).read_text()
        for old, new in pairs:
            assert old in text, old
            text = text.replace(old, new, 1)
        (folder / name).write_text(text)

    return edit


def swapped(name: str, make: Break) -> Break:
    """Put something else in the place of a file."""

    def swap(folder: Path) -> None:
        (folder / name).unlink()
        make(folder / name)

    return swap


def both(*breaks: Break) -> Break:
    def run(folder: Path) -> None:
        for one in breaks:
            one(folder)

    return run
