"""Lint: whether the rules of a policy ask for what checks measure, in a way that can hold."""

import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from auditor.domain.checks import coordinates
from auditor.domain.policies import Limits
from auditor.domain.readings import Bound, Unit
from auditor.errors import PolicyError
from auditor.expressions import ABOUT_MODEL, ABOUT_READINGS, Variables, compile_condition
from auditor.packs.drafts import Draft, Entry
from auditor.packs.parameters import make, names, typed_entry
from auditor.packs.remarks import Remark

ASKS = ("at_least", "at_most", "within", "require")
COORDINATES = frozenset({"target", "group", "group_column", "norm"})
"""Coordinates that readings of any check may have, besides the check's own parameters."""

RESERVED = "policy."
_PARAMS = re.compile(r"(?<![\w.])params\.([A-Za-z_]\w*)")
_VALUE = re.compile(r"\.\s*value\b|\[\s*[\"']value[\"']\s*\]")


def remarks(draft: Draft) -> Iterator[Remark]:
    """Yield every mistake and doubt, from the top of the file to its end."""
    if draft.shape.metadata.applies_to is not None:
        place = ("metadata", "applies_to")
        for found in _condition(draft.shape.metadata.applies_to, ABOUT_MODEL, draft):
            yield draft.remark(place, found)
    yield from _parameters(draft)
    if not draft.shape.rules:
        silent = "the policy has no rules, so that nothing could fail it"
        yield draft.remark(("rules",), PolicyError(silent, cure="Write at least one rule."))
    yield from _twice(draft)
    for index in range(len(draft.shape.rules)):
        yield from _rule(draft.entry(index))


def _parameters(draft: Draft) -> Iterator[Remark]:
    for check_id, given in draft.shape.checks.items():
        check = draft.checks.get(check_id)
        try:
            if check is None:
                raise _no_check(check_id, draft.checks)
            make(check, given)
        except PolicyError as mistake:
            yield draft.remark(("checks", check_id), mistake)


def _twice(draft: Draft) -> Iterator[Remark]:
    first: dict[str, Entry] = {}
    for index in range(len(draft.shape.rules)):
        entry = draft.entry(index)
        earlier = first.setdefault(entry.rule.id, entry)
        if earlier is not entry:
            line = draft.document.where(("rules", earlier.index, "id"))
            yield entry.error(
                "id", f"the id stands already at {line}", "Give each rule its own id."
            )
        if entry.rule.id.startswith(RESERVED):
            problem = f"ids that begin with {RESERVED!r} are the policy's own"
            yield entry.error("id", problem, "Choose another id.")


def _rule(entry: Entry) -> Iterator[Remark]:
    try:
        _known(entry)
    except PolicyError as mistake:
        yield entry.error("measure", mistake.problem, mistake.cure)
    else:
        yield from _where(entry)
    yield from _asks(entry)
    for key, text, variables in (
        ("require", entry.rule.require, ABOUT_READINGS),
        ("when", entry.rule.when, ABOUT_MODEL),
    ):
        if text is not None:
            for found in _condition(text, variables, entry.draft):
                yield entry.error(key, found.problem, found.cure)
    yield from _bounds(entry)
    yield from _controls(entry)


def _known(entry: Entry) -> None:
    if entry.check is None:
        raise _no_check(entry.rule.check, entry.draft.checks)
    if entry.metric is None:
        raise PolicyError(
            f"{entry.rule.check} emits no {entry.rule.metric!r}",
            cure=f"It emits {', '.join(entry.check.emits)}.",
        )


def _where(entry: Entry) -> Iterator[Remark]:
    if entry.check is None:
        return
    own = set(entry.check.grid) | coordinates(entry.check)
    known = COORDINATES | own | set(names(entry.check))
    for key, value in entry.rule.where.items():
        if key not in known:
            yield entry.error(
                f"where.{key}",
                f"readings of {entry.check.id} have no coordinate {key!r}",
                f"They may have: {', '.join(sorted(known))}.",
            )
        elif key in entry.check.grid:
            try:
                typed_entry(entry.check, entry.check.grid[key], value)
            except PolicyError as mistake:
                yield entry.error(f"where.{key}", mistake.problem, mistake.cure)


def _asks(entry: Entry) -> Iterator[Remark]:
    asked = [key for key in ASKS if getattr(entry.rule, key) is not None]
    if len(asked) != 1:
        yield entry.error(
            asked[-1] if asked else "id",
            f"a rule asks exactly one thing, and this one asks {' and '.join(asked) or 'nothing'}",
            f"Write one of {', '.join(ASKS)}.",
        )
        return
    try:
        limits = entry.limits
    except PolicyError as mistake:
        yield entry.error(asked[0], mistake.problem, mistake.cure)
        return
    if limits is not None:
        yield from _limits(entry, asked[0], limits)


def _limits(entry: Entry, key: str, limits: Limits) -> Iterator[Remark]:
    ends = [end for end in (limits.least, limits.most) if end is not None]
    if ends != sorted(ends):
        yield entry.error(
            key, "the first number is the greater one", "Write the smaller one first."
        )
    metric = entry.metric
    if metric is None:
        return
    if metric.exact and metric.unit is Unit.NONE:
        yield entry.error(
            key,
            f"{entry.rule.metric} is a yes or no, and {key} bounds a number",
            "Write `require: 'reading.value'`.",
        )
    if metric.unit is Unit.SHARE and any(abs(end) > 1 for end in ends):
        yield entry.error(
            key,
            f"{entry.rule.metric} is a share between 0 and 1, so that the rule decides nothing",
            "Write 0.8 for 80 %.",
        )


def _bounds(entry: Entry) -> Iterator[Remark]:
    """Compare what the metric can prove with what the rule asks."""
    metric, rule = entry.metric, entry.rule
    if metric is None:
        return
    if rule.require is not None and not metric.exact and _VALUE.search(rule.require):
        yield entry.error(
            "require",
            f"{rule.metric} has an interval, and the condition asks of its middle alone",
            "Use at_least, at_most or within, which judge the whole interval.",
        )
    away = _faces_away(entry, metric.bound)
    if rule.accept is not None and not away:
        yield entry.error(
            "accept",
            f"nothing can withstand here: {rule.metric} can show that the rule is kept",
            "Remove accept.",
        )
    if rule.accept is None and away:
        yield entry.warning(
            "measure",
            f"the rule can never pass: what is found of {rule.metric} is only a bound "
            f"({metric.bound.value.replace('_', ' ')}), which proves no kept limit",
            "Write `accept: withstood` if an attack that found nothing shall do.",
        )


def _faces_away(entry: Entry, bound: Bound) -> bool:
    rule = entry.rule
    both = rule.within is not None or rule.require is not None
    match bound:
        case Bound.ESTIMATE:
            return False
        case Bound.AT_MOST:
            return both or rule.at_least is not None
        case Bound.AT_LEAST:
            return both or rule.at_most is not None


def _condition(text: str, variables: Variables, draft: Draft) -> Iterator[PolicyError]:
    try:
        compile_condition(text, variables)
    except PolicyError as mistake:
        yield mistake
    for name in dict.fromkeys(_PARAMS.findall(text)):
        if name not in draft.shape.params:
            known = ", ".join(draft.shape.params) or "none"
            yield PolicyError(
                f"params.{name} is not among the policy's params",
                cure=f"Set it under params, where there are: {known}.",
            )


def _controls(entry: Entry) -> Iterator[Remark]:
    catalogues = entry.draft.catalogues
    for index, control in enumerate(entry.rule.controls):
        catalogue = catalogues.get(control.framework)
        key = f"controls.{index}"
        if catalogue is None:
            problem = f"there is no catalogue of {control.framework!r}"
            yield entry.error(key, problem, f"There are {', '.join(catalogues)}.")
        elif control.ref not in catalogue.controls:
            yield entry.error(
                key,
                f"{catalogue.title} ({catalogue.version}) as catalogued has no {control.ref!r}",
                f"Nearest are: {_near(control.ref, catalogue.controls)}.",
            )


def _no_check(check_id: str, checks: Mapping[str, object]) -> PolicyError:
    return PolicyError(
        f"there is no check {check_id!r}",
        cure=f"Nearest are: {_near(check_id, checks)}; `auditor checks list` names all.",
    )


def _near(wanted: str, known: Iterable[str]) -> str:
    options = list(known)
    return ", ".join(get_close_matches(wanted, options, n=5, cutoff=0.3) or options[:5]) or "none"
