"""What differs around the figures of two records: what was asked, of what, where, and how."""

from collections.abc import Iterator, Mapping

from auditor.domain.checks import Check
from auditor.domain.records import AuditRecord, Observation
from auditor.moving.values import Difference, Incomparable

SHOWN_PARAMETERS = 4


def differences(before: AuditRecord, after: AuditRecord) -> tuple[Difference, ...]:
    """Return what differs between two requests and between what answered them."""
    old, new = _told(before), _told(after)
    names = dict.fromkeys((*old, *new))
    found = (Difference(name, old.get(name, ""), new.get(name, "")) for name in names)
    return tuple(item for item in found if item.before != item.after)


def _told(record: AuditRecord) -> dict[str, str]:
    request, artifact = record.request, record.request.artifact
    told = {
        "verdict": record.verdict.value,
        "model": request.name,
        "version": request.version,
        "artifact": "none" if artifact is None else artifact.digest,
        "policy": f"{request.policy.name} {request.policy.version}",
        "policy digest": request.policy.digest,
        "budget": request.budget.value,
        "seed": str(request.seed),
        "checks asked for": ", ".join(sorted(request.only)) or "all",
        "assurance": record.assurance.name,
    }
    counted: dict[str, list[str]] = {}
    for item in request.datasets:
        counted.setdefault(f"{item.role} data", []).append(f"{item.digest} ({item.rows} rows)")
    told |= {name: ", ".join(parts) for name, parts in counted.items()}
    for target in request.targets:
        print_ = record.fingerprints.get(target.name)
        told[f"target {target.name}"] = "not met" if print_ is None else print_.identity
    told["auditor"] = str(record.tool.get("version", ""))
    return told


def incomparable(
    before: AuditRecord, after: AuditRecord, checks: Mapping[str, type[Check]]
) -> tuple[Incomparable, ...]:
    """Return the checks that both records saw and that did not ask the same.

    Another version of a check may measure otherwise, and so do other parameters; a grid may hold
    other values, for each of its figures is compared with the one at the same value.
    """
    old, new = _seen(before), _seen(after)
    return tuple(
        Incomparable(*place, reason)
        for place in old
        if place in new and (reason := _reason(old[place], new[place], checks.get(place[1])))
    )


def _seen(record: AuditRecord) -> dict[tuple[str, str], Observation]:
    return {(item.target, item.check): item for item in record.observations}


def _reason(before: Observation, after: Observation, check: type[Check] | None) -> str:
    if before.version != after.version:
        return f"version {before.version} of the check before, version {after.version} after"
    grids = frozenset() if check is None else frozenset(check.grid.values())
    other = list(_other(before, after, grids))
    shown = "; ".join(other[:SHOWN_PARAMETERS])
    return f"other parameters: {shown}" if other else ""


def _other(before: Observation, after: Observation, grids: frozenset[str]) -> Iterator[str]:
    for name in sorted({*before.params, *after.params} - grids):
        old, new = before.params.get(name), after.params.get(name)
        if old != new:
            yield f"{name} was {old}, and is {new}"
