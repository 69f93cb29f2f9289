"""Routes for models: gate status of each version on each target, and trends of metrics."""

from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Annotated

from fastapi import APIRouter, Path, Query

from auditor.domain.json import JsonPart, parse_json
from auditor.errors import NotFoundError
from auditor.service.api.auth import Viewer
from auditor.service.api.context import Served
from auditor.service.api.requests import Limit
from auditor.service.api.response_cache import CachedRoute, cache_response
from auditor.service.api.schemas import (
    ModelPage,
    ModelResponse,
    ModelVersionResponse,
    TrendPointResponse,
    TrendResponse,
    VersionStatusResponse,
)
from auditor.service.gate import GateState, list_gate_states
from auditor.service.store.tables import TrendPointRow
from auditor.service.store.trends import TrendPointStore, TrendQuery, TrendStore, VersionStatus
from auditor.store.record_scope_cache import Scopes

VERSIONS = 5
"""So many versions of a model are shown."""
POINT = r"^sub-[0-9a-f]{24}\.[0-9]{1,6}$"
ModelName = Annotated[str, Path(max_length=200, examples=["credit"])]
Text = Annotated[str | None, Query(max_length=200)]
router = APIRouter(prefix="/v1/models", tags=["models"], route_class=CachedRoute)


@router.get("")
@cache_response()
def list_models(
    caller: Viewer, service: Served, limit: Limit = 50,
    cursor: Annotated[str | None, Query(max_length=200, description="Name of a model.")] = None,
) -> ModelPage:  # fmt: skip
    """List the audited models of the project, with their 5 newest versions."""
    kept = TrendStore(service.store)
    after = None if cursor is None else cursor.replace("\0", "")
    names, following = kept.models(caller.project, after, limit)
    every = kept.versions(caller.project, names, VERSIONS)
    scopes = kept.scopes(every)
    audited = [*dict.fromkeys((it.artifact, it.target) for it in every if it.artifact)]
    told = list_gate_states(service.gatekeeper, caller.project, audited)
    found = {}
    for name, standings in groupby(every, key=lambda item: item.model):
        # Versions in the order of their standings, on each target as the gate sees them
        by: dict[str, dict[str, VersionStatus]] = {}
        for item in list(standings):
            by.setdefault(item.artifact, {}).setdefault(item.target, item)
        found[name] = [
            ModelVersionResponse(
                version=max(targets.values(), key=lambda item: item.finished).version,
                artifact=artifact or None,
                targets=[
                    shown
                    for it in targets.values()
                    for shown in _shown(it, scopes, told.get((artifact, it.target), ()))
                ],
            )
            for artifact, targets in by.items()
        ]
    models = [ModelResponse(name=name, versions=found.get(name, [])) for name in names]
    return ModelPage(models=models, next=following)


@router.get("/{model:path}/trend")
def get_trend(
    model: ModelName, caller: Viewer, service: Served,
    metric: Annotated[str, Query(max_length=200, examples=["accuracy"])],
    check: Text = None, target: Text = None, limit: Limit = 50,
    cursor: Annotated[str | None, Query(pattern=POINT)] = None,
) -> TrendResponse:  # fmt: skip
    """Return the trend of a metric over the audits of a model, newest first."""
    name = model.replace("\0", "")
    if not TrendStore(service.store).knows(caller.project, name):
        raise NotFoundError(
            f"there is no audited model {name[:80]!r}", cure="List the models with GET /v1/models."
        )
    sought = TrendQuery(
        project=caller.project,
        model=name,
        metric=metric.replace("\0", ""),
        check=None if check is None else check.replace("\0", ""),
        target=None if target is None else target.replace("\0", ""),
        cursor=cursor,
        limit=limit,
    )
    rows, following = TrendPointStore(service.store).points(sought)
    return TrendResponse(
        model=name, metric=sought.metric, points=[_point(row) for row in rows], next=following
    )


def _shown(
    last: VersionStatus, scopes: Mapping[str, Scopes], told: Sequence[GateState]
) -> Iterator[VersionStatusResponse]:
    """Yield the states of a version on a target; where there are none, its last audit is shut."""
    for it in told:
        yield VersionStatusResponse(
            target=it.target, verdict=it.verdict, policy=it.policy, record=it.record,
            audit=it.audit, finished=it.finished, scope=it.scope, open=it.open, why=it.why,
        )  # fmt: skip
    if not told:
        yield VersionStatusResponse(
            target=last.target, verdict=last.verdict, policy=last.policy, record=last.record,
            audit=last.submission, finished=last.finished,
            scope=scopes[last.record][last.target], open=False,
            why="found" if last.artifact else "artifact",
        )  # fmt: skip


def _point(row: TrendPointRow) -> TrendPointResponse:
    return TrendPointResponse(
        finished=row.finished,
        version=row.version,
        target=row.target,
        check=row.check_id,
        check_version=row.check_version,
        params=dict(JsonPart(parse_json(row.params.encode()), "params").value),
        value=row.value,
        low=row.low,
        high=row.high,
        confidence=row.confidence,
        bound=row.bound,
        n=row.n,
        unit=row.unit,
        doubted=row.doubted,
        record=row.record,
        audit=row.submission,
    )
