"""The isolation of models as a record states it."""

from collections.abc import Mapping

from auditor.domain.isolation import REMOTE, IsolationLevel
from auditor.domain.json import Json
from auditor.domain.requests import AuditRequest
from auditor.domain.targets import Fingerprint, TargetSpec


def read_isolation_levels(
    request: AuditRequest, found: Mapping[str, Fingerprint]
) -> Mapping[str, str]:
    """Return the level of each target, ``REMOTE`` where the audit opens no file on its machine.

    What no fingerprint tells is left out: a model that dies as it is opened did run, and a file
    beside an endpoint is read here, too.
    """
    given = (request.artifact, request.parent, request.generator, request.shadows, request.recipe)
    levels = {}
    for spec in request.targets:
        print_ = found.get(spec.name)
        facts = {} if print_ is None else print_.conditions_facts
        apart = not any(given) and not any(place.callable for place in spec.places)
        level = REMOTE if apart else _weakest(spec, facts)
        if level is not None:
            levels[spec.name] = level
    return levels


def _weakest(spec: TargetSpec, facts: Mapping[str, Json]) -> str | None:
    """Return the weakest level of what ran a file here; each half of a cascade tells its own."""
    places: list[tuple[TargetSpec, Json]] = [(spec, dict(facts))]
    if spec.cascade is not None:
        halves = {"edge": spec.cascade.edge, "cloud": spec.cascade.cloud}
        places = [(half, facts.get(name)) for name, half in halves.items()]
    told = []
    for place, conditions in places:
        if place.endpoint is None:
            said = conditions.get("isolation") if isinstance(conditions, Mapping) else None
            told.append(IsolationLevel(said) if said in list(IsolationLevel) else None)
    known = [level for level in told if level is not None]
    if not known or len(known) < len(told):
        return None
    return max(known, key=list(IsolationLevel).index).value
