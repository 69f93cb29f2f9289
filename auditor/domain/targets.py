"""Declared targets, endpoints and cascades, and the fingerprints of measured targets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.json import Json, JsonObject, digest_json


class EndpointProtocol(StrEnum):
    """How a served model is spoken to.

    The first two are the Open Inference Protocol (KServe v2); ``http-json`` maps rows and scores
    into JSON bodies of any shape.
    """

    OIP_HTTP = "oip-http"
    OIP_GRPC = "oip-grpc"
    HTTP_JSON = "http-json"


class TensorEncoding(StrEnum):
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
    protocol: EndpointProtocol = EndpointProtocol.OIP_HTTP
    model: str = ""
    model_version: str = ""
    encoding: TensorEncoding = TensorEncoding.AUTO
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


EXACT_SUMS: Mapping[str, str] = {"session.x64quantprecision": "1"}
"""ONNX Runtime's session entry by which 8-bit products do not overflow on x86 without VNNI."""

SERVED = frozenset({"endpoint", "cascade"})
"""Runtimes that run no file here."""


class EvidenceLevel(StrEnum):
    """How far what was measured speaks of the declared target, the most first.

    ``verified``: every operator ran natively on a device whose kind is the one that the target
    names. ``measured``: nothing shows that, and nothing speaks against it. ``simulated``: on a
    device of another kind, such as a vendor's simulator. ``emulated``: by an emulator of the
    processor. ``unopened``: nothing was measured there.
    """

    VERIFIED = "verified"
    MEASURED = "measured"
    SIMULATED = "simulated"
    EMULATED = "emulated"
    UNOPENED = "unopened"

    @property
    def is_native(self) -> bool:
        """Whether it ran on a chip, as far as anything tells: only then is it timed."""
        return self in {EvidenceLevel.VERIFIED, EvidenceLevel.MEASURED}

    def or_less(self, other: "EvidenceLevel") -> "EvidenceLevel":
        """Return the weaker of two levels."""
        return max(self, other, key=list(EvidenceLevel).index)


@dataclass(frozen=True, slots=True)
class CascadeSpec:
    """Two targets as one system: the edge decides, and defers to the cloud what it is unsure of.

    The edge runs the artifact; the cloud runs its parent (``model.parent``), or the artifact too
    where there is none. A row is deferred where the edge's largest probability is ``below``.
    """

    edge: "TargetSpec"
    cloud: "TargetSpec"
    below: float = 0.8

    def to_json(self) -> dict[str, Json]:
        """Return the declared fields."""
        return {"edge": self.edge.to_json(), "cloud": self.cloud.to_json(), "below": self.below}


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """Where and how the artifact runs, as the user declares it.

    ``runtime`` is ``onnxruntime``, ``openvino``, ``endpoint`` or ``cascade``. ``device`` chooses
    one of the devices that the runtime discovers (``NPU``, ``GPU``, ``GPU:1``); ``library`` is a
    plugin provider, by the package that holds it or by the path of its shared object.
    ``provider_options``, ``session`` and ``free_dimensions`` are passed on to the runtime as
    written. ``emulated`` is the CPU model that an emulator plays (numbers only, never timed), and
    ``interpreter`` the Python of a worker environment of its own. ``seconds`` is the target time
    that one audit may take; checks beyond it are left out, and said to be.
    """

    name: str
    runtime: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"
    threads: int = 1
    graph_optimization: str = "all"
    memory_limit: int = 4 * 2**30
    time_limit: float = 120.0
    price_per_hour: float | None = None
    device: str | None = None
    library: str | None = None
    provider_options: Mapping[str, str] = field(default_factory=dict)
    session: Mapping[str, str] = field(default_factory=dict)
    free_dimensions: Mapping[str, int] = field(default_factory=dict)
    allow_fallback: bool = False
    emulated: str | None = None
    interpreter: str | None = None
    seconds: float | None = None
    endpoint: EndpointSpec | None = None
    cascade: CascadeSpec | None = None

    @property
    def places(self) -> "tuple[TargetSpec, ...]":
        """The target itself; before it, where it is a cascade, the two halves."""
        return (self,) if self.cascade is None else (self.cascade.edge, self.cascade.cloud, self)

    @property
    def endpoints(self) -> tuple[EndpointSpec, ...]:
        """The served models that are asked here."""
        return tuple(place.endpoint for place in self.places if place.endpoint is not None)

    @property
    def served(self) -> bool:
        """Whether a server or a cascade answers here in place of a file that this machine runs."""
        declared = self.endpoint is not None or self.cascade is not None
        return declared or self.runtime in SERVED

    @property
    def may_be_attacked(self) -> bool:
        """Whether leave was written down to attack every served model that is asked here."""
        return all(found.authorisation is not None for found in self.endpoints)

    def to_json(self) -> dict[str, Json]:
        """Return the declared fields; the rarer ones only where they are set."""
        return {
            "name": self.name,
            "runtime": self.runtime,
            "provider": self.provider,
            "threads": self.threads,
            "graph_optimization": self.graph_optimization,
            "memory_limit": self.memory_limit,
            "time_limit": self.time_limit,
            "price_per_hour": self.price_per_hour,
            **{name: value for name, value in self._rarer().items() if value},
        }

    def _rarer(self) -> dict[str, Json]:
        return {
            "device": self.device,
            "library": self.library,
            "provider_options": dict(self.provider_options),
            "session": dict(self.session),
            "free_dimensions": dict(self.free_dimensions),
            "allow_fallback": self.allow_fallback,
            "emulated": self.emulated,
            "interpreter": self.interpreter,
            "seconds": self.seconds,
            "endpoint": None if self.endpoint is None else self.endpoint.to_json(),
            "cascade": None if self.cascade is None else self.cascade.to_json(),
        }


LOGITS = frozenset({"logits", "binary_logit"})
"""What ``ModelInterface.scores`` says of scores that a softmax makes probabilities of."""


@dataclass(frozen=True, slots=True)
class ModelInterface:
    """How rows go into the model and scores come out, and why we think so.

    ``layout`` says what is done to a row before it enters: ``as_is``, ``reshape``,
    ``channels_first`` or ``channels_last``. ``scores`` says what comes out: ``logits``,
    ``probabilities``, ``binary_probability``, ``binary_logit`` (one column) or ``zipmap``;
    ``because`` is the observation that decided it, in words.
    """

    input: str
    input_shape: tuple[int, ...]
    input_dtype: str
    fixed_batch: int | None
    layout: str
    output: str
    scores: str
    because: str

    def to_json(self) -> dict[str, Json]:
        """Return the record's form."""
        return {
            "input": self.input,
            "input_shape": list(self.input_shape),
            "input_dtype": self.input_dtype,
            "fixed_batch": self.fixed_batch,
            "layout": self.layout,
            "output": self.output,
            "scores": self.scores,
            "because": self.because,
        }


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What a target turned out to be.

    ``identity_facts`` must match for a verdict to be reused; ``conditions_facts`` (load, isolation
    level) may differ from run to run. ``evidence`` is how far figures speak of the declared target,
    as it was found when they were judged; records that are older than it have none.
    """

    identity_facts: JsonObject
    conditions_facts: JsonObject
    emulated: bool = False
    interface: ModelInterface | None = None
    evidence: EvidenceLevel | None = None

    @property
    def identity(self) -> str:
        """Digest of what must match."""
        return digest_json(self.identity_facts)

    @property
    def conditions(self) -> str:
        """Digest of what may differ."""
        return digest_json(self.conditions_facts)

    def to_json(self) -> dict[str, Json]:
        """Return the record's form: the two digests and the facts that they are taken over."""
        return {
            "identity": self.identity,
            "conditions": self.conditions,
            "emulated": self.emulated,
            "identity_facts": dict(self.identity_facts),
            "conditions_facts": dict(self.conditions_facts),
            "interface": None if self.interface is None else self.interface.to_json(),
            **({} if self.evidence is None else {"evidence": self.evidence.value}),
        }
