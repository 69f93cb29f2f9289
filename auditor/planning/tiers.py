"""What each input of an audit unlocks among the checks of privacy and poisoning."""

from collections.abc import Collection, Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from auditor.domain.canonical import Json
from auditor.domain.checks import Check, Need
from auditor.domain.readings import Gap

FAMILIES = frozenset({"privacy", "poisoning"})
"""Families whose checks differ most in what an owner has to hand over."""
INPUTS: Mapping[Need, str] = MappingProxyType(
    {
        Need.ARTIFACT: "model",
        Need.MODEL: "model",
        Need.SCORES: "model",
        Need.TWIN: "twin",
        Need.SPACE: "input space",
        Need.EVALUATION: "evaluation set",
        Need.LABELS: "evaluation set",
        Need.REFERENCE: "reference set",
        Need.TRAINING: "training set",
        Need.PRODUCTION: "production set",
        Need.RECIPE: "recipe",
        Need.SHADOWS: "shadow models",
        Need.GENERATOR: "generator",
        Need.PRIVACY_CLAIM: "privacy claim",
    }
)
"""What an owner hands over to meet a need, where that has another name than the need itself."""
NOTHING: Mapping[Need, Gap] = MappingProxyType({})
OF_THE_TASK = frozenset({Need.CLASSIFICATION, Need.REGRESSION, Need.TEXT})
"""Needs that nobody can meet by handing over more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Tier:
    """One input: whether it is here, and which checks hang on it.

    ``answers`` are checks that need it and can run, ``deepens`` those that can run without it and
    say more with it. Where it is missing, ``adds`` are those that it alone would let run, and
    ``why`` says what is the matter with it and the cure. ``waits`` names by check the other inputs
    without which this one is of no use to it.
    """

    input: str
    here: bool
    answers: tuple[str, ...]
    adds: tuple[str, ...]
    deepens: tuple[str, ...]
    waits: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    why: str = ""

    def to_json(self) -> dict[str, Json]:
        """Return the form that a plan prints."""
        return {
            "input": self.input,
            "here": self.here,
            "answers": list(self.answers),
            "adds": list(self.adds),
            "deepens": list(self.deepens),
            "waits": {check: list(inputs) for check, inputs in self.waits.items()},
            "why": self.why,
        }


def tiers(
    checks: Iterable[Check | type[Check]],
    lacking: Mapping[str, frozenset[Need]],
    absent: Mapping[Need, Gap] = NOTHING,
    missing: Collection[str] = (),
) -> tuple[Tier, ...]:
    """Return the inputs that checks of ``FAMILIES`` need or want, in the order of their needs.

    ``lacking`` says by a check's id what of both it has not, and ``absent`` why; ``missing`` names
    all that cannot run: also those that have every input, and no library or nothing to do.
    """
    asked = [check for check in checks if check.id.partition(".")[0] in FAMILIES]
    used = {need for check in asked for need in (*check.needs, *_wants(check))} - OF_THE_TASK
    names = dict.fromkeys(_name(need) for need in Need if need in used)
    return tuple(
        replace(
            (tier := _tier(name, asked, lacking)),
            answers=tuple(it for it in tier.answers if it not in missing),
            deepens=tuple(it for it in tier.deepens if it not in missing),
            why=_why(name, used, absent),
        )
        for name in names
    )


def _why(name: str, used: AbstractSet[Need], absent: Mapping[Need, Gap]) -> str:
    gaps = (absent[need] for need in Need if need in used & absent.keys() and _name(need) == name)
    return next((f"{gap.detail} {gap.cure}" for gap in gaps), "")


def _tier(
    name: str, asked: list[Check | type[Check]], lacking: Mapping[str, frozenset[Need]]
) -> Tier:
    missing = {check.id: lacking.get(check.id, frozenset()) for check in asked}
    unmet = {check.id: missing[check.id] & check.needs for check in asked}
    needing = [check.id for check in asked if any(_name(need) == name for need in check.needs)]
    wanting = [check.id for check in asked if any(_name(need) == name for need in _wants(check))]
    without = [item for item, needs in missing.items() if any(_name(n) == name for n in needs)]
    return Tier(
        input=name,
        here=not without,
        answers=tuple(item for item in needing if not unmet[item]),
        adds=tuple(
            item for item in without if unmet[item] and {_name(n) for n in unmet[item]} == {name}
        ),
        deepens=tuple(item for item in wanting if not unmet[item] and item not in needing),
        waits={
            item: others
            for item in dict.fromkeys((*needing, *wanting))
            if (others := _others(name, unmet[item]))
        },
    )


def _others(name: str, unmet: frozenset[Need]) -> tuple[str, ...]:
    """Return the inputs but ``name`` that a check needs and nobody gave; none it can never have."""
    if unmet & OF_THE_TASK:
        return ()
    return tuple(dict.fromkeys(it for it in map(_name, sorted(unmet)) if it != name))


def _wants(check: Check | type[Check]) -> frozenset[Need]:
    wants: frozenset[Need] = getattr(check, "wants", frozenset())
    return wants


def _name(need: Need) -> str:
    return INPUTS.get(need, need.value.replace("_", " "))
