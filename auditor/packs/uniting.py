"""Lists that no heir can shorten: what cannot be evidenced, and the law that a policy rests on."""

from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import cast

from auditor.documents import Document, Place
from auditor.domain.canonical import Json
from auditor.domain.inheritance import Change, Way
from auditor.packs.shapes import DutyShape, LegalShape, MetadataShape

UNITED: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"cannot_evidence": ("framework", "ref", "asks"), "legal": ("datum",)}
)
"""Each list with what tells its entries apart: an heir may say one otherwise, and drop none."""
At = tuple[Document, int]


def united(name: str, own: Document, above: Sequence[Document]) -> tuple[At, ...]:
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


def united_lists(own: Document, above: Sequence[Document]) -> dict[str, Json]:
    """Return the united lists that are not empty; what has no right shape is left to be refused."""
    made = {
        name: [_listed(at, name)[index] for at, index in united(name, own, above)]
        for name in UNITED
        if isinstance(_metadata(own).get(name), list | None)
    }
    return {name: cast("Json", items) for name, items in made.items() if items}


def united_places(own: Document, above: Sequence[Document]) -> Iterator[tuple[Place, str]]:
    """Yield where each entry of the united lists stands, and each part of it."""
    for name in UNITED:
        for now, (document, index) in enumerate(united(name, own, above)):
            before = ("metadata", name, index)
            for place in (*document.lines, *document.elsewhere):
                if place[:3] == before:
                    yield ("metadata", name, now, *place[3:]), document.where(place)


def restated(was: MetadataShape, now: MetadataShape) -> Iterator[Change]:
    """Yield what two policies say otherwise of the same duty or the same law."""
    duties = {(item.framework, item.ref, item.asks): item for item in was.cannot_evidence}
    for duty in now.cannot_evidence:
        old = duties.get((duty.framework, duty.ref, duty.asks))
        if old is not None and old.owner != duty.owner:
            setting = f"cannot_evidence: {duty.framework} {duty.ref}"
            yield Change(setting, _duty(old), _duty(duty), Way.CHANGED)
    laws = {item.datum: item for item in was.legal}
    for law in now.legal:
        before = laws.get(law.datum)
        if before is not None and before != law:
            yield Change(f"legal: {law.datum}", _law(before), _law(law), Way.CHANGED)


def _duty(duty: DutyShape) -> str:
    return f"{duty.owner}: {duty.asks}"


def _law(law: LegalShape) -> str:
    return f"{law.value} ({law.source}, verified {law.verified}, review by {law.review_by})"


def _key(name: str, item: Json) -> Json:
    keys = UNITED[name]
    return [item.get(key) for key in keys] if isinstance(item, Mapping) else item


def _listed(document: Document, name: str) -> Sequence[Json]:
    found = _metadata(document).get(name)
    return found if isinstance(found, list) else ()


def _metadata(document: Document) -> Mapping[str, Json]:
    return cast("Mapping[str, Json]", document.content.get("metadata") or {})
