"""Differences between two records beside their figures: declarations, requests and targets.

A figure that rests on a changed declaration is comparable with none of the other record.
"""

from collections.abc import Iterator, Mapping

from auditor.domain.checks import Check, Need, measures_device, uses_need
from auditor.domain.json import Json
from auditor.domain.name_suggestions import format_name_list
from auditor.domain.number_text import format_setting
from auditor.domain.pinned_settings import DEFAULTS, EASING
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.tasks import FAVOURABLE, POSITIVE
from auditor.policy.record_comparison_result import (
    ContextDifference,
    IncomparableCheck,
    MetricPlace,
)

SPACE_SETTINGS = frozenset(
    {"input.quantum", "input.immutable", "input.directions", "input.relations", "input.domain",
     "input.features", "input.text"}
)  # fmt: skip
"""Settings that only change which inputs an attack may reach."""
DECISION_SETTINGS = frozenset(
    {"task.threshold", "task.costs", "task.reject", "task.tolerance", "task.classes",
     "task.positive", "task.favourable", "task.output", "data.evaluation.cluster",
     "data.evaluation.labels"}
)  # fmt: skip
"""Settings that change which answers count as wrong, or how many rows an interval counts."""
OF_SPACE = frozenset({Need.SPACE, Need.TEXT})
OF_DECISIONS = frozenset(
    {Need.LABELS, Need.CLASSIFICATION, Need.REGRESSION, Need.GROUPS, *OF_SPACE}
)
REACH = {"movable": "movable inputs", "eps_absolute": "largest change of an input"}
"""What an attack's figure says of the inputs that it could reach, in words."""
UNSET = "not set"


def find_declaration_changes(
    before: AuditRecord, after: AuditRecord
) -> tuple[ContextDifference, ...]:
    """Return the declarations of the owner and parameters of the policy that are not the same.

    Parameters are not listed where the budget differs, which changes those of most checks.
    """
    old, new = _declarations(before), _declarations(after)
    every = _says_all(before) and _says_all(after)
    names = [
        name
        for name in dict.fromkeys((*old, *new))
        if name in EASING or every or (name in old and name in new)
    ]
    settings = [(name, old.get(name), new.get(name)) for name in names]
    tags = [", ".join(sorted(it.request.tags)) or None for it in (before, after)]
    claims = [it.request.claims for it in (before, after)]
    claimed: list[tuple[str, Json, Json]] = [
        (f"claims.{name}", claims[0].get(name), claims[1].get(name))
        for name in dict.fromkeys((*claims[0], *claims[1]))
    ]
    rows: list[tuple[str, Json, Json]] = [
        *settings,
        ("tags", tags[0], tags[1]),
        *claimed,
        *_parameters(before, after),
    ]
    return tuple(
        ContextDifference(name, _write(name, was), _write(name, now))
        for name, was, now in rows
        if was != now
    )


def _declarations(record: AuditRecord) -> dict[str, Json]:
    """Return what a record declares; the classes that figures name are declared, too."""
    found = dict(record.request.declared or {})
    found.pop("model.tags", None)
    for setting, name in (("task.positive", POSITIVE), ("task.favourable", FAVOURABLE)):
        details = (it.details for it in record.readings if isinstance(it, Measurement))
        named = next((it[name] for it in details if name in it), None)
        if named is not None:
            found.setdefault(setting, named)
    return found


def _says_all(record: AuditRecord) -> bool:
    """Whether a record says all settings, as it does where its policy pins any."""
    return any(name not in EASING for name in record.request.declared or {})


def _parameters(before: AuditRecord, after: AuditRecord) -> Iterator[tuple[str, Json, Json]]:
    if before.request.budget is not after.request.budget:
        return
    old, new = ({it.check: it for it in side.observations} for side in (before, after))
    for check in (it for it in old if it in new and old[it].version == new[it].version):
        was, now = old[check].params, new[check].params
        for name in dict.fromkeys((*was, *now)):
            yield f"{check} {name}", was.get(name), now.get(name)


def _write(name: str, value: Json) -> str:
    known = DEFAULTS.get(name) if value is None else value
    return UNSET if known is None else format_setting(known)


SHOWN_PARAMETERS = 4
SHOWN_FACTS = 4
"""Facts of a target that are shown where others differ too: the shortest, so versions first."""


def find_differences(before: AuditRecord, after: AuditRecord) -> tuple[ContextDifference, ...]:
    """Return what differs between two requests and between what answered them."""
    old, new = _told(before), _told(after)
    names = dict.fromkeys((*old, *new))
    found = [ContextDifference(name, old.get(name, ""), new.get(name, "")) for name in names]
    for target in (it for it in before.fingerprints if it in after.fingerprints):
        was, now = (_facts(it.fingerprints[target].identity_facts) for it in (before, after))
        told = [sorted(sorted(it), key=len) for it in (was - now, now - was)]
        words = [format_name_list(it, SHOWN_FACTS) for it in told]
        found.append(ContextDifference(f"facts of target {target}", *words))
    return tuple(item for item in found if item.before != item.after)


def _facts(found: Json, name: str = "") -> frozenset[str]:
    """Return each fact in words, such as ``runtime version 1.32.0`` and ``cpu flags avx2``."""
    if isinstance(found, Mapping):
        parts = [
            _facts(item, f"{name} {key.replace('_', ' ')}".strip()) for key, item in found.items()
        ]
    elif isinstance(found, list | tuple):
        parts = [_facts(item, name) for item in found]
    else:
        return frozenset({f"{name} {found}"})
    return frozenset[str]().union(*parts)


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


def find_incomparable_checks(
    before: AuditRecord,
    after: AuditRecord,
    checks: Mapping[str, type[Check]],
    declared: tuple[ContextDifference, ...],
) -> tuple[IncomparableCheck, ...]:
    """Return the checks that both records saw and that did not ask the same.

    Another version of a check may measure otherwise, and so do other parameters; a grid may hold
    other values, for each of its figures is compared with the one at the same value. Nor are
    figures comparable that rest on a setting in ``declared``, or on other inputs to attack.
    """
    old, new = _seen(before), _seen(after)
    reach = _find_other_reach(before, after)
    measured = [place for place in _measured(before) if place in _measured(after)]
    found = []
    for place in dict.fromkeys((*(it for it in old if it in new), *measured)):
        check = checks.get(place[1])
        reasons = [_reason(old[place], new[place], check)] if place in old and place in new else []
        if place in measured:
            reasons += [_show_change(it) for it in declared if _rests_on(check, it.name)]
            reasons.append(reach.get(place, ""))
        if reason := "; ".join(filter(None, reasons)):
            found.append(IncomparableCheck(*place, reason))
    return tuple(found)


def _show_change(change: ContextDifference) -> str:
    return f"{change.name} {change.before} \N{RIGHTWARDS ARROW} {change.after}"


def _measured(record: AuditRecord) -> dict[tuple[str, str], None]:
    figures = (it for it in record.readings if isinstance(it, Measurement))
    return dict.fromkeys((it.target, it.check) for it in figures)


def _rests_on(check: type[Check] | None, setting: str) -> bool:
    """Whether figures of a check can change with a setting; of an unknown check, they can."""
    if setting not in SPACE_SETTINGS and setting not in DECISION_SETTINGS:
        return False
    if check is None:
        return True
    if setting in SPACE_SETTINGS:
        return any(uses_need(check, need) for need in OF_SPACE)
    decides = uses_need(check, Need.MODEL) or uses_need(check, Need.SCORES)
    judged = any(uses_need(check, need) for need in OF_DECISIONS)
    return decides and (judged or not measures_device(check))


def _find_other_reach(before: AuditRecord, after: AuditRecord) -> dict[tuple[str, str], str]:
    """Return the attacks on models of equally many inputs that could not reach the same."""
    found: dict[tuple[str, str], str] = {}
    old, new = (
        {MetricPlace.of(it): it.details for it in record.readings if isinstance(it, Measurement)}
        for record in (before, after)
    )
    for place in (it for it in old if it in new):
        was, now = old[place], new[place]
        if was.get("coordinates") != now.get("coordinates"):
            continue
        for name, words in REACH.items():
            if name in was and name in now and was[name] != now[name]:
                told = ContextDifference(words, *(_write("", it[name]) for it in (was, now)))
                found.setdefault((place.target, place.check), _show_change(told))
    return found


def _seen(record: AuditRecord) -> dict[tuple[str, str], CheckObservation]:
    return {(item.target, item.check): item for item in record.observations}


def _reason(before: CheckObservation, after: CheckObservation, check: type[Check] | None) -> str:
    if before.version != after.version:
        return f"version {before.version} of the check before, version {after.version} after"
    grids = frozenset() if check is None else frozenset(check.grid.values())
    other = []
    for name in sorted({*before.params, *after.params} - grids):
        old, new = before.params.get(name), after.params.get(name)
        if old != new:
            other.append(f"{name} was {old}, and is {new}")
    shown = "; ".join(other[:SHOWN_PARAMETERS])
    return f"other parameters: {shown}" if other else ""
