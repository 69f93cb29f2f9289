"""Opening a served endpoint: nothing is sent before it is first asked."""

import importlib
import os
import time
from collections.abc import Mapping
from types import ModuleType

from auditor.domain.endpoints import EndpointSpec, Protocol
from auditor.domain.targets import TargetSpec
from auditor.errors import MissingExtraError, TargetError
from auditor.extras import to_install
from auditor.targets.endpoints.addresses import Address, address_of, check
from auditor.targets.endpoints.answers import Client
from auditor.targets.endpoints.connection import EndpointConnection, Line
from auditor.targets.endpoints.couriers import Courier, Patience
from auditor.targets.endpoints.credentials import Credentials, read_credentials
from auditor.targets.endpoints.limits import Allowance, Clock, Pace, Sleep

HERE = "auditor.targets.endpoints"


def open_endpoint(
    spec: TargetSpec,
    *,
    environ: Mapping[str, str] | None = None,
    allowance: Allowance | None = None,
    clock: Clock = time.perf_counter,
    sleep: Sleep = time.sleep,
) -> EndpointConnection:
    """Return a connection to the endpoint that ``spec`` declares.

    ``environ`` holds the values of its headers (by default the process's own). Connections that
    share an ``allowance`` keep its limits together; without one, this connection has its own.
    Raises ``TargetError`` for what cannot be kept or read, ``MissingExtraError`` where the
    libraries are not installed.
    """
    declared = spec.endpoint
    if declared is None:
        raise TargetError(
            f"the target {spec.name!r} runs on an endpoint, and names none",
            cure="Write its address and protocol under `endpoint`.",
        )
    check(declared)
    address = address_of(declared)
    credentials = read_credentials(declared, os.environ if environ is None else environ)
    allowance = allowance or Allowance(declared)
    patience = Patience(declared.retries, spec.time_limit)
    courier = Courier(allowance, Pace(declared.rate, clock, sleep), patience, clock, sleep)
    client = _client(declared, address, credentials, spec.time_limit)
    return EndpointConnection(
        Line(declared, address, client, courier, allowance, credentials, clock, spec.time_limit)
    )


def _client(
    spec: EndpointSpec, address: Address, credentials: Credentials, seconds: float
) -> Client:
    client: Client
    if spec.protocol is Protocol.OIP_GRPC:
        client = _load("oip_grpc").OipGrpc(address, credentials, spec, seconds)
    else:
        http = _load("http").Http(address, credentials, spec.ca, seconds)
        if spec.protocol is Protocol.OIP_HTTP:
            client = _load("oip_http").OipHttp(http, spec, address.title)
        else:
            client = _load("http_json").HttpJson(http, spec, address.title, address.query)
    return client


def _load(name: str) -> ModuleType:
    """Import a client when it is needed: its libraries are large, and part of an extra."""
    try:
        return importlib.import_module(f"{HERE}.{name}")
    except ImportError as error:
        raise MissingExtraError(
            f"an endpoint needs a library that is missing: {error}",
            cure=f"{to_install('endpoint')}.",
        ) from error
