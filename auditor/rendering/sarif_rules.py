"""Rules of a SARIF log: what each asks, why, what helps, and how bad it is to break it.

GitHub takes no empty text where it wants one, cuts at its limits, and shows the first tags only
(docs.github.com, "SARIF support for code scanning", reportingDescriptor object).
"""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType

from auditor.domain.canonical import Json
from auditor.domain.findings import Finding
from auditor.domain.policies import Effect, Mode, Rule, Severity
from auditor.rendering.controls import catalogue_of, control_chip
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.phrases import EFFECTS, SEVERITIES, asked
from auditor.rendering.summary import escape_markdown
from auditor.rendering.visible import visible

LEVELS: Mapping[Effect, str] = MappingProxyType(
    {Effect.DENY: "error", Effect.WARN: "warning", Effect.INFO: "note"}
)
BY_MODE: Mapping[Mode, Sequence[str]] = MappingProxyType(
    {
        Mode.ENFORCE: ("error", "warning", "note"),
        Mode.WARN: ("warning", "note"),
        Mode.OBSERVE: ("note",),
    }
)
"""Levels that a policy's mode leaves, the worst first: nothing is an error that stops nothing."""
PROBLEMS: Mapping[str, str] = MappingProxyType(
    {"error": "error", "warning": "warning", "note": "recommendation"}
)
SECURITY: Mapping[Severity, str] = MappingProxyType(
    {
        Severity.CRITICAL: "9.5",
        Severity.HIGH: "8.0",
        Severity.MEDIUM: "5.5",
        Severity.LOW: "2.0",
    }
)
"""Scores in the bands by which code scanning names severities."""
MOST_TAGS = 20
LONGEST_NAME = 255
LONGEST_DESCRIPTION = 1024
LONGEST_HELP = 4096


def level_of(inputs: RenderedInputs, effect: Effect) -> str:
    """Return the level of a rule that is not kept: no worse than the policy's mode leaves."""
    worst = BY_MODE[inputs.policy.mode]
    level = LEVELS[effect]
    return level if level in worst else worst[0]


def described(inputs: RenderedInputs, finding: Finding) -> dict[str, Json]:
    """Return the descriptor of a finding's rule."""
    rule = inputs.rule(finding.rule)
    title = (finding.title if rule is None else rule.title) or finding.rule
    level = level_of(inputs, finding.effect)
    about: dict[str, Json] = {
        "tags": list(_tags(finding)),
        "precision": "high",
        "problem.severity": PROBLEMS[level],
        "effect": finding.effect.value,
    }
    if inputs.policy.mode is Mode.ENFORCE:
        # Where it stands, code scanning shuts the gate by it, whatever the level.
        about["security-severity"] = SECURITY[finding.severity]
    descriptor: dict[str, Json] = {
        "id": finding.rule,
        "name": cut(title, LONGEST_NAME),
        "shortDescription": {"text": cut(title, LONGEST_DESCRIPTION)},
        "fullDescription": {"text": cut(_asks(inputs, rule, finding), LONGEST_DESCRIPTION)},
        "help": _help(inputs, rule, finding),
        "defaultConfiguration": {"level": level},
        "properties": about,
    }
    sources = [_source(control.framework) for control in finding.controls]
    if any(sources):
        descriptor["helpUri"] = next(filter(None, sources))
    return descriptor


def made_up(name: str, text: str) -> dict[str, Json]:
    """Return the descriptor of a rule that no policy has: it says what no finding can."""
    return {
        "id": name,
        "name": name,
        "shortDescription": {"text": text},
        "fullDescription": {"text": text},
        "help": {"text": text, "markdown": text},
        "defaultConfiguration": {"level": "error"},
        "properties": {"tags": ["machine-learning"], "problem.severity": "error"},
    }


def cut(text: str, most: int) -> str:
    """Return text that is no longer than ``most``, with what cannot be seen written out."""
    shown = visible(text)
    return shown if len(shown) <= most else f"{shown[: most - 1]}…"


def _asks(inputs: RenderedInputs, rule: Rule | None, finding: Finding) -> str:
    if rule is None:
        return f"{finding.measure}: {finding.limits}".strip(": ") or finding.rule
    return f"{asked(inputs, rule)}. {rule.rationale}".strip()


def _help(inputs: RenderedInputs, rule: Rule | None, finding: Finding) -> dict[str, Json]:
    said = _asks(inputs, rule, finding)
    parts = [escape_markdown(said), *_marked(finding)]
    plain = f"{said} {finding.remediation}".strip()
    return {"text": cut(plain, LONGEST_HELP), "markdown": cut("\n\n".join(parts), LONGEST_HELP)}


def _marked(finding: Finding) -> Iterator[str]:
    weight = f"{EFFECTS[finding.effect]}, {SEVERITIES[finding.severity]}"
    yield f"**Weight:** {weight}. **Measured by:** `{finding.measure.replace('`', '')}`"
    if finding.remediation:
        yield f"**Remedy:** {escape_markdown(finding.remediation)}"
    if finding.controls:
        listed = "\n".join(f"- {escape_markdown(control_chip(it))}" for it in finding.controls)
        yield f"**Evidence for:**\n\n{listed}"


def _tags(finding: Finding) -> Iterator[str]:
    named = ["machine-learning", finding.measure.partition("/")[0].partition(".")[0]]
    cited = (f"{control.framework}:{control.ref}" for control in finding.controls)
    yield from list(dict.fromkeys(filter(None, [*named, *cited])))[:MOST_TAGS]


def _source(framework: str) -> str:
    found = catalogue_of(framework)
    return found.source if found is not None and found.source.startswith("https://") else ""
