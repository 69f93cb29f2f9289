"""Settings of ART attacks as a policy writes them: ``Attack.name=value``."""

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence

from auditor.domain.json import Json
from auditor.errors import PolicyError

AttackSettings = Mapping[str, Json]
OURS = ("classifier", "estimator", "eps", "norm", "summary_writer", "targeted", "verbose")
"""What the check decides itself."""
HABITS: Mapping[str, AttackSettings] = {
    # ART's default samples by CMA-ES, which the library cma seeds by the time of day.
    "PixelAttack": {"es": 1},
    "ThresholdAttack": {"es": 1},
}
"""Settings that differ from ART's own where nothing else is said."""


def read_settings(
    lines: Sequence[str], check: str = "evasion.art", ours: Sequence[str] = OURS
) -> Mapping[str, AttackSettings]:
    """Return the settings of each attack of a ``check``; a value is JSON, or else a text.

    Raises ``PolicyError`` for a line that is none, says a thing twice, or sets what is ``ours``:
    what the check decides.
    """
    found: defaultdict[str, dict[str, Json]] = defaultdict(dict)
    for line in lines:
        place, equals, text = line.partition("=")
        attack, dot, name = place.strip().partition(".")
        if not (equals and dot and attack.isidentifier() and name.isidentifier()):
            raise PolicyError(
                f"{check}: the setting {line!r} is not of the form Attack.name=value",
                cure="Write it as SquareAttack.max_iter=300.",
            )
        if name in found[attack]:
            raise PolicyError(f"{check}: {attack}.{name} is set twice", cure="Keep one of the two.")
        if name in ours:
            raise PolicyError(
                f"{check}: {attack}.{name} cannot be set: the check decides it",
                cure="Leave it out; the parameters of the check say the rest.",
            )
        found[attack][name] = _value(text.strip())
    return dict(found)


def merge_settings(attack: str, given: Mapping[str, AttackSettings]) -> AttackSettings:
    """Return what one attack runs with beside ART's own defaults."""
    return {**HABITS.get(attack, {}), **given.get(attack, {})}


def _value(text: str) -> Json:
    try:
        value: Json = json.loads(text)
    except ValueError:
        return text
    return value
