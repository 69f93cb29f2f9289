"""Routes without a key: health, public keys and the ledger; metrics for this machine alone."""

from collections.abc import Mapping
from ipaddress import ip_address
from typing import Any

from fastapi import APIRouter, Request, Response
from starlette.concurrency import run_in_threadpool

from auditor.errors import NotFoundError
from auditor.service.api.context import Served, ServiceContext
from auditor.service.api.schemas import HealthResponse, ServiceKeysResponse
from auditor.service.store.submission_backlog import SubmissionBacklog
from auditor.trust.signatures.keys import read_public_key

PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")
HERE = frozenset({"localhost", "127.0.0.1", "[::1]"})
METRICS = "text/plain; version=0.0.4; charset=utf-8"
NOTE, TILE = "text/plain; charset=utf-8", "application/octet-stream"
FOREVER = "public, max-age=31536000, immutable"
SHORTLY = "public, no-cache"
UNREADY = 503
router = APIRouter(tags=["anonymous"])
TEXT: dict[int | str, dict[str, Any]] = {200: {"content": {NOTE: {"schema": {"type": "string"}}}}}
BYTES: dict[int | str, dict[str, Any]] = {
    200: {"content": {TILE: {"schema": {"type": "string", "format": "binary"}}}}
}


@router.get("/healthz")
async def get_health() -> HealthResponse:
    """Check that the service answers."""
    return HealthResponse(status="ok")


@router.get("/readyz", responses={UNREADY: {"model": HealthResponse}})
def get_readiness(response: Response, service: Served) -> HealthResponse:
    """Check that the service can work; 503 if it cannot."""
    lacking = list(service.ready())
    response.status_code = UNREADY if lacking else 200
    return HealthResponse(status="lacking" if lacking else "ok", lacking=lacking)


@router.get("/.well-known/auditor-keys")
def get_service_keys(service: Served) -> ServiceKeysResponse:
    """Return the public keys of the service, for its records and its ledger.

    This answer is only as trustworthy as the connection: compare the keys over another channel.
    """
    signer = service.store.signer
    return ServiceKeysResponse(
        report=service.report_key.decode(),
        identity=read_public_key(service.report_key).identity,
        ledger=None if signer is None else str(signer.key),
    )


@router.get("/v1/ledger/checkpoint", response_class=Response, responses=TEXT)
def get_checkpoint(service: Served) -> Response:
    """Return the latest checkpoint of the ledger, with all cosignatures (C2SP tlog-checkpoint)."""
    with service.store.ledger() as ledger:
        raw = ledger.served("checkpoint")
    return Response(raw, headers={"Cache-Control": SHORTLY}, media_type=NOTE)


@router.get("/v1/ledger/tile/{path:path}", response_class=Response, responses=BYTES)
def get_tile(path: str, service: Served) -> Response:
    """Return a tile of hashes or entries (C2SP tlog-tiles)."""
    with service.store.ledger() as ledger:
        raw = ledger.served(f"tile/{path}")
    return Response(raw, headers={"Cache-Control": FOREVER}, media_type=TILE)


@router.get("/metrics", response_class=Response, responses=TEXT)
async def get_metrics(request: Request, service: Served) -> Response:
    """Return metrics for Prometheus, on this machine only."""
    if not _local(request):
        raise NotFoundError(
            "GET /metrics is not available here",
            cure="Send the request from the service's own machine.",
        )
    gauges = await run_in_threadpool(_gauges, service)
    return Response(service.meter.text(gauges), media_type=METRICS)


def _local(request: Request) -> bool:
    """Whether a call comes from this machine, neither handed on nor by a page of another host."""
    if any(name in request.headers for name in PROXIED):
        return False
    host = request.headers.get("host", "").lower()
    bare = host.rpartition(":")[0] if ":" in host and not host.endswith("]") else host
    try:
        peer = ip_address(request.client.host if request.client else "")
    except ValueError:
        return False
    return peer.is_loopback and bare in HERE


def _gauges(service: ServiceContext) -> Mapping[str, Mapping[str, float]]:
    live = service.desk.live()
    open_now = SubmissionBacklog(service.store).counted()
    return {
        "target_live{target}": {name: float(name in live) for name in service.desk.targets},
        "audits{state}": {state.value: float(count) for state, count in open_now.items()},
    }
