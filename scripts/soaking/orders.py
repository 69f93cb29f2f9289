"""Audits that are handed in, and what becomes of them as their caller sees it."""

import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from auditor.client.orders import Order, files_of, order_of
from auditor.client.service import ServiceClient
from auditor.domain.budgets import Budget
from auditor.domain.submissions import ENDED
from auditor.domain.targets import TargetSpec
from auditor.preparing import Overrides, prepare, read_asked
from auditor.targets.resolving import known_target
from auditor.wiring import beside, read_audit_bytes, readers

WAIT = 600


@dataclass
class Orders:
    """The same audit again and again: those that are open, and how the others ended."""

    client: ServiceClient
    order: Order
    open: dict[str, float] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0

    def keep_open(self, count: int) -> None:
        """Hand in as many as lack."""
        self.look()
        while len(self.open) < count:
            number = len(self.open) + len(self.ended)
            standing = self.client.submit(replace(self.order, once=f"{self.order.once} {number}"))
            self.open[standing.id] = time.monotonic()

    def look(self) -> None:
        """See which have ended."""
        for name, since in list(self.open.items()):
            state = self.client.standing(name).state
            if state in ENDED:
                self.ended[name] = state.value
                self.slowest = max(self.slowest, time.monotonic() - since)
                del self.open[name]


def order_for(
    client: ServiceClient, audit_file: Path, checks: tuple[str, ...], *, smoke: bool = False
) -> Order:
    """Upload what an audit needs, and return the order for it, under its own budget or smoke."""
    known = {item.name: TargetSpec(item.name) for item in client.offer().targets}
    parts = replace(
        readers(audit_file.parent, targets={}), resolve_target=partial(known_target, known=known)
    )
    overrides = Overrides(only=checks, budget=Budget.SMOKE if smoke else None)
    asked = read_asked(read_audit_bytes(audit_file), audit_file.name, overrides, parts)
    with prepare(asked, beside(audit_file), overrides, parts) as prepared:
        client.upload(client.lacking(files_of(prepared, beside(audit_file))))
        return order_of(prepared, WAIT, "soak")
