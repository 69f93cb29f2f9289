"""What was found in the artifact, who signed it, and what documents say of its inputs."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import TypeAlias

from auditor.domain.canonical import Json
from auditor.domain.readings import Measurement
from auditor.rendering.numbers import count, scalar
from auditor.rendering.stories.story import Cure, Part, Scene, number_of

LINEAGE, ARTIFACT, SIGNATURE = "provenance.lineage", "provenance.artifact", "provenance.signature"
MOST_TOLD = 10
Words: TypeAlias = "Callable[[Scene, Measurement], Iterator[str]]"
STANDINGS = {
    "verified": "under a signature that holds",
    "refused": "under a signature that does not hold for anybody whom the audit trusts",
    "not_verified": "under a signature that nobody could verify",
    "unsigned": "unsigned",
}
"""What is said of a document's signature."""


def tell_lineage(scene: Scene) -> tuple[Sequence[Part], Sequence[Cure]]:
    """Tell which inputs or documents were counted, and in whose name the documents speak."""
    return _tell(scene, "What the documents say", _lineage)


def tell_artifact(scene: Scene) -> tuple[Sequence[Part], Sequence[Cure]]:
    """Tell what was found in the artifact's files, and where."""
    return _tell(scene, "What was found", _found)


def tell_signature(scene: Scene) -> tuple[Sequence[Part], Sequence[Cure]]:
    """Tell by which trust policy the signature was judged, and what stands against it."""
    return _tell(scene, "What was said of the signature", _signature)


def _tell(scene: Scene, name: str, words: Words) -> tuple[Sequence[Part], Sequence[Cure]]:
    for place in scene.finding.readings:
        m = scene.inputs.record.readings[place]
        told = tuple(words(scene, m)) if isinstance(m, Measurement) else ()
        if told:
            topic = f"{scene.finding.measure}:{scene.target}"
            return (Part(topic=topic, name=name, told=told),), ()
    return (), ()


def _found(_: Scene, m: Measurement) -> Iterator[str]:
    listed = _entries(m.details.get("found"))
    for item in listed[:MOST_TOLD]:
        yield f"{_text(item, 'code')}: {_text(item, 'where')}: {_text(item, 'what')}."
    yield from _rest(len(listed))


def _signature(_: Scene, m: Measurement) -> Iterator[str]:
    trust = m.details.get("trust")
    if isinstance(trust, Mapping):
        named = f"{_text(trust, 'name')} {_text(trust, 'version')}"
        rule = _text(trust, "rule") or "none of its rules is for this model"
        yield f"Judged by the trust policy {named} ({_words(trust, 'standing')} here): {rule}."
    listed = _entries(m.details.get("findings"))
    for item in listed[:MOST_TOLD]:
        yield f"{_text(item, 'code')}: {_text(item, 'text')}."
    yield from _rest(len(listed))


def _lineage(scene: Scene, m: Measurement) -> Iterator[str]:
    listed = _entries(m.details.get("inputs"))
    papers = _entries(m.details.get("documents"))
    for item in listed[:MOST_TOLD]:
        yield _input(item) if "why" in item else f"{_text(item, 'part')}: {_text(item, 'name')}."
    for paper in papers[:MOST_TOLD]:
        said = _entries(paper.get("says")) or [paper]
        yield from (_paper(item) for item in said[:MOST_TOLD])
    total = m.details.get("in_all")
    yield from _rest(total if isinstance(total, int) else 0)
    if not papers:
        yield from _nobody(scene)


def _input(item: Mapping[str, Json]) -> str:
    part = f" as {_words(item, 'part')}" if item.get("part") else ""
    standing = STANDINGS.get(_text(item, "signature"), "unsigned")
    return (
        f"{_text(item, 'document')} ({standing}) declares {_text(item, 'name') or 'an input'}{part}"
        f" at {_text(item, 'where')}: {_text(item, 'why')}."
    )


def _paper(item: Mapping[str, Json]) -> str:
    standing = STANDINGS.get(_text(item, "signature"), "unsigned")
    remarks = [
        f"{_text(one, 'code')}: {_text(one, 'text')}" for one in _entries(item.get("remarks"))
    ]
    said = f"; {'; '.join(remarks)}" if remarks else ""
    return f"{_text(item, 'name')} ({_text(item, 'kind')}), {standing}{said}."


def _nobody(scene: Scene) -> Iterator[str]:
    """Say that documents without a signature that holds speak for nobody in particular."""
    m = scene.figure(LINEAGE, "unsigned")
    unsigned = number_of(m)
    if m is not None and unsigned:
        yield (
            f"Of {count(m.n)} documents, {count(int(unsigned))} stand under no signature that was "
            "found to hold: what they declare is declared by nobody in particular."
        )


def _rest(total: int) -> Iterator[str]:
    if total > MOST_TOLD:
        yield f"And {count(total - MOST_TOLD)} more, which the record lists."


def _entries(value: Json) -> list[Mapping[str, Json]]:
    listed = value if isinstance(value, list) else []
    return [item for item in listed if isinstance(item, Mapping)]


def _text(item: Mapping[str, Json], name: str) -> str:
    value = item.get(name)
    return "" if value is None else scalar(value)


def _words(item: Mapping[str, Json], name: str) -> str:
    return _text(item, name).replace("_", " ")
