"""Law that a policy rests on: whether it is catalogued, and whether somebody looked lately."""

from collections.abc import Iterator, Mapping
from datetime import date

from auditor.documents import Place
from auditor.domain.laws import doubt_of
from auditor.domain.nearest import meant
from auditor.errors import PolicyError
from auditor.packs.catalogues import Catalogue
from auditor.packs.drafts import Draft
from auditor.packs.remarks import Level, Remark
from auditor.packs.shapes import ControlShape, DutyShape


def stranger(
    control: ControlShape | DutyShape, catalogues: Mapping[str, Catalogue]
) -> PolicyError | None:
    """Return what is wrong with a reference to a control, or ``None``."""
    catalogue = catalogues.get(control.framework)
    if catalogue is None:
        return PolicyError(
            f"there is no catalogue of {control.framework!r}",
            cure=f"There are {', '.join(catalogues)}.",
        )
    if control.ref not in catalogue.controls and control.ref not in catalogue.other_editions:
        return PolicyError(
            f"{catalogue.title} ({catalogue.version}) as catalogued has no {control.ref!r}; "
            f"{meant(control.ref, catalogue.controls)}",
            cure="Cite what the catalogue has.",
        )
    return None


def superseded(
    control: ControlShape | DutyShape, catalogues: Mapping[str, Catalogue]
) -> PolicyError | None:
    """Return why a control should no longer be cited, or ``None``.

    A policy that cites one still loads, since records were made under such policies.
    """
    catalogue = catalogues.get(control.framework)
    if catalogue is None or control.ref not in catalogue.other_editions:
        return None
    return PolicyError(
        f"{catalogue.title} ({catalogue.version}) as catalogued has no {control.ref!r}: "
        f"{catalogue.other_editions[control.ref]}",
        cure="Cite what the catalogue has.",
    )


def unlisted(draft: Draft) -> Iterator[Remark]:
    """Yield duties of controls that no catalogue lists."""
    for index, duty in enumerate(draft.shape.metadata.cannot_evidence):
        mistake = stranger(duty, draft.catalogues)
        if mistake is not None:
            yield draft.remark(("metadata", "cannot_evidence", index), mistake)


def unsure(draft: Draft, today: date) -> Iterator[Remark]:
    """Yield a warning for law that nobody has read, or that nobody looked at for too long."""
    for index, item in enumerate(draft.shape.metadata.legal):
        doubt = doubt_of(item.verified, item.review_by, today)
        if doubt:
            yield _warning(
                draft,
                ("metadata", "legal", index),
                f"{item.datum} {doubt}",
                f"Look at {item.source}, then set verified and review_by.",
            )
    yield from _catalogues(draft, today)


def _catalogues(draft: Draft, today: date) -> Iterator[Remark]:
    told: set[str] = set()
    for place, control in _cited(draft):
        catalogue = draft.catalogues.get(control.framework)
        if catalogue is None:
            continue
        ref = control.ref
        doubt = doubt_of(catalogue.verified, catalogue.review_by, today)
        if doubt and control.framework not in told:
            told.add(control.framework)
            cure = f"Compare the catalogue with {catalogue.source}, then set verified."
            yield _warning(draft, place, f"the catalogue of {catalogue.title} {doubt}", cure)
        if ref in catalogue.unread:
            problem = f"{catalogue.title} {ref} was catalogued without reading its text"
            yield _warning(draft, place, problem, f"Read it at {catalogue.source}.")


def _cited(draft: Draft) -> Iterator[tuple[Place, ControlShape | DutyShape]]:
    for index, duty in enumerate(draft.shape.metadata.cannot_evidence):
        yield ("metadata", "cannot_evidence", index), duty
    for index, rule in enumerate(draft.shape.rules):
        for at, control in enumerate(rule.controls):
            yield ("rules", index, "controls", at), control


def _warning(draft: Draft, place: Place, problem: str, cure: str) -> Remark:
    return Remark(Level.WARNING, draft.document.where(place), "", problem, cure)
