"""Passwords of private keys and PINs of tokens: from a file that is named, else by asking."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from auditor.errors import KeyFileError

PASSWORD_FILE = "AUDITOR_PASSWORD_FILE"  # noqa: S105 -- the variable that names a file
MOST_BYTES = 1024
Ask = Callable[[str], str]
"""Asks whoever sits there for the password of what is named."""


@dataclass(frozen=True, slots=True)
class Passwords:
    """How a password is found out: ``file`` holds it on its first line; else ``ask`` asks.

    Without either there is nobody to be asked. A password never comes from a command line, which
    every user of a machine can read.
    """

    file: Path | None = None
    ask: Ask | None = None

    def of(self, what: str) -> bytes:
        """Return the password of ``what``. Raises ``KeyFileError`` where there is none."""
        if self.file is not None:
            return read_password(self.file)
        if self.ask is None:
            raise KeyFileError(
                f"{what} is locked, no password was given, and nobody is there to be asked",
                cure=f"Name a file whose first line is the password: {PASSWORD_FILE}=FILE.",
            )
        return refuse_empty(self.ask(what).encode(), "what was typed")


NOBODY = Passwords()
"""Nobody is there who knows a password."""


def read_password(path: Path) -> bytes:
    """Return the first line of a file. Raises ``KeyFileError`` where it cannot be a password."""
    try:
        with path.open("rb") as file:
            raw = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise KeyFileError(
            f"the password file {path} cannot be read: {error.strerror}",
            cure="Name a file whose first line is the password.",
        ) from None
    if len(raw) > MOST_BYTES:
        raise KeyFileError(
            f"the password file {path} has more than {MOST_BYTES} bytes",
            cure="Name a file whose first line is the password, and nothing else.",
        )
    return refuse_empty(raw.partition(b"\n")[0].removesuffix(b"\r"), f"the first line of {path}")


def refuse_empty(password: bytes, source: str) -> bytes:
    """Return a password. Raises ``KeyFileError`` for one that locks nothing."""
    if not password:
        raise KeyFileError(f"{source} is empty, which is no password", cure="Give a password.")
    return password
