"""Begin a system file and a file of risks: what may stand in them, and who fills it."""

import json
from collections.abc import Iterator

from auditor.domain.systems import OWNERS, TITLES, Topic

SYSTEM, RISKS = "system.yaml", "risks.yaml"
NAMING = f"""\
system: {SYSTEM}               # what you declare of the system that the model is a part of
risks: null                       # {RISKS}, once a risk stands in it
"""
EXAMPLES = {Topic.PEOPLE: "[{group: applicants, how: a loan is granted or refused}]"}
BEGUN_RISKS = """\
# Hazards of the system, whom they affect, and which rules of the policy evidence that they are held
# down. List at least one below `risks:`, and name this file in audit.yaml: risks: risks.yaml
apiVersion: auditor/v1
kind: Risks
risks:
#  - id: R-1
#    hazard: Applicants of one group are refused more often than others who repay alike
#    affected: applicants
#    severity: high                  # low | medium | high | critical
#    likelihood: possible            # in your own words
#    mitigations: [a second look by a person at every refusal]
#    rules: [fairness-gap]           # ids of rules: auditor policies show baseline
#    residual: Small groups cannot be told apart from chance
#    accepted_by: null               # a named person, with the day: accepted_on: 2026-11-30
"""


def begin_system(model: str) -> str:
    """Return a system file of one model that ``read_system`` accepts as it stands."""
    name = json.dumps(model, ensure_ascii=False)
    head = f"""\
# What you declare of the system that the model is a part of. The audit checks none of it. The
# report shows it by points of the EU AI Act's Annex IV, and names who must fill what is left out.
apiVersion: auditor/v1
kind: System
name: {name}
version: "0"
models:
  - {{name: {name}, role: null}}    # its name as in audit.yaml, and what it does here
"""
    return head + "\n".join(_settings()) + "\n" + OWNED


OWNED = """\
# owners: {monitoring: Jane Doe, risks: Risk committee}   # where it is not the usual role
"""


def _settings() -> Iterator[str]:
    """Yield a commented line a setting; parts that hold several come once, with theirs below."""
    width = max(len(topic.value) for topic in Topic) + 8
    begun = ""
    for topic in Topic:
        part, _, name = topic.value.partition(".")
        if name and part != begun:
            yield f"# {part}:"
        begun = part
        line = f"#   {name}: …" if name else f"# {part}: {EXAMPLES.get(topic, '…')}"
        yield f"{line:<{width}}  # {TITLES[topic]} ({OWNERS[topic]})"
