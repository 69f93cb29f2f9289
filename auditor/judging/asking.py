"""What is asked of a target before anything is measured: whether a policy or a rule applies."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache

from auditor.domain.canonical import Json
from auditor.errors import ConditionError
from auditor.expressions import ABOUT_MODEL, as_doubles, compile_condition
from auditor.judging.context import JudgingContext
from auditor.judging.precedents import Precedents


@dataclass(frozen=True, slots=True)
class Asked:
    """A target, what conditions may know of it, and whether one holds; each is asked once.

    ``precedents`` are the figures of a baseline, where one is given.
    """

    context: JudgingContext
    target: str
    values: Mapping[str, Json]
    whether: Callable[[str], bool | ConditionError]
    precedents: Precedents | None = None


def ask(
    context: JudgingContext,
    params: Mapping[str, Json],
    target: str,
    before: Precedents | None = None,
) -> Asked:
    """Return what is asked of a target, under a policy with these params."""
    bindings = context.bindings(params, target)
    values = {name: as_doubles(value) for name, value in bindings.items()}

    @cache
    def whether(text: str) -> bool | ConditionError:
        try:
            return compile_condition(text, ABOUT_MODEL).answer(values)
        except ConditionError as mistake:
            return mistake

    return Asked(context, target, values, whether, before)
