"""Lint: whether the rules of a policy ask for what checks measure, in a way that can hold."""

import re
from collections.abc import Iterator, Mapping

from auditor.domain.checks import Check, coordinates
from auditor.domain.nearest import meant
from auditor.domain.policies import Limits
from auditor.errors import PolicyError
from auditor.expressions import ABOUT_MODEL, ABOUT_READINGS, Variables, compile_condition
from auditor.judging.parts import SLICE
from auditor.packs.drafts import Draft, Entry
from auditor.packs.holding import can_hold, decides
from auditor.packs.legal import stranger, superseded, unlisted
from auditor.packs.loosened import inherited
from auditor.packs.parameters import make, names, typed_entry
from auditor.packs.remarks import Remark
from auditor.packs.vacuous import Trials, unbreakable

ASKS = ("at_least", "at_most", "within", "require")
COORDINATES = frozenset({"target", "group", "group_column", "norm"})
"""Coordinates that readings of any check may have, besides the check's own parameters."""

LONGEST_TITLE = 200
"""Reports cut longer ones wherever they only point at a finding."""
RESERVED = "policy."
_PARAMS = re.compile(r"(?<![\w.])params\.([A-Za-z_]\w*)")


def remarks(draft: Draft) -> Iterator[Remark]:
    """Yield every mistake and doubt, from the top of the file to its end."""
    if draft.shape.metadata.applies_to is not None:
        place = ("metadata", "applies_to")
        for found in _condition(draft.shape.metadata.applies_to, ABOUT_MODEL, draft):
            yield draft.remark(place, found)
    yield from unlisted(draft)
    yield from _parameters(draft)
    yield from inherited(draft)
    if not draft.shape.rules:
        silent = "the policy has no rules, so that nothing could fail it"
        yield draft.remark(("rules",), PolicyError(silent, cure="Write at least one rule."))
    yield from _twice(draft)
    trials = Trials()
    for index in range(len(draft.shape.rules)):
        yield from _rule(draft.entry(index), trials)


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


def _rule(entry: Entry, trials: Trials) -> Iterator[Remark]:
    if len(entry.rule.title) > LONGEST_TITLE:
        problem = f"the title has {len(entry.rule.title)} characters, and reports cut it"
        cure = f"Keep it below {LONGEST_TITLE}; rationale has room for more."
        yield entry.warning("title", problem, cure)
    try:
        _known(entry)
    except PolicyError as mistake:
        yield entry.error("measure", mistake.problem, mistake.cure)
    else:
        yield from _where(entry)
        yield from _for_each(entry)
    yield from _asks(entry, trials)
    for key, text, variables in (
        ("require", entry.rule.require, ABOUT_READINGS),
        ("when", entry.rule.when, ABOUT_MODEL),
    ):
        if text is not None:
            for found in _condition(text, variables, entry.draft):
                yield entry.error(key, found.problem, found.cure)
    yield from can_hold(entry)
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
    known = _coordinates(entry.check)
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


def _for_each(entry: Entry) -> Iterator[Remark]:
    if entry.check is None:
        return
    known = _coordinates(entry.check) | {SLICE}
    for key in entry.rule.for_each:
        if key not in known:
            yield entry.error(
                "for_each",
                f"readings of {entry.check.id} have no coordinate {key!r}",
                f"They may have: {', '.join(sorted(known))}.",
            )
        elif key in entry.rule.where:
            yield entry.error(
                "for_each",
                f"where has fixed {key} already, so that there is one value of it",
                f"Leave {key} out of one of them.",
            )


def _coordinates(check: type[Check]) -> frozenset[str]:
    return COORDINATES | frozenset(check.grid) | coordinates(check) | frozenset(names(check))


def _asks(entry: Entry, trials: Trials) -> Iterator[Remark]:
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
    bound = entry.rule.require is None
    faults = tuple(decides(entry, asked[0], limits or Limits())) if bound else ()
    yield from faults or unbreakable(entry, trials)


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
    for index, control in enumerate(entry.rule.controls):
        mistake = stranger(control, entry.draft.catalogues)
        if mistake is not None:
            yield entry.error(f"controls.{index}", mistake.problem, mistake.cure)
        doubt = superseded(control, entry.draft.catalogues)
        if doubt is not None:
            yield entry.warning(f"controls.{index}", doubt.problem, doubt.cure)


def _no_check(check_id: str, checks: Mapping[str, object]) -> PolicyError:
    return PolicyError(
        f"there is no check {check_id!r}; {meant(check_id, checks)}",
        cure="`auditor checks list` names all.",
    )
