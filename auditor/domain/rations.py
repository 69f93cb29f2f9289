"""How much callers and projects of a service may ask of it."""

from dataclasses import dataclass, fields, replace

from auditor.errors import UsageError

GIB = 2**30
IN_GIB = frozenset({"upload", "stored"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rations:
    """The most that is given; 0 of anything is as much as anybody asks for.

    ``reads`` and ``writes`` are calls of a caller a minute, ``upload`` a caller's bytes an hour,
    ``failures`` the calls a minute without a key that holds from one address. Of a project,
    ``stored`` are the bytes of its uploads, and ``waiting`` its audits that have not ended.
    ``keys`` are the days that a new key may hold.
    """

    reads: int = 6000
    writes: int = 600
    upload: int = 200 * GIB
    failures: int = 100
    stored: int = 1000 * GIB
    waiting: int = 1000
    keys: int = 366


def read_rations(said: tuple[str, ...]) -> Rations:
    """Read ``NAME=N`` texts over the usual ones; bytes are given in GiB. Raises ``UsageError``."""
    names = [item.name for item in fields(Rations)]
    found = {}
    for text in said:
        name, _, number = text.partition("=")
        if name not in names or not (number.isascii() and number.isdecimal() and len(number) < 10):  # noqa: PLR2004 -- digits
            raise UsageError(
                f"{text[:80]!r} is no limit",
                cure=f"Write NAME=N with a whole number and one of {', '.join(names)}.",
            )
        found[name] = int(number) * (GIB if name in IN_GIB else 1)
    return replace(Rations(), **found)
