"""From what a resolved policy says of where its rules come from to values."""

from collections.abc import Iterator, Sequence

from auditor.domain.inheritance import Change, Dropped, Origin, Parent
from auditor.packs.drafts import Entry
from auditor.packs.shapes import ChangeShape, OriginShape, PolicyShape


def origin_of(entry: Entry) -> Origin:
    """Return where a rule was first written: what its policy says, else in the policy itself."""
    about = entry.draft.shape.metadata
    told = entry.rule.origin
    return Origin(about.name, about.version) if told is None else read_origin(told)


def read_origin(shape: OriginShape) -> Origin:
    """Return an origin as a resolved policy states it."""
    return Origin(shape.policy, shape.version, _changes(shape.changes))


def parents_of(shape: PolicyShape) -> tuple[Parent, ...]:
    """Return the policies that a resolved one extends."""
    return tuple(
        Parent(item.name, item.version, item.digest, _changes(item.changes))
        for item in shape.inherits
    )


def dropped_of(shape: PolicyShape) -> Iterator[Dropped]:
    """Yield the rules of its parents that a resolved policy does not ask."""
    for item in shape.dropped:
        yield Dropped(item.rule, item.title, item.policy, item.by, item.reason)


def _changes(shapes: Sequence[ChangeShape]) -> tuple[Change, ...]:
    return tuple(
        Change(item.setting, item.was, item.now, item.way, item.by, item.reason) for item in shapes
    )
