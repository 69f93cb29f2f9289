"""Records of one 8-bit model on several targets: chips, an emulated one, a service, a cascade."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from rendering_records import (
    BLOBS,
    FAILING,
    FINGERPRINT,
    LINF,
    POLICY,
    REQUEST,
)

from auditor.checks.registry import discover_checks
from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import Json
from auditor.domain.policies import MetricLimits, Policy, Rule, RuleEffect, Severity
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Repeatability
from auditor.domain.records import AuditRecord
from auditor.domain.targets import (
    CascadeSpec,
    EndpointProtocol,
    EndpointSpec,
    Fingerprint,
    TargetSpec,
)
from auditor.reports.rendering_inputs import ReportInputs

CPU_EP = "CPUExecutionProvider"
NODES = {"Conv": 6, "DequantizeLinear": 32, "QuantizeLinear": 18, "Gemm": 1}
CHECKS = discover_checks()
LAYERS: Json = [
    {"name": "12.weight_quantized", "operator": "Conv", "signed": True, "pairs": 10368,
     "over": 508, "largest": 233},
    {"name": "16.weight_quantized", "operator": "Gemm", "signed": True, "pairs": 240,
     "over": 120, "largest": 247},
    {"name": "0.weight_quantized", "operator": "Conv", "signed": True, "pairs": 64,
     "over": 31, "largest": 252},
]  # fmt: skip


def rule(
    check: str, metric: str, title: str, effect: RuleEffect = RuleEffect.DENY, **more: float
) -> Rule:
    """A rule whose limits are ``least`` and ``most``, on the whole sample."""
    limits = MetricLimits(least=more.get("least"), most=more.get("most"))
    require = None if more else "!reading.value"
    return Rule(
        id=f"{check}-{metric}".replace(".", "-"),
        title=title,
        severity=Severity.HIGH,
        effect=effect,
        check=check,
        metric=metric,
        limits=limits if more else None,
        require=require,
    )


RULES = (
    rule("quality.accuracy", "accuracy", "It is right often enough", least=0.8),
    rule("hardware.parity", "flip_rate", "Every target gives the reference's answers", most=0.01),
    rule(
        "hardware.saturation", "saturated_flip_rate", "No overflow here", RuleEffect.WARN, most=0.01
    ),
    rule("hardware.saturation", "at_risk", "No overflow anywhere", RuleEffect.INFO),
    rule("hardware.latency", "p99", "It answers in time", RuleEffect.WARN, most=0.1),
)
POLICY_OF_CHIPS: Policy = replace(POLICY, name="chips", rules=RULES)


def measured(
    target: str,
    measure: str,
    value: float,
    low: float | None = None,
    high: float | None = None,
    n: int = 450,
    **more: object,
) -> Measurement:
    check, metric = measure.split("/")
    known = CHECKS[check].emits[metric]
    made = Measurement(
        metric=metric,
        value=value,
        low=low,
        high=high,
        confidence=None if low is None else 0.95,
        bound=known.bound,
        method="exact" if low is None else "clopper-pearson",
        n=n,
        unit=known.unit,
        target=target,
        check=check,
        version=1,
    )
    return replace(made, **more)  # type: ignore[arg-type]  # any field of a measurement


def flips(target: str, check: str, count: int, by_class: Mapping[str, float]) -> list[Reading]:
    """What a comparison of two runs over 450 rows reads, of which ``count`` differ."""
    rate, lost = count / 450, max(0, count - 6)
    rows: Json = [
        {"id": str(213 + row), "before": "5", "after": "8", "moved": 5.73 - row / 10}
        for row in range(min(count, 3))
    ]
    details: dict[str, Json] = {"flips": count, "from": {}, "to": {}, "worst_rows": rows}
    truth: dict[str, Json] = {
        "before": 0.924, "after": 0.924 - (lost - 6) / 450 if count else 0.924,
        "gained": min(6, count), "lost": lost,
    }  # fmt: skip
    near = 0.006 if not count else 0.03
    return [
        measured(target, f"{check}/flip_rate", rate, max(0.0, rate - near), rate + near,
                 details=details),
        *(
            measured(target, f"{check}/class_flip_rate", share, max(0.0, share - 0.1), share + 0.12,
                     45, params={"class": name})
            for name, share in by_class.items()
        ),
        measured(target, f"{check}/accuracy_change", -lost / 450, -lost / 450 - 0.02, 0.0,
                 details=truth),
    ]  # fmt: skip


def scan(target: str, *, over: int = 659, pairs: int = 10672) -> list[Reading]:
    """What the scan of 8-bit weights reads."""
    details: dict[str, Json] = {
        "weights": 3 if pairs else 0, "pairs": pairs, "over": over,
        "layers": LAYERS if over else [],
    }  # fmt: skip
    share = over / pairs if pairs else 0.0
    return [
        measured(target, "hardware.saturation/risky_share", share, n=pairs, details=details),
        measured(target, "hardware.saturation/at_risk", over > 0, n=pairs),
    ]


def exact(target: str, count: int) -> Measurement:
    """How many decisions change once sums are exact."""
    rate = count / 450
    return measured(
        target, "hardware.saturation/saturated_flip_rate", rate, max(0.0, rate - 0.03), rate + 0.008
    )


def quality(target: str, accuracy: float, robust: float, gap: float) -> list[Reading]:
    return [
        measured(target, "quality.accuracy/accuracy", accuracy, accuracy - 0.03, accuracy + 0.03),
        measured(target, "quality.calibration/debiased_l2", 0.02, 0.0, 0.09),
        *(
            measured(target, f"{LINF}/robust_accuracy", value, max(0.0, value - 0.05),
                     value + 0.05, 200, params={"eps": eps, "norm": "linf"})
            for eps, value in ((0.02, robust + 0.3), (0.05, robust), (0.1, 0.0))
        ),
        *(
            measured(target, f"fairness.groups/{metric}_gap", value, max(0.0, value - 0.08),
                     value + 0.1, params={"group_column": "writer"})
            for metric, value in (("tpr", gap), ("selection_rate", gap / 3))
        ),
    ]  # fmt: skip


def timed(target: str, p50: float, price: float | None, *, doubted: bool = False) -> list[Reading]:
    """Latency, and a price where there is one."""
    found: list[Reading] = [
        measured(target, f"hardware.latency/{metric}", value, value * 0.95, value * 1.05, 2000,
                 repeat=Repeatability.INTERVAL, doubted=doubted)
        for metric, value in (("p50", p50), ("p99", p50 * 4))
    ]  # fmt: skip
    if price is not None:
        paid = measured(
            target, "hardware.cost/price_per_million_rows", price, price * 0.9, price * 1.1, 50,
            repeat=Repeatability.INTERVAL, doubted=doubted,
        )  # fmt: skip
        return [*found, paid]
    return found


def untimed(target: str) -> list[Reading]:
    return [
        Gap(
            reason=GapReason.EMULATED,
            detail="The processor is emulated: its numbers are those of the chip, its times not.",
            cure="Measure times on the chip itself.",
            target=target,
            check=check,
        )
        for check in ("hardware.cost", "hardware.latency")
    ]


def judged(
    readings: Sequence[Reading], target: str, outcomes: Mapping[str, Outcome]
) -> list[Finding]:
    """A finding of each rule on a target: ``outcomes`` by measure, else passed where measured."""
    made = []
    for asked in RULES:
        indices = tuple(
            place
            for place, item in enumerate(readings)
            if item.target == target and item.check == asked.check
            if item.metric == asked.metric or (isinstance(item, Gap) and not item.metric)
        )
        told = Outcome.PASSED if indices else Outcome.UNKNOWN
        limits = "`!reading.value`" if asked.limits is None else asked.limits.words()
        made.append(
            Finding(
                rule=asked.id,
                title=asked.title,
                target=target,
                measure=asked.measure,
                outcome=outcomes.get(asked.measure, told),
                effect=asked.effect,
                severity=asked.severity,
                readings=indices,
                controls=(),
                message=f"{asked.title}, on {target}.",
                remediation="",
                limits=limits,
            )
        )
    return made


def placed(nodes: Mapping[str, Mapping[str, int]] | None, **more: Json) -> Fingerprint:
    """A fingerprint whose operators run as ``nodes`` says."""
    told: Json = None if nodes is None else {name: dict(kinds) for name, kinds in nodes.items()}
    facts = {**FINGERPRINT.identity_facts, "placement": told, "provider": CPU_EP, **more}
    return replace(FINGERPRINT, identity_facts=facts)


HASWELL_FACTS: Json = {
    "cpu": {"emulated": "Haswell", "emulator": "qemu-x86_64 10.0", "flags": ["avx2", "fma"]},
    "os": "Linux",
    "machine": "x86_64",
}
ON_CPU = placed({CPU_EP: NODES})
HASWELL = replace(placed({CPU_EP: NODES}, machine=HASWELL_FACTS), emulated=True)
BY_CLASS = {"5": 0.41, "9": 0.26, "2": 0.0}
NONE_BY_CLASS = dict.fromkeys(BY_CLASS, 0.0)
FAILS = {
    "hardware.parity/flip_rate": Outcome.FAILED,
    "hardware.saturation/saturated_flip_rate": Outcome.FAILED,
    "hardware.saturation/at_risk": Outcome.FAILED,
    "hardware.latency/p99": Outcome.UNKNOWN,
}
RISKY = {"hardware.saturation/at_risk": Outcome.FAILED}


def record_of(
    specs: Sequence[TargetSpec],
    readings: Sequence[Reading],
    outcomes: Mapping[str, Mapping[str, Outcome]],
    prints: Mapping[str, Fingerprint],
) -> AuditRecord:
    """A record of several targets; ``outcomes`` by target and measure."""
    return replace(
        FAILING,
        request=replace(REQUEST, name="digits-s8s8", targets=tuple(specs)),
        fingerprints=dict(prints),
        observations=(),
        readings=tuple(readings),
        findings=tuple(
            item
            for spec in specs
            for item in judged(readings, spec.name, outcomes.get(spec.name, {}))
        ),
    )


OVERFLOWING = [
    *quality("haswell", 0.838, 0.3, 0.24),
    *flips("haswell", "hardware.parity", 56, BY_CLASS),
    *scan("haswell"),
    exact("haswell", 56),
    *untimed("haswell"),
]
STEADY = [
    *quality("server", 0.924, 0.42, 0.12),
    *flips("server", "hardware.parity", 0, NONE_BY_CLASS),
    *scan("server"),
    exact("server", 0),
    *timed("server", 0.0002, 0.09),
    *quality("small", 0.92, 0.41, 0.13),
    *flips("small", "hardware.parity", 0, NONE_BY_CLASS),
    *scan("small"),
    exact("small", 0),
    *timed("small", 0.0009, 0.03),
]
SPECS = (
    TargetSpec("server", price_per_hour=0.4),
    TargetSpec("small", price_per_hour=0.02),
    TargetSpec("haswell", emulated="Haswell"),
)
CHIPS = record_of(
    SPECS,
    [*STEADY, *OVERFLOWING],
    {"haswell": FAILS, "server": RISKY, "small": RISKY},
    {"server": ON_CPU, "small": ON_CPU, "haswell": HASWELL},
)
SAFE = record_of(
    SPECS[:2],
    [
        *(item for item in STEADY if item.check != "hardware.saturation"),
        *scan("server", over=0),
        exact("server", 0),
        *scan("small", over=0),
        exact("small", 0),
    ],
    {},
    {"server": ON_CPU, "small": ON_CPU},
)
SERVED = TargetSpec(
    "service",
    runtime="endpoint",
    endpoint=EndpointSpec(
        url="https://models.example/v2", protocol=EndpointProtocol.OIP_HTTP, model="d"
    ),
)
MIXED = TargetSpec("mixed", provider="WebGPU", allow_fallback=True)
CASCADE = TargetSpec(
    "edge-cloud",
    runtime="cascade",
    cascade=CascadeSpec(edge=TargetSpec("edge"), cloud=TargetSpec("cloud"), below=0.8),
)
EVERYWHERE = record_of(
    (SERVED, MIXED, CASCADE, TargetSpec("lost")),
    [
        *quality("service", 0.92, 0.4, 0.1),
        *quality("mixed", 0.92, 0.4, 0.1),
        *quality("edge-cloud", 0.93, 0.4, 0.1),
    ],
    {},
    {
        "service": replace(FINGERPRINT, identity_facts={"model": "d", "version": "3"}),
        "mixed": placed(
            {CPU_EP: {"QuantizeLinear": 13}, "WebGPU": {"Conv": 42}}, provider="WebGPU"
        ),
        "edge-cloud": replace(
            FINGERPRINT,
            identity_facts={
                "edge": dict(ON_CPU.identity_facts),
                "cloud": dict(ON_CPU.identity_facts),
                "defer_below": 0.8,
            },
        ),
    },
)


def inputs_of_chips(record: AuditRecord) -> ReportInputs:
    """The record with the policy and the checks that it stands for."""
    return ReportInputs(
        record=record,
        policy=POLICY_OF_CHIPS,
        checks=CHECKS,
        blob=BLOBS.__getitem__,
        show_examples=True,
    )
