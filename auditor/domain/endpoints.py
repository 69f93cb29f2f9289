"""Endpoints as declared: how a served model is reached, and what may be asked of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.canonical import Json


class Protocol(StrEnum):
    """How a served model is spoken to.

    The first two are the Open Inference Protocol (KServe v2); ``http-json`` maps rows and scores
    into JSON bodies of any shape.
    """

    OIP_HTTP = "oip-http"
    OIP_GRPC = "oip-grpc"
    HTTP_JSON = "http-json"


class Encoding(StrEnum):
    """How tensors travel over ``oip-http``: ``auto`` tries binary where the server offers it."""

    AUTO = "auto"
    JSON = "json"
    BINARY = "binary"


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointSpec:
    """A served model, as the user declares it; secrets are never part of it.

    ``url`` is ``https://host/…`` (``grpc://host:port`` or ``grpcs://`` for gRPC). ``headers`` maps
    a header's name to the environment variable that holds its value. ``ca`` is the path of a PEM
    file of trusted roots. ``rows_at`` and ``scores_at`` are dotted paths into the JSON bodies of
    ``http-json``. ``labels_only`` says that scores are one-hot decisions. ``batch_limit`` is in
    rows a request, ``rate`` in requests a second, ``queries`` in rows and ``spend`` in money of
    one audit, at ``price_per_query`` a row. ``authorisation`` is the written leave to attack:
    who gave it, and for what; without it, nothing but ordinary rows is sent.
    """

    url: str
    protocol: Protocol = Protocol.OIP_HTTP
    model: str = ""
    model_version: str = ""
    encoding: Encoding = Encoding.AUTO
    headers: Mapping[str, str] = field(default_factory=dict)
    ca: str | None = None
    rows_at: str = "instances"
    scores_at: str = "predictions"
    labels_only: bool = False
    batch_limit: int | None = None
    rate: float | None = None
    queries: int | None = None
    spend: float | None = None
    price_per_query: float | None = None
    retries: int = 3
    authorisation: str | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the declared fields."""
        return {
            "url": self.url,
            "protocol": self.protocol.value,
            "model": self.model,
            "model_version": self.model_version,
            "encoding": self.encoding.value,
            "headers": dict(self.headers),
            "ca": self.ca,
            "rows_at": self.rows_at,
            "scores_at": self.scores_at,
            "labels_only": self.labels_only,
            "batch_limit": self.batch_limit,
            "rate": self.rate,
            "queries": self.queries,
            "spend": self.spend,
            "price_per_query": self.price_per_query,
            "retries": self.retries,
            "authorisation": self.authorisation,
        }
