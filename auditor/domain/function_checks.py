"""Checks written as functions: a decorator holds the declarations, the signature the parameters."""

import inspect
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import asdict, field, make_dataclass
from functools import partial
from typing import Any, cast

from auditor.domain.budgets import AuditSize, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.evidence import Evidence
from auditor.domain.readings import Reading

Observe = Callable[..., Evidence]
Figures = Callable[[Evidence, float], Sequence[Reading]]
DEFAULTS = frozenset(name for name in vars(Check) if not name.startswith("_"))


def check(  # noqa: PLR0913 -- what a check has to declare
    check_id: str,
    *,
    title: str,
    needs: Collection[Need],
    emits: Mapping[str, Metric],
    figures: Figures,
    version: int = 1,
    **declared: Any,  # noqa: ANN401 -- what Check has a default for
) -> Callable[[Observe], type[Check]]:
    """Make a check class of a function that returns the evidence of a subject.

    The function's keyword-only arguments, which all need a default, are the check's parameters.
    ``figures`` computes the readings from the evidence and a confidence. ``declared`` is anything
    else that ``Check`` declares; without a ``cost``, every row is scored once. Raises ``TypeError``
    for what is no declaration of a check, and for an argument without a default.
    """
    unknown = sorted(set(declared) - DEFAULTS)
    if unknown:
        message = f"{check_id}: a check declares no {unknown[0]!r}"
        raise TypeError(message)
    body = {
        "id": check_id,
        "version": version,
        "title": title,
        "needs": frozenset(needs),
        "emits": emits,
        "cost": _score_every_row,
        "figures": lambda _, evidence, confidence: tuple(figures(evidence, confidence)),
        **declared,
    }
    return partial(_build, body)


def _build(body: Mapping[str, object], observe: Observe) -> type[Check]:
    _, *more = inspect.signature(observe).parameters.values()
    for item in more:
        if item.kind is not item.KEYWORD_ONLY or item.default is item.empty:
            message = f"{body['id']}: {item.name} must be keyword-only and have a default"
            raise TypeError(message)

    def seen(self: Check, subject: Subject, shard: CheckShard) -> Evidence:
        del shard
        return observe(subject, **asdict(cast("Any", self)))

    told = {name: getattr(observe, name) for name in ("__doc__", "__module__", "__qualname__")}
    made = make_dataclass(
        observe.__name__,
        [(item.name, item.annotation, field(default=item.default)) for item in more],
        bases=(Check,),
        namespace={**told, **body, "observe": seen},
        frozen=True,
    )
    return cast("type[Check]", made)


def _score_every_row(_: Check, size: AuditSize) -> CheckCost:
    return CheckCost(queries=size.rows)
