"""Parameters of checks: what a budget presets, what a policy sets, and what its rules ask at."""

import json
from collections.abc import Mapping
from dataclasses import fields
from typing import Any, cast, get_type_hints

from pydantic import TypeAdapter, ValidationError

from auditor.checks.measure import get_check_parameters
from auditor.domain.budgets import Budget
from auditor.domain.checks import Check
from auditor.domain.json import Json
from auditor.domain.policies import Policy
from auditor.domain.readings import Scalar
from auditor.errors import PolicyError

SAME = 1e-12


def resolve_check_parameters(check: type[Check], policy: Policy, budget: Budget) -> dict[str, Json]:
    """Return the parameters that a check runs with, as JSON has them (lists, no tuples).

    The budget's presets come first, the policy's settings override them, and the values at which
    rules ask join the grid, so that no rule asks for what nobody measures. What neither sets keeps
    the check's own default and is left out. Raises ``PolicyError`` for unknown names or types.
    """
    given = {**check.presets.get(budget, {}), **policy.checks.get(check.id, {})}
    values = {name: convert_parameter(check, name, value) for name, value in given.items()}
    for coordinate, name in check.grid.items():
        asked = [
            convert_list_entry(check, name, rule.where[coordinate])
            for rule in policy.rules
            if rule.check == check.id and coordinate in rule.where
        ]
        present = values[name] if name in values else get_default_parameters(check)[name]
        if asked or name in values:
            values[name] = merge_parameter_values([*cast("list[Json]", present), *asked])
    return values


def list_parameter_names(check: type[Check]) -> tuple[str, ...]:
    """Return the names of a check's parameters."""
    return tuple(item.name for item in fields(cast("Any", check)))


def get_default_parameters(check: type[Check]) -> dict[str, Json]:
    """Return the parameters that a check has by itself, as JSON has them."""
    return get_check_parameters(check())


def convert_parameter(check: type[Check], name: str, value: Json) -> Json:
    """Return ``value`` as the type of the parameter. Raises ``PolicyError``."""
    if name not in list_parameter_names(check):
        known = ", ".join(list_parameter_names(check)) or "none"
        raise PolicyError(
            f"{check.id} has no parameter {name!r}", cure=f"Its parameters are: {known}."
        )
    try:
        # JSON mode takes a list for a tuple and a whole number for a float, and nothing else.
        # The type of one parameter, also where annotations are texts. One at a time, since other
        # annotations of a check may name what its module does not import.
        (written,) = (item.type for item in fields(cast("Any", check)) if item.name == name)
        holder = type(
            name, (), {"__annotations__": {name: written}, "__module__": check.__module__}
        )
        read = TypeAdapter(get_type_hints(holder)[name]).validate_json(
            json.dumps(value), strict=True
        )
    except (ValidationError, TypeError, ValueError) as mistake:
        reason = mistake.errors()[0]["msg"] if isinstance(mistake, ValidationError) else mistake
        raise PolicyError(
            f"{check.id}: {name}: {value!r} is not allowed: {reason}",
            cure=f"By default it is {get_default_parameters(check)[name]!r}; write a value of that "
            "kind.",
        ) from None
    return list(read) if isinstance(read, tuple) else cast("Json", read)


def convert_list_entry(check: type[Check], name: str, value: Scalar) -> Scalar:
    """Return one entry of a parameter that is a list. Raises ``PolicyError``."""
    (entry,) = cast("list[Scalar]", convert_parameter(check, name, [value]))
    return entry


def merge_parameter_values(values: list[Json]) -> list[Json]:
    """Return the values sorted, each once; numbers that differ by rounding alone are the same."""
    kept: list[Any] = []
    for value in sorted(cast("list[Any]", values)):
        if not kept or not _same(kept[-1], value):
            kept.append(value)
    return kept


def make_check(check: type[Check], given: Mapping[str, Json]) -> Check:
    """Make a check with parameters as JSON has them. Raises ``PolicyError``."""
    try:
        return check(
            **{
                name: _tupled(convert_parameter(check, name, value))
                for name, value in given.items()
            }
        )
    except (TypeError, ValueError) as mistake:
        raise PolicyError(
            f"{check.id} cannot run with {dict(given)}: {mistake}",
            cure="Choose other values; `auditor checks show` says what each means.",
        ) from None


def _same(left: Scalar, right: Scalar) -> bool:
    if isinstance(left, str) or isinstance(right, str):
        return left == right
    return abs(left - right) <= SAME


def _tupled(value: Json) -> Any:  # noqa: ANN401 -- a parameter of any check
    return tuple(value) if isinstance(value, list) else value
