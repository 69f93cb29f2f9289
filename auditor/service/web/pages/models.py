"""Models: what the gate says of each version on each target, and how figures moved."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Path as InPath
from fastapi import Query, Request, Response

from auditor.api.admitting import Viewer
from auditor.refusals import NotFoundError
from auditor.states import states
from auditor.store.service.latest import Told
from auditor.web.entries import Entry
from auditor.web.looking import show
from auditor.web.parts import Shown
from auditor.web.routing import routes
from auditor.web.trends import MOST, trends

PAGE, MOST_VERSIONS, MOST_RECORDS = 20, 5, 200
router = routes()


@router.get("/models")
def listed(
    request: Request, caller: Viewer, site: Shown, page: Annotated[int, Query(ge=0, le=10_000)] = 0
) -> Response:
    """Show every model: its versions, on each target."""
    names = site.overviews.models(caller.project)
    shown = names[page * PAGE : (page + 1) * PAGE]
    told = site.latest.last_of_each(caller.project, shown, MOST_VERSIONS)
    matrix: dict[str, dict[str, dict[str, Told]]] = {name: {} for name in shown}
    for one in told:
        matrix[one.model].setdefault(one.version, {})[one.target] = one
    pairs = [*dict.fromkeys((it.artifact, it.target) for it in told if it.artifact)]
    gates = states(site.service.gatekeeper, caller.project, pairs)
    return show(request, "models", title="Models", matrix=matrix, most=MOST_VERSIONS, page=page,
                gates=gates,
                targets=sorted({one.target for one in told}),
                more=len(names) > (page + 1) * PAGE)  # fmt: skip


@router.get("/models/{name:path}")
def look(
    request: Request, name: Annotated[str, InPath(max_length=12_000)], caller: Viewer, site: Shown
) -> Response:
    """Show one model: its records, and how the figures that decide its rules moved."""
    clean = name.replace("\0", "")
    told = site.latest.of_model(caller.project, clean, MOST_RECORDS)
    if not told and clean not in site.overviews.models(caller.project):
        raise NotFoundError("there is no such model", cure="Choose one from the list.")
    records = _by_record(told)
    newest = list(records)[:MOST]
    facts = site.facts.of(newest, site.latest.bodies)
    drawn = trends([facts[digest] for digest in reversed(newest)])
    return show(request, "model", title=clean, name=clean, records=records, facts=facts,
                trends=drawn, several_targets=len({one.target for one in told}) > 1)  # fmt: skip


def _by_record(told: tuple[Told, ...]) -> Mapping[str, list[Told]]:
    records: dict[str, list[Told]] = {}
    for one in told:
        records.setdefault(one.record, []).append(one)
    return records


ENTRY = Entry("/models", router, title="Models", order=30)
