"""Policy inheritance: merges a policy with the policies it extends and tracks each part's source.

A policy cannot shorten two inherited lists: the requirements that no measurement can evidence, and
the legal basis.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated, Any, Literal, cast

from pydantic import BeforeValidator, ConfigDict, Field, StrictStr

from auditor._yaml import Place, StrictModel, YamlDocument, read_yaml_document, validate_document
from auditor.domain.json import Json
from auditor.domain.policies import SettingChange, StrictnessChange
from auditor.errors import PolicyError
from auditor.policy.schema import (
    MOST_RULES,
    DutySchema,
    LegalBasisSchema,
    Name,
    PolicyMetadataSchema,
    PolicySchema,
    Text,
    wrap_in_list,
)

UNITED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"cannot_evidence": ("framework", "ref", "asks"), "legal": ("datum",)}
)
"""Each list with what tells its entries apart: an heir may say one otherwise, and drop none."""
At = tuple[YamlDocument, int]


def unite_entries(name: str, own: YamlDocument, above: Sequence[YamlDocument]) -> tuple[At, ...]:
    """Return which entry of which document a united list is made of, the parents' first.

    Of parents that say the same, the first is taken; what the heir says of an entry replaces it.
    """
    said = [_key(name, item) for item in _listed(own, name)]
    seen: list[Json] = []
    found: list[At] = []
    for parent in above:
        for index, item in enumerate(_listed(parent, name)):
            if item not in seen and _key(name, item) not in said:
                seen.append(item)
                found.append((parent, index))
    return (*found, *((own, index) for index in range(len(said))))


def unite_lists(own: YamlDocument, above: Sequence[YamlDocument]) -> dict[str, Json]:
    """Return the united lists that are not empty; what has no right shape is left to be refused."""
    made = {
        name: [_listed(at, name)[index] for at, index in unite_entries(name, own, above)]
        for name in UNITED
        if isinstance(_metadata(own).get(name), list | None)
    }
    return {name: cast("Json", items) for name, items in made.items() if items}


def locate_united_entries(
    own: YamlDocument, above: Sequence[YamlDocument]
) -> Iterator[tuple[Place, str]]:
    """Yield where each entry of the united lists stands, and each part of it."""
    for name in UNITED:
        for now, (document, index) in enumerate(unite_entries(name, own, above)):
            before = ("metadata", name, index)
            for place in (*document.lines, *document.elsewhere):
                if place[:3] == before:
                    yield ("metadata", name, now, *place[3:]), document.where(place)


def find_conflicting_entries(
    was: PolicyMetadataSchema, now: PolicyMetadataSchema
) -> Iterator[SettingChange]:
    """Yield what two policies say otherwise of the same duty or the same law."""
    duties = {(item.framework, item.ref, item.asks): item for item in was.cannot_evidence}
    for duty in now.cannot_evidence:
        old = duties.get((duty.framework, duty.ref, duty.asks))
        if old is not None and old.owner != duty.owner:
            setting = f"cannot_evidence: {duty.framework} {duty.ref}"
            yield SettingChange(setting, _duty(old), _duty(duty), StrictnessChange.CHANGED)
    laws = {item.datum: item for item in was.legal}
    for law in now.legal:
        before = laws.get(law.datum)
        if before is not None and before != law:
            yield SettingChange(
                f"legal: {law.datum}", _law(before), _law(law), StrictnessChange.CHANGED
            )


def _duty(duty: DutySchema) -> str:
    return f"{duty.owner}: {duty.asks}"


def _law(law: LegalBasisSchema) -> str:
    return f"{law.value} ({law.source}, verified {law.verified}, review by {law.review_by})"


def _key(name: str, item: Json) -> Json:
    keys = UNITED[name]
    return [item.get(key) for key in keys] if isinstance(item, Mapping) else item


def _listed(document: YamlDocument, name: str) -> Sequence[Json]:
    found = _metadata(document).get(name)
    return found if isinstance(found, list) else ()


def _metadata(document: YamlDocument) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", document.content.get("metadata") or {})


MOST_DEPTH = 4
MOST_PARENTS = 5
OWN = ("name", "version", "owner", "description", "loosens")
"""What a policy says of itself alone."""

ASKS = ("at_least", "at_most", "within", "require")
STRICTER: Mapping[str, tuple[str, ...]] = {
    "least_budget": ("smoke", "ci", "full"),
    "least_assurance": ("A0", "A1", "A2", "A3"),
    "least_evidence": ("any", "native", "verified"),
    "least_isolation": ("nothing", "limits", "namespaces", "landlock", "bubblewrap"),
    "mode": ("observe", "warn", "enforce"),
    "require_sealed": ("False", "True"),
}
"""Settings of a policy whose values have an order, the laxest first."""
COUNTED = ("approvals", "blind_labels")
"""Settings that ask for so many of something."""


@dataclass(frozen=True, slots=True)
class PolicySource:
    """A policy file as it is written; ``place`` tells it from others, ``parent`` finds another."""

    raw: bytes
    source: str
    place: str
    parent: Callable[[str], "PolicySource"]


@dataclass(frozen=True, slots=True)
class MergedPolicy:
    """A policy's document with all that it takes over; it and its parents, before it is judged."""

    document: YamlDocument
    parents: tuple["MergedPolicy", ...] = ()
    drops: Mapping[str, str] = field(default_factory=dict)


class RuleDropSchema(StrictModel):
    """A rule of a parent that is not asked, and why."""

    rule: Name
    reason: Text


class RuleEntrySchema(StrictModel):
    """A rule, or an override of one; what else it says is read once all is put together."""

    model_config = ConfigDict(extra="allow", frozen=True)
    id: Name


class ExtendingPolicySchema(StrictModel):
    """A policy that extends others, before it is put together with them."""

    apiVersion: Literal["auditor/v1"]  # noqa: N815 -- the contract's spelling
    kind: Literal["Policy"]
    metadata: dict[str, Any]
    params: dict[str, Any] = Field(default_factory=dict)
    checks: dict[str, dict[str, Any]] = Field(default_factory=dict)
    rules: Annotated[list[RuleEntrySchema], Field(max_length=MOST_RULES)] = Field(
        default_factory=list
    )
    extends: Annotated[
        list[StrictStr], Field(min_length=1, max_length=MOST_PARENTS), BeforeValidator(wrap_in_list)
    ]
    drop: list[RuleDropSchema] = Field(default_factory=list)


def merge_policy_chain(written: PolicySource, above: Sequence[str] = ()) -> MergedPolicy:
    """Read a policy and those that it extends, and put them together.

    ``above`` are the places of the policies that extend it. Raises ``PolicyError`` for policies
    that extend each other, or too deep, and for what drops or overrides nothing.
    """
    document = read_yaml_document(written.raw, written.source, PolicyError)
    if "extends" not in document.content:
        return MergedPolicy(document)
    at = document.where(("extends",))
    if written.place in above:
        raise PolicyError(
            f"{at}: {written.source} extends itself by way of others",
            cure="Take one of them out of the circle.",
        )
    if len(above) >= MOST_DEPTH:
        raise PolicyError(
            f"{at}: policies extend each other more than {MOST_DEPTH} deep",
            cure="Extend one that lies nearer to the first.",
        )
    shape = validate_document(document, ExtendingPolicySchema, PolicyError)
    found = [_found(written, name, at) for name in shape.extends]
    parents = tuple(merge_policy_chain(parent, (*above, written.place)) for parent in found)
    for parent in parents:
        validate_document(parent.document, PolicySchema, PolicyError)
    return _joined(document, shape, parents)


def _found(written: PolicySource, name: str, at: str) -> PolicySource:
    try:
        return written.parent(name)
    except PolicyError as mistake:
        raise PolicyError(f"{at}: {mistake.problem}", cure=mistake.cure) from None


def _joined(
    document: YamlDocument, shape: ExtendingPolicySchema, parents: Sequence[MergedPolicy]
) -> MergedPolicy:
    above = [_without_reasons(parent.document) for parent in parents]
    drops = {item.rule: item.reason for item in shape.drop}
    inherited = overlay_rules(above)
    written: set[str] = set()
    for index, entry in enumerate(shape.rules):
        if entry.id in written:
            raise PolicyError(
                f"{document.where(('rules', index))}: the id {entry.id} stands already above",
                cure="Give each rule its own id.",
            )
        written.add(entry.id)
    for index, item in enumerate(shape.drop):
        where = document.where(("drop", index))
        if item.rule not in inherited:
            raise PolicyError(
                f"{where}: no policy that it extends has a rule {item.rule!r}",
                cure=f"They have: {', '.join(inherited)}.",
            )
        if item.rule in written:
            raise PolicyError(
                f"{where}: {item.rule} is dropped and written again",
                cure="Override the rule, or give the new one another id.",
            )
    rules = overlay_rules([*above, document])
    kept = [name for name in rules if name not in drops]
    # A policy's own metadata, and what it leaves out as its strictest parent has it. What no heir
    # can shorten is united.
    own = dict(_part(document, "metadata"))
    taken: dict[str, Json] = {}
    for parent in above:
        for name, value in _part(parent, "metadata"):
            if name not in OWN and name not in own:
                taken[name] = value if name not in taken else _strictest(name, taken[name], value)
    whole = {**own, **taken, **unite_lists(document, above)}
    content: dict[str, Json] = {
        "apiVersion": shape.apiVersion,
        "kind": shape.kind,
        "metadata": {name: value for name, value in whole.items() if value is not None},
        "params": {name: value for at in (*above, document) for name, value in _part(at, "params")},
        "checks": _checks([*above, document]),
        "rules": [rules[name] for name in kept],
    }
    places = dict(_places(document, above, kept))
    return MergedPolicy(
        YamlDocument(document.source, content, elsewhere=places), tuple(parents), drops
    )


def _without_reasons(document: YamlDocument) -> YamlDocument:
    """Return a parent without its reasons to loosen: they speak of its own parents alone."""
    rules = [
        {key: value for key, value in entry.items() if key != "loosens"}
        for entry in _entries(document)
    ]
    return replace(document, content={**document.content, "rules": cast("Json", rules)})


def overlay_rules(layers: Sequence[YamlDocument]) -> dict[str, dict[str, Json]]:
    """Lay the rules of documents over each other, the later over the earlier, by their ids."""
    found: dict[str, dict[str, Json]] = {}
    for document in layers:
        for entry in _entries(document):
            name = str(entry["id"])
            # Lay one rule's settings over another's; a bound is one setting, however it is written
            before = found.get(name, {})
            if any(entry.get(key) is not None for key in ASKS):
                before = {key: value for key, value in before.items() if key not in ASKS}
            found[name] = {
                key: value for key, value in {**before, **entry}.items() if value is not None
            }
    return found


def _checks(layers: Sequence[YamlDocument]) -> Json:
    found: dict[str, dict[str, Json]] = {}
    for document in layers:
        for name, given in _part(document, "checks"):
            found[name] = {**found.get(name, {}), **cast("Mapping[str, Json]", given)}
    return cast("Json", found)


def _strictest(name: str, one: Json, other: Json) -> Json:
    """Return the stricter of what two parents say; what has no order is held against both."""
    if name in STRICTER:
        return max(one, other, key=lambda value: STRICTER[name].index(get_strictness_name(value)))
    if name in COUNTED:
        return max(one, other, key=lambda value: cast("int", value))
    if name == "most_attempts":
        return min(one, other, key=get_allowed_count)
    if name == "valid_for":
        return min(one, other, key=lambda value: int(str(value).removesuffix("d")))
    return one


def get_strictness_name(value: object) -> str:
    """Return a setting as its order in ``STRICTER`` names it."""
    return "nothing" if value is None else str(value)


def get_allowed_count(value: Json) -> float:
    """Return how many a setting allows: any number where it says nothing."""
    return float("inf") if value is None else float(cast("int", value))


def _part(document: YamlDocument, name: str) -> Iterator[tuple[str, Json]]:
    """Yield the settings of one part of a document that has the right shape."""
    yield from cast("Mapping[str, Json]", document.content.get(name) or {}).items()


def _entries(document: YamlDocument) -> Sequence[Mapping[str, Json]]:
    return cast("Sequence[Mapping[str, Json]]", document.content.get("rules") or ())


def _places(
    document: YamlDocument, above: Sequence[YamlDocument], kept: Sequence[str]
) -> Iterator[tuple[Place, str]]:
    """Yield where each part of the whole document stands, the policy's own parts last."""
    index = {name: at for at, name in enumerate(kept)}
    own = [("metadata", name) for name in OWN]
    for layer in (*above, document):
        ids = [str(entry["id"]) for entry in _entries(layer)]
        for place in (*layer.lines, *layer.elsewhere):
            if place[:1] != ("rules",):
                if layer is document or place[:2] not in own:
                    yield place, layer.where(place)
            elif len(place) > 1 and ids[cast("int", place[1])] in index:
                at = index[ids[cast("int", place[1])]]
                yield ("rules", at, *place[2:]), layer.where(place)
    yield from locate_united_entries(document, above)
