"""What a case expects of rules: read from ``rule``, ``rule@target``, ``rule[sex=F]`` or both."""

import re
from collections.abc import Mapping, Sequence

from auditor.documents import Document, Place
from auditor.domain.policies import Policy
from auditor.domain.verdicts import Outcome
from auditor.errors import PolicyError
from auditor.packs.cases.cases import Expectation

OWN = tuple(f"policy.least_{it}" for it in ("budget", "assurance", "evidence", "isolation"))
"""What a policy asks of the audit itself, which its findings show as rules."""

_WRITTEN = re.compile(r"(?P<rule>[a-z0-9._-]+)(?:@(?P<target>[^\[\]]+))?(?P<place>\[[^\[\]]+\])?")


def expectations(
    outcomes: Mapping[str, Outcome],
    policy: Policy,
    targets: Sequence[str],
    document: Document,
    place: Place,
) -> tuple[Expectation, ...]:
    """Return what is expected. Raises ``PolicyError`` for a rule or target that is not there."""
    return tuple(
        _expectation(
            written, outcome, policy, targets, document.where((*place, "outcomes", written))
        )
        for written, outcome in outcomes.items()
    )


def _expectation(
    written: str, outcome: Outcome, policy: Policy, targets: Sequence[str], where: str
) -> Expectation:
    found = _WRITTEN.fullmatch(written)
    if found is None:
        raise PolicyError(
            f"{where}: {written!r} is no name of a finding",
            cure="Write rule, rule@target, rule[slice=value] or rule@target[slice=value].",
        )
    known = [*(rule.id for rule in policy.rules), *OWN]
    if found["rule"] not in known:
        raise PolicyError(
            f"{where}: {policy.name} has no rule {found['rule']!r}",
            cure=f"Its rules are {', '.join(known)}.",
        )
    target = found["target"] or ""
    if target and target not in targets:
        raise PolicyError(
            f"{where}: the case has no target {target!r}",
            cure=f"Its targets are {', '.join(targets)}.",
        )
    inside = (found["place"] or "").strip("[]")
    parts = sorted(part.strip() for part in inside.split(",") if part.strip())
    slice_ = f"[{','.join(parts)}]" if parts else ""
    return Expectation(written, found["rule"], target, slice_, outcome)
