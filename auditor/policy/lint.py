"""Policy linter: checks rules against the metrics, limits, controls and laws they refer to.

It also warns about a rule that no measurement of its metric could ever prove, and about legal texts
that were not verified recently.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import date

from auditor._yaml import Place
from auditor.domain.checks import Check
from auditor.domain.name_suggestions import suggest_names
from auditor.domain.policies import (
    MOST_VALID_DAYS,
    AnchoredLimits,
    LimitAnchor,
    MetricLimits,
    explain_legal_doubt,
)
from auditor.domain.readings import BoundKind, Unit
from auditor.errors import PolicyError
from auditor.policy.cel import ABOUT_MODEL, ABOUT_READINGS, Variables, compile_condition
from auditor.policy.check_parameters import convert_list_entry, list_parameter_names, make_check
from auditor.policy.control_catalogues import FrameworkCatalogue
from auditor.policy.evaluate.readings_index import SLICE
from auditor.policy.lint_remarks import LintLevel, LintRemark
from auditor.policy.relaxations import lint_inheritance
from auditor.policy.schema import ControlSchema, DutySchema
from auditor.policy.title_numbers import lint_title
from auditor.policy.unvalidated_policy import PolicyDraft, RuleDraft
from auditor.policy.vacuous_rules import ConditionTrialBudget, lint_unbreakable_rule


def explain_unknown_control(
    control: ControlSchema | DutySchema, catalogues: Mapping[str, FrameworkCatalogue]
) -> PolicyError | None:
    """Return what is wrong with a reference to a control, or ``None``."""
    catalogue = catalogues.get(control.framework)
    if catalogue is None:
        return PolicyError(
            f"there is no catalogue of {control.framework!r}",
            cure=f"There are {', '.join(catalogues)}.",
        )
    if control.ref not in catalogue.controls and control.ref not in catalogue.other_editions:
        return PolicyError(
            f"{catalogue.title} ({catalogue.version}) as catalogued has no {control.ref!r}; "
            f"{suggest_names(control.ref, catalogue.controls)}",
            cure="Cite what the catalogue has.",
        )
    return None


def explain_superseded_control(
    control: ControlSchema | DutySchema, catalogues: Mapping[str, FrameworkCatalogue]
) -> PolicyError | None:
    """Return why a control should no longer be cited, or ``None``.

    A policy that cites one still loads, since records were made under such policies.
    """
    catalogue = catalogues.get(control.framework)
    if catalogue is None or control.ref not in catalogue.other_editions:
        return None
    return PolicyError(
        f"{catalogue.title} ({catalogue.version}) as catalogued has no {control.ref!r}: "
        f"{catalogue.other_editions[control.ref]}",
        cure="Cite what the catalogue has.",
    )


def lint_unlisted_duties(draft: PolicyDraft) -> Iterator[LintRemark]:
    """Yield duties of controls that no catalogue lists."""
    for index, duty in enumerate(draft.shape.metadata.cannot_evidence):
        mistake = explain_unknown_control(duty, draft.catalogues)
        if mistake is not None:
            yield draft.remark(("metadata", "cannot_evidence", index), mistake)


def lint_unverified_law(draft: PolicyDraft, today: date) -> Iterator[LintRemark]:
    """Yield a warning for law that nobody has read, or that nobody looked at for too long."""
    for index, item in enumerate(draft.shape.metadata.legal):
        doubt = explain_legal_doubt(item.verified, item.review_by, today)
        if doubt:
            yield _warning(
                draft,
                ("metadata", "legal", index),
                f"{item.datum} {doubt}",
                f"Look at {item.source}, then set verified and review_by.",
            )
    told: set[str] = set()
    for place, control in _cited(draft):
        catalogue = draft.catalogues.get(control.framework)
        if catalogue is None:
            continue
        ref = control.ref
        catalogues_doubt = explain_legal_doubt(catalogue.verified, catalogue.review_by, today)
        if catalogues_doubt and control.framework not in told:
            told.add(control.framework)
            cure = f"Compare the catalogue with {catalogue.source}, then set verified."
            yield _warning(
                draft, place, f"the catalogue of {catalogue.title} {catalogues_doubt}", cure
            )
        if ref in catalogue.unread:
            problem = f"{catalogue.title} {ref} was catalogued without reading its text"
            yield _warning(draft, place, problem, f"Read it at {catalogue.source}.")


def _cited(draft: PolicyDraft) -> Iterator[tuple[Place, ControlSchema | DutySchema]]:
    for index, duty in enumerate(draft.shape.metadata.cannot_evidence):
        yield ("metadata", "cannot_evidence", index), duty
    for index, rule in enumerate(draft.shape.rules):
        for at, control in enumerate(rule.controls):
            yield ("rules", index, "controls", at), control


def _warning(draft: PolicyDraft, place: Place, problem: str, cure: str) -> LintRemark:
    return LintRemark(LintLevel.WARNING, draft.document.where(place), "", problem, cure)


_VALUE = re.compile(r"\.\s*value\b|\[\s*[\"']value[\"']\s*\]")


def lint_limits(entry: RuleDraft, key: str, limits: MetricLimits) -> Iterator[LintRemark]:
    """Say where limits divide nothing that the metric can be."""
    ends = [end for end in (limits.least, limits.most) if end is not None]
    if ends != sorted(ends) or _crossed(entry.anchored):
        yield entry.error(
            key, "the first number is the greater one", "Write the smaller one first."
        )
    metric = entry.metric
    if metric is None:
        return
    if metric.exact and metric.unit is Unit.NONE and not metric.number:
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


def lint_direction(entry: RuleDraft, key: str) -> Iterator[LintRemark]:
    """Warn of a limit that lets the worst figures through, and keeps out the best."""
    higher = None if entry.metric is None else entry.metric.higher_is_better
    better = "at_least" if higher else "at_most"
    if higher is not None and key in {"at_least", "at_most"} - {better}:
        yield entry.warning(
            key,
            f"{entry.rule.metric} is better the {'higher' if higher else 'lower'} it is, and "
            f"{key} keeps out the good ones",
            f"Write {better}.",
        )


def _crossed(anchored: AnchoredLimits | None) -> bool:
    """Whether both ends are taken from the same, and the lower lies above the upper."""
    match anchored:
        case AnchoredLimits(LimitAnchor(claim, low), LimitAnchor(other, high)):
            return claim == other and low > high
        case _:
            return False


def lint_provability(entry: RuleDraft) -> Iterator[LintRemark]:
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
    if SLICE in entry.rule.for_each and entry.rule.accept is None:
        yield entry.warning(
            "for_each",
            "the rule can never pass: a search names the slices that it confirms, and proves "
            "nothing of the others",
            "Write `accept: withstood` if it shall do that the whole sample keeps the rule, and "
            "every slice that is named.",
        )
    if rule.accept is not None and not away and SLICE not in rule.for_each:
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


def _faces_away(entry: RuleDraft, bound: BoundKind) -> bool:
    rule = entry.rule
    both = rule.within is not None or rule.require is not None
    match bound:
        case BoundKind.ESTIMATE:
            return False
        case BoundKind.AT_MOST:
            return both or rule.at_least is not None
        case BoundKind.AT_LEAST:
            return both or rule.at_most is not None


ASKS = ("at_least", "at_most", "within", "require")
COORDINATES = frozenset({"target", "group", "group_column", "norm"})
"""Coordinates that readings of any check may have, besides the check's own parameters."""

LONGEST_TITLE = 200
"""Reports cut longer ones wherever they only point at a finding."""
RESERVED = "policy."
_PARAMS = re.compile(r"(?<![\w.])params\.([A-Za-z_]\w*)")


def lint_draft(draft: PolicyDraft) -> Iterator[LintRemark]:
    """Yield every mistake and doubt, from the top of the file to its end."""
    if draft.shape.metadata.applies_to is not None:
        place = ("metadata", "applies_to")
        for found in _condition(draft.shape.metadata.applies_to, ABOUT_MODEL, draft):
            yield draft.remark(place, found)
    yield from lint_unlisted_duties(draft)
    given_days = draft.shape.metadata.valid_for
    if given_days is not None and int(given_days[:-1]) > MOST_VALID_DAYS:
        problem = (
            f"valid_for is {given_days}, and a record counts for {MOST_VALID_DAYS} days at most"
        )
        cure = f"Write {MOST_VALID_DAYS}d (three years) or less: data and models change."
        yield _warning(draft, ("metadata", "valid_for"), problem, cure)
    for check_id, given in draft.shape.checks.items():
        check = draft.checks.get(check_id)
        try:
            if check is None:
                raise _no_check(check_id, draft.checks)
            make_check(check, given)
        except PolicyError as mistake:
            yield draft.remark(("checks", check_id), mistake)
    yield from lint_inheritance(draft)
    if not draft.shape.rules:
        silent = "the policy has no rules, so that nothing could fail it"
        yield draft.remark(("rules",), PolicyError(silent, cure="Write at least one rule."))
    yield from _twice(draft)
    trials = ConditionTrialBudget()
    for index in range(len(draft.shape.rules)):
        yield from _rule(draft.entry(index), trials)


def _twice(draft: PolicyDraft) -> Iterator[LintRemark]:
    first: dict[str, RuleDraft] = {}
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


def _rule(entry: RuleDraft, trials: ConditionTrialBudget) -> Iterator[LintRemark]:
    written = len(entry.rule.title or "")
    if written > LONGEST_TITLE:
        problem = f"the title has {written} characters, and reports cut it"
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
    yield from lint_provability(entry)
    for index, control in enumerate(entry.rule.controls):
        controls_mistake = explain_unknown_control(control, entry.draft.catalogues)
        if controls_mistake is not None:
            yield entry.error(f"controls.{index}", controls_mistake.problem, controls_mistake.cure)
        doubt = explain_superseded_control(control, entry.draft.catalogues)
        if doubt is not None:
            yield entry.warning(f"controls.{index}", doubt.problem, doubt.cure)


def _known(entry: RuleDraft) -> None:
    if entry.check is None:
        raise _no_check(entry.rule.check, entry.draft.checks)
    if entry.metric is None:
        raise PolicyError(
            f"{entry.rule.check} emits no {entry.rule.metric!r}",
            cure=f"It emits {', '.join(entry.check.emits)}.",
        )


def _where(entry: RuleDraft) -> Iterator[LintRemark]:
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
                convert_list_entry(entry.check, entry.check.grid[key], value)
            except PolicyError as mistake:
                yield entry.error(f"where.{key}", mistake.problem, mistake.cure)


def _for_each(entry: RuleDraft) -> Iterator[LintRemark]:
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
    return (
        COORDINATES
        | frozenset(check.grid)
        | check.coordinates
        | frozenset(list_parameter_names(check))
    )


def _asks(entry: RuleDraft, trials: ConditionTrialBudget) -> Iterator[LintRemark]:
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
    faults = tuple(lint_limits(entry, asked[0], limits or MetricLimits())) if bound else ()
    faults = faults or tuple(lint_unbreakable_rule(entry, trials))
    yield from faults or lint_direction(entry, asked[0])
    if limits is not None:
        yield from lint_title(entry, limits)


def _condition(text: str, variables: Variables, draft: PolicyDraft) -> Iterator[PolicyError]:
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


def _no_check(check_id: str, checks: Mapping[str, object]) -> PolicyError:
    return PolicyError(
        f"there is no check {check_id!r}; {suggest_names(check_id, checks)}",
        cure="`auditor checks list` names all.",
    )
