"""Declared targets, endpoints and cascades, and the fingerprints of measured targets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from auditor.domain.confusable_names import quote_name
from auditor.domain.json import (
    Json,
    JsonObject,
    JsonPart,
    Name,
    OmitUnset,
    build_field_error,
    digest_json,
    read_fields,
    write_fields,
)


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
    one audit, at ``price_per_query`` a row. ``authorisation`` is the written permission to attack:
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

    to_json = write_fields


EXACT_SUMS: Mapping[str, str] = {"session.x64quantprecision": "1"}
"""ONNX Runtime's session entry by which 8-bit products do not overflow on x86 without VNNI."""

SERVED = frozenset({"endpoint", "cascade", "callable"})
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

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class CallableSpec:
    """A Python function that answers in place of a file, as the program that asks names it.

    ``function`` is its name with its module, ``source`` the digest of its source, where that can be
    had; neither says which weights it uses.
    """

    function: str
    source: OmitUnset[str | None] = None

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """Where and how the artifact runs, as the user declares it.

    ``runtime`` is ``onnxruntime`` or that of another driver, ``endpoint``, ``cascade`` or
    ``callable``.
    ``device`` chooses one of the devices that the runtime discovers (``NPU``, ``GPU``, ``GPU:1``);
    ``library`` is a plugin provider, by the package that holds it or by the path of its shared
    object.
    ``provider_options``, ``session`` and ``free_dimensions`` are passed on to the runtime as
    written. ``emulated`` is the CPU model that an emulator plays (numbers only, never timed), and
    ``interpreter`` the Python of a worker environment of its own. ``seconds`` is the target time
    that one audit may take; checks beyond it are left out, and said to be.
    """

    name: Name
    runtime: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"
    threads: int = 1
    graph_optimization: str = "all"
    memory_limit: int = 4 * 2**30
    time_limit: float = 120.0
    price_per_hour: float | None = None
    device: OmitUnset[str | None] = None
    library: OmitUnset[str | None] = None
    provider_options: OmitUnset[Mapping[str, str]] = field(default_factory=dict)
    session: OmitUnset[Mapping[str, str]] = field(default_factory=dict)
    free_dimensions: OmitUnset[Mapping[str, int]] = field(default_factory=dict)
    allow_fallback: OmitUnset[bool] = False
    emulated: OmitUnset[str | None] = None
    interpreter: OmitUnset[str | None] = None
    seconds: OmitUnset[float | None] = None
    endpoint: OmitUnset[EndpointSpec | None] = None
    cascade: OmitUnset[CascadeSpec | None] = None
    callable: OmitUnset[CallableSpec | None] = None

    @property
    def places(self) -> "tuple[TargetSpec, ...]":
        """The target itself; before it, where it is a cascade, the two halves."""
        return (self,) if self.cascade is None else (self.cascade.edge, self.cascade.cloud, self)

    @property
    def endpoints(self) -> tuple[EndpointSpec, ...]:
        """The served models that are asked here."""
        return tuple(place.endpoint for place in self.places if place.endpoint is not None)

    @property
    def opens_file(self) -> bool:
        """Whether a file of the audit is opened here; the halves of a cascade say it themselves."""
        return self.endpoint is None and self.callable is None

    @property
    def brings_model(self) -> bool:
        """Whether a server or a function answers here, so that an audit needs no file."""
        return not all(place.opens_file for place in self.places)

    @property
    def served(self) -> bool:
        """Whether something else answers here than a file alone that this machine runs: a server, a
        cascade or a function.
        """
        declared = self.cascade is not None or not self.opens_file
        return declared or self.runtime in SERVED

    @property
    def may_be_attacked(self) -> bool:
        """Whether leave was written down to attack every served model that is asked here."""
        return all(found.authorisation is not None for found in self.endpoints)

    to_json = write_fields


LOGITS = frozenset({"logits", "binary_logit"})
"""What ``ModelInterface.scores`` says of scores that a softmax makes probabilities of."""


MOST_OTHER_LABELS = 0.02
"""Of rows. Labels that are fitted apart from the scores (Platt scaling) differ on few."""


@dataclass(frozen=True, slots=True)
class LabelOutput:
    """An output of labels beside the scores: on how many ``rows`` asked it names another class."""

    output: str
    rows: int
    differing: int

    @property
    def doubt(self) -> str:
        """Why figures of the scores are doubted; nothing where the labels say what scores do."""
        if self.differing <= MOST_OTHER_LABELS * self.rows:
            return ""
        return (
            f"the model's output {quote_name(self.output)} names another class than its scores in "
            f"{self.differing:,} of {self.rows:,} rows asked, and the figures are of the scores"
        )

    to_json = write_fields


@dataclass(frozen=True, slots=True)
class ModelInterface:
    """How rows go into the model and scores come out, and why we think so.

    ``layout`` says what is done to a row before it enters: ``as_is``, ``reshape``,
    ``channels_first`` or ``channels_last``. ``scores`` says what comes out: ``logits``,
    ``probabilities``, ``binary_probability``, ``binary_logit`` (one column) or ``zipmap``;
    ``because`` is the observation that decided it, in words. ``labels`` are outputs that name a
    class a row beside the scores, and ``unread`` those of which nothing was asked. ``defaults`` are
    inputs with a default value, which a caller may set and the audit did not.
    """

    input: str
    input_shape: tuple[int, ...]
    input_dtype: str
    fixed_batch: int | None
    layout: str
    output: str
    scores: str
    because: str
    labels: OmitUnset[tuple[LabelOutput, ...]] = ()
    unread: OmitUnset[tuple[str, ...]] = ()
    defaults: OmitUnset[tuple[str, ...]] = ()

    to_json = write_fields


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
    evidence: OmitUnset[EvidenceLevel | None] = None

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
        return {"identity": self.identity, "conditions": self.conditions, **write_fields(self)}

    @classmethod
    def from_json(cls, found: Json, place: str) -> "Fingerprint":
        """Read what a target turned out to be. Raises ``RecordError`` for what is none."""
        part = JsonPart(found, place)
        made = read_fields(cls, part)
        if (part.get("identity", str), part.get("conditions", str)) != (
            made.identity,
            made.conditions,
        ):
            raise build_field_error(place, "a fingerprint whose digests are those of its facts")
        return made
