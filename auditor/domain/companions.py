"""Models beside the one that is audited: the reference run, the parent, and a cascade's two."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from auditor.domain.canonical import Json
from auditor.domain.models import Model, Twin
from auditor.domain.readings import Gap, Reason

NO_CASCADE = Gap(
    reason=Reason.NOT_DEFINED,
    detail="The target is one place and no cascade of two.",
    cure="Declare a target with `cascade: {edge, cloud, below}` to audit two as one.",
)
NO_COMPANION = Gap(
    reason=Reason.NEEDS_REFERENCE,
    detail="There is no other model to compare with.",
    cure="Name model.parent, or the target `reference`, in the audit file.",
)


def nobody() -> Gap:
    """Return the Gap of a companion that nobody named."""
    return NO_COMPANION


@dataclass(frozen=True, slots=True)
class Companion:
    """A model beside the audited one, opened when it is first asked for; the same one afterwards.

    The reference is the artifact itself, run elsewhere; the parent is what it was made from.
    """

    model: Callable[[], Model | Gap] = nobody
    twin: Callable[[], Twin | Gap] = nobody
    about: Mapping[str, Json] = field(default_factory=dict)


class Cascade(Protocol):
    """Two models as one: what the edge is unsure of is deferred to the cloud."""

    @property
    def whole(self) -> Model:
        """Both as one model: a row's scores are the edge's, or the cloud's where it is deferred."""
        ...

    @property
    def edge(self) -> Model:
        """The model that decides first."""
        ...

    @property
    def cloud(self) -> Model:
        """The model that decides what is deferred."""
        ...

    @property
    def below(self) -> float:
        """The edge's largest probability under which a row is deferred."""
        ...
