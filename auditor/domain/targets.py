"""Targets as declared, and fingerprints of what they turned out to be."""

from dataclasses import dataclass

from auditor.domain.canonical import Json, JsonObject, digest_json


@dataclass(frozen=True, slots=True)
class TargetSpec:
    """Where and how the artifact runs, as the user declares it."""

    name: str
    runtime: str = "onnxruntime"
    provider: str = "CPUExecutionProvider"
    threads: int = 1
    graph_optimization: str = "all"
    memory_limit: int = 4 * 2**30
    time_limit: float = 120.0
    price_per_hour: float | None = None

    def to_json(self) -> dict[str, Json]:
        """Return the declared fields."""
        return {
            "name": self.name,
            "runtime": self.runtime,
            "provider": self.provider,
            "threads": self.threads,
            "graph_optimization": self.graph_optimization,
            "memory_limit": self.memory_limit,
            "time_limit": self.time_limit,
            "price_per_hour": self.price_per_hour,
        }


@dataclass(frozen=True, slots=True)
class Interface:
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
    level) may differ from run to run.
    """

    identity_facts: JsonObject
    conditions_facts: JsonObject
    emulated: bool = False
    interface: Interface | None = None

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
        }
