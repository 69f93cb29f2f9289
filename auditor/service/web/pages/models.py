"""Pages of models: gate status of each version on each target, and trends."""

from typing import Annotated

from fastapi import Path as InPath
from fastapi import Query, Request, Response

from auditor.errors import NotFoundError
from auditor.service.api.auth import Viewer
from auditor.service.gate import list_gate_states
from auditor.service.store.audit_queries import LatestRecord
from auditor.service.web.record_facts import MOST, build_rule_trends
from auditor.service.web.routing import PageEntry, create_page_router, render_page
from auditor.service.web.site import Shown

PAGE, MOST_VERSIONS, MOST_RECORDS = 20, 5, 200
router = create_page_router()


@router.get("/models")
def show_models(
    request: Request, caller: Viewer, site: Shown, page: Annotated[int, Query(ge=0, le=10_000)] = 0
) -> Response:
    """Show every model: its versions, on each target."""
    names = site.overviews.models(caller.project)
    shown = names[page * PAGE : (page + 1) * PAGE]
    told = site.latest.last_of_each(caller.project, shown, MOST_VERSIONS)
    matrix: dict[str, dict[str, dict[str, LatestRecord]]] = {name: {} for name in shown}
    for one in told:
        matrix[one.model].setdefault(one.version, {})[one.target] = one
    pairs = [*dict.fromkeys((it.artifact, it.target) for it in told if it.artifact)]
    gates = list_gate_states(site.service.gatekeeper, caller.project, pairs)
    return render_page(request, "models", title="Models", matrix=matrix, most=MOST_VERSIONS,
                       page=page, gates=gates, targets=sorted({one.target for one in told}),
                       more=len(names) > (page + 1) * PAGE)  # fmt: skip


@router.get("/models/{name:path}")
def show_model(
    request: Request, name: Annotated[str, InPath(max_length=12_000)], caller: Viewer, site: Shown
) -> Response:
    """Show one model: its records, and how the figures that decide its rules moved."""
    clean = name.replace("\0", "")
    told = site.latest.of_model(caller.project, clean, MOST_RECORDS)
    if not told and clean not in site.overviews.models(caller.project):
        raise NotFoundError("this model does not exist", cure="Choose one from the list.")
    records: dict[str, list[LatestRecord]] = {}
    for one in told:
        records.setdefault(one.record, []).append(one)
    newest = list(records)[:MOST]
    facts = site.facts.of(newest, site.latest.bodies)
    drawn = build_rule_trends([facts[digest] for digest in reversed(newest)])
    return render_page(request, "model", title=clean, name=clean, records=records, facts=facts,
                       trends=drawn,
                       several_targets=len({one.target for one in told}) > 1)  # fmt: skip


ENTRY = PageEntry("/models", router, title="Models", order=30)
