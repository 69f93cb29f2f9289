"""Audits that are handed in, and what becomes of them as their caller sees it."""

import time
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from auditor.domain.budgets import Budget
from auditor.domain.targets import TargetSpec
from auditor.service.client.api import ServiceClient
from auditor.service.client.submission import build_order, list_upload_sources
from auditor.service.domain.submissions import ENDED, AuditOrder
from auditor.targets.target_specs import find_known_target
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.wiring import build_path_resolver, build_resolvers, read_audit_bytes

WAIT = 600


@dataclass
class Orders:
    """The same audit again and again: those that are open, and how the others ended."""

    client: ServiceClient
    order: AuditOrder
    open: dict[str, float] = field(default_factory=dict)
    ended: dict[str, str] = field(default_factory=dict)
    slowest: float = 0.0

    def keep_open(self, count: int) -> None:
        """Hand in as many as lack."""
        self.look()
        while len(self.open) < count:
            number = len(self.open) + len(self.ended)
            standing = self.client.submit(self.order, f"soak {number}")
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
) -> AuditOrder:
    """Upload what an audit needs, and return the order for it, under its own budget or smoke."""
    known = {item.name: TargetSpec(item.name) for item in client.offer().targets}
    parts = replace(
        build_resolvers(audit_file.parent, targets={}),
        resolve_target=partial(find_known_target, known=known),
    )
    raw, budget = read_audit_bytes(audit_file), Budget.SMOKE if smoke else None
    asked = read_overridden_audit_file(raw, audit_file.name, parts, budget=budget, only=checks)
    with prepare_audit(asked, build_path_resolver(audit_file), parts) as prepared:
        client.upload(
            client.lacking(list_upload_sources(prepared, build_path_resolver(audit_file)))
        )
        return build_order(prepared, WAIT)
