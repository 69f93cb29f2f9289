"""The cheapest target that passes, in a sentence, or why none can be named."""

from collections.abc import Mapping, Sequence

from auditor.domain.readings import Measurement
from auditor.domain.targets import EvidenceLevel
from auditor.rendering.figures.panel import ends
from auditor.rendering.numbers import figure
from auditor.rendering.targets.compared import Compared

NONE = "No target can be named as the cheapest that passes:"


def cheapest(
    passing: Sequence[str], cost: Compared | None, untimed: Mapping[str, EvidenceLevel]
) -> str:
    """Name the cheapest of the targets that pass; those without a cost to compare are named too."""
    if not passing:
        return f"{NONE} none passes every required rule of the policy."
    paid = {name: m for name in passing if cost is not None and (m := cost.sure(name)) is not None}
    left = [name for name in passing if name not in paid]
    if cost is None or not paid:
        return f"{NONE} {_listed(passing)} {_passes(passing)}, but {_why(passing, cost, untimed)}."
    answer = _answer(paid, cost, alone=len(passing) == 1)
    if not left:
        return answer
    return f"{answer} {_listed(left)} {_passes(left)} too, but {_why(left, cost, untimed)}."


def _answer(paid: Mapping[str, Measurement], cost: Compared, *, alone: bool) -> str:
    first = min(paid, key=lambda name: (_value(paid[name]), name))
    words = figure(paid[first])
    interval = f" ({words.interval})" if words.interval else ""
    place = f" {cost.place}" if cost.place else ""
    said = f"{cost.title[:1].lower()}{cost.title[1:]} {words.value}{interval}{place}"
    if alone:
        return f"{first} is the only target that passes, and so the cheapest: {said}."
    level = [name for name in paid if name != first and _overlap(paid[name], paid[first])]
    if not level:
        return f"The cheapest target that passes is {first}: {said}."
    return (
        f"The cheapest targets that pass are {_listed([first, *level])}: their costs cannot be "
        f"told apart (on {first}, {said})."
    )


def _why(names: Sequence[str], cost: Compared | None, untimed: Mapping[str, EvidenceLevel]) -> str:
    played = [name for name in names if name in untimed]
    doubted = [n for n in names if cost is not None and (m := cost.found.get(n)) and m.doubted]
    rest = [name for name in names if name not in played and name not in doubted]
    said = []
    for level in dict.fromkeys(untimed[name] for name in played):
        alike = [name for name in played if untimed[name] is level]
        article = "an" if level is EvidenceLevel.EMULATED else "a"
        said.append(
            f"{_listed(alike)} {_is(alike)} {level.value}, and {article} {level.value} target has "
            "no times"
        )
    if doubted:
        said.append(f"the times of {_listed(doubted)} are doubted")
    if rest:
        said.append(f"nothing tells what {_listed(rest)} {'costs' if len(rest) == 1 else 'cost'}")
    return ", and ".join(said)


def _value(m: Measurement) -> float:
    return (ends(m) or (float("inf"),))[0]


def _overlap(one: Measurement, other: Measurement) -> bool:
    a, b = ends(one), ends(other)
    return a is not None and b is not None and a[1] <= b[2] and b[1] <= a[2]


def _listed(names: Sequence[str]) -> str:
    if len(names) == 1:
        return names[0]
    return f"{', '.join(names[:-1])} and {names[-1]}"


def _passes(names: Sequence[str]) -> str:
    return "passes" if len(names) == 1 else "pass"


def _is(names: Sequence[str]) -> str:
    return "is" if len(names) == 1 else "are"
