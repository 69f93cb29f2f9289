"""How much was asked for by requests, remembered: what has a digest is never another."""

import threading
from collections import OrderedDict
from collections.abc import Collection
from dataclasses import dataclass, field

from sqlalchemy import select
from sqlalchemy.orm import Session

from auditor.domain.budgets import Budget
from auditor.domain.canonical import digest as digest_of
from auditor.domain.canonical import parse
from auditor.domain.json_parts import Part
from auditor.errors import StoreError
from auditor.store.tables import RequestRow

MOST = 20_000
"""Of so many requests it is remembered, which takes a few megabytes."""


@dataclass(frozen=True, slots=True)
class Extent:
    """How much a request asked for: within which budget, and whether by all checks."""

    budget: Budget
    every: bool

    def covers(self, least: Budget) -> bool:
        """Whether it is as much as a policy asks."""
        return self.every and self.budget.covers(least)


@dataclass(slots=True)
class Extents:
    """Tells how much requests of a store asked for, and reads each once."""

    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: OrderedDict[str, Extent] = field(default_factory=OrderedDict)

    def of(self, session: Session, requests: Collection[str]) -> dict[str, Extent]:
        """Return the extents of requests by their digests; unknown ones are one question.

        Raises ``StoreError`` for a request that is missing or damaged.
        """
        with self._lock:
            known = {it: self._known[it] for it in requests if it in self._known}
        missing = [it for it in requests if it not in known]
        if missing:
            row = RequestRow
            asked = select(row.digest, row.body).where(row.digest.in_(missing))
            found = {name: _read(name, body) for name, body in session.execute(asked)}
            for name in missing:
                if name not in found:
                    raise _damaged(name)
            self._keep(found)
            known |= found
        return known

    def _keep(self, found: dict[str, Extent]) -> None:
        with self._lock:
            self._known |= found
            while len(self._known) > MOST:
                self._known.popitem(last=False)


def _read(name: str, body: str) -> Extent:
    raw = body.encode()
    if digest_of(raw) != name:
        raise _damaged(name)
    part = Part(parse(raw), "request")
    return Extent(part.choice("budget", Budget), not part.texts("only"))


def _damaged(name: str) -> StoreError:
    return StoreError(
        f"the request {name} is missing or damaged", cure="Restore the database from a copy."
    )
