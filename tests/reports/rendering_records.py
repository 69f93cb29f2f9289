"""Records as audits write them, small enough to read: what the renderings are tested on."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, cast

import numpy as np

from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.budgets import Budget
from auditor.domain.checks import Check, Metric
from auditor.domain.evidence import Evidence, encode_evidence
from auditor.domain.findings import Finding, Outcome
from auditor.domain.json import compute_digest, digest_json
from auditor.domain.lineage import LineageEdge
from auditor.domain.policies import (
    AssuranceLevel,
    FrameworkControl,
    MetricLimits,
    Policy,
    Rule,
    RuleEffect,
    Severity,
)
from auditor.domain.readings import (
    BoundKind,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Unit,
)
from auditor.domain.records import AuditRecord, CheckObservation
from auditor.domain.requests import AuditRequest, DatasetRef, InputFile, PolicyRef
from auditor.domain.targets import Fingerprint, ModelInterface, TargetSpec
from auditor.reports.rendering_inputs import ReportInputs

SIGNER = compute_digest(b"the signer's public key")
LINF = "evasion.linf"
HOSTILE = '<script>alert("x")</script>\u202e|`*_[a](javascript:b)\x07&amp;'


REAL = discover_checks()


def _check(check: str, title: str, **emits: Metric) -> type[Check]:
    """Return a check that tells less than the one of that id, and is presented as it."""
    real, told = REAL[check], {"id": check, "version": 1, "title": title, "emits": emits}
    less = {"controls": (), "grid": {}, "__module__": real.__module__}
    return cast("type[Check]", type("Shown", (real,), {**told, **less}))


CHECKS: Mapping[str, type[Check]] = {
    item.id: item
    for item in (
        _check(
            "evasion.linf",
            "Bounded attack with gradients (APGD)",
            robust_accuracy=Metric(
                "Robust accuracy", Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True
            ),
            clean_accuracy=Metric(
                "Accuracy without attack", Unit.SHARE, BoundKind.ESTIMATE, higher_is_better=True
            ),
            min_breaking_eps=Metric(
                "Smallest change that breaks half of the rows", Unit.SHARE, BoundKind.AT_MOST
            ),
        ),
        _check(
            "evasion.linf_query",
            "Bounded attack by queries alone (Square)",
            robust_accuracy=Metric(
                "Robust accuracy", Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True
            ),
        ),
        _check(
            "quality.accuracy",
            "Accuracy on the target",
            accuracy=Metric("Accuracy", Unit.SHARE, BoundKind.ESTIMATE, higher_is_better=True),
            nll=Metric("Log loss", Unit.NAT, BoundKind.ESTIMATE, higher_is_better=False),
        ),
        _check(
            "quality.calibration",
            "Calibration of the stated confidence",
            debiased_l2=Metric(
                "Calibration error, debiased",
                Unit.SHARE,
                BoundKind.ESTIMATE,
                higher_is_better=False,
            ),
            slope=Metric("Calibration slope", Unit.NONE),
        ),
        _check(
            "fairness.groups",
            "Figures by group",
            selection_rate=Metric("Selection rate", Unit.SHARE),
            tpr=Metric("True positive rate", Unit.SHARE, BoundKind.ESTIMATE, higher_is_better=True),
            selection_rate_gap=Metric("Largest gap in selection rate", Unit.SHARE),
        ),
        _check(
            "hardware.latency",
            "Time to answer",
            p50=Metric("Median (p50)", Unit.SECOND, BoundKind.ESTIMATE, higher_is_better=False),
            p90=Metric("p90", Unit.SECOND, BoundKind.ESTIMATE, higher_is_better=False),
            p99=Metric("p99", Unit.SECOND, BoundKind.ESTIMATE, higher_is_better=False),
            throughput=Metric(
                "Throughput", Unit.PER_SECOND, BoundKind.ESTIMATE, higher_is_better=True
            ),
        ),
        _check(
            "provenance.signature",
            "Signature of the artifact",
            verified=Metric(
                "Signature verified",
                Unit.NONE,
                BoundKind.ESTIMATE,
                higher_is_better=True,
                exact=True,
            ),
        ),
        _check("privacy.membership", "Membership inference", auc=Metric("AUC", Unit.NONE)),
        *(
            _check(
                check,
                title,
                clean_accuracy=Metric("Accuracy before any attack", Unit.SHARE),
                robust_accuracy=Metric(
                    "Accuracy under attack", Unit.SHARE, BoundKind.AT_MOST, higher_is_better=True
                ),
                min_breaking_eps=Metric(
                    "Smallest change that breaks half of the rows", Unit.NONE, BoundKind.AT_MOST
                ),
            )
            for check, title in (
                (
                    "evasion.l2",
                    "Accuracy under L2 attacks (small Euclidean distance)",
                ),
                ("evasion.l0", "Accuracy under L0 attacks (a few features changed freely)"),
                ("evasion.art", "Accuracy under attacks from the Adversarial Robustness Toolbox"),
                ("evasion.tabular", "Accuracy under attacks with realistic table rows"),
            )
        ),
        _check(
            "evasion.certified",
            "Certified accuracy against every bounded attack",
            clean_accuracy=Metric("Accuracy before any change", Unit.SHARE),
            certified_accuracy=Metric("Share of rows proved right", Unit.SHARE, BoundKind.AT_LEAST),
            min_breaking_eps=Metric(
                "Smallest budget that can break half of the rows", Unit.SHARE, BoundKind.AT_LEAST
            ),
        ),
        _check(
            "evasion.corruption",
            "Accuracy under noise, blur, weather and data faults",
            clean_accuracy=Metric("Accuracy on the same rows without corruption", Unit.SHARE),
            accuracy=Metric("Accuracy under one kind of corruption", Unit.SHARE),
            mean_accuracy=Metric("Mean accuracy over all kinds and severities", Unit.SHARE),
            worst_kind_accuracy=Metric("Accuracy under the worst kind", Unit.SHARE),
        ),
        _check(
            "evasion.spatial",
            "Accuracy under the worst rotation, shift or lighting",
            clean_accuracy=Metric("Accuracy before any change", Unit.SHARE),
            robust_accuracy=Metric("Accuracy under the worst view", Unit.SHARE, BoundKind.AT_MOST),
            mean_accuracy=Metric("Accuracy over random views", Unit.SHARE),
        ),
        _check(
            "evasion.masking",
            "Signs of gradient masking",
            believable=Metric("Gradients can be believed", Unit.NONE, exact=True),
        ),
    )
}

EU_ROBUST = FrameworkControl("eu-ai-act", "15(5)")
EU_ACCURATE = FrameworkControl("eu-ai-act", "15(1)")
ATLAS = FrameworkControl("mitre-atlas", "AML.T0043")
NIST_FAIR = FrameworkControl("nist-ai-rmf", "MEASURE 2.11")

RULES = (
    Rule(
        id="robust-linf",
        title="Accuracy under a bounded attack stays useful",
        severity=Severity.HIGH,
        effect=RuleEffect.DENY,
        check=LINF,
        metric="robust_accuracy",
        where={"eps": 0.1},
        limits=MetricLimits(least=0.5),
        accept_withstood=True,
        controls=(EU_ROBUST, ATLAS),
        rationale="An attacker may change what the camera sees.",
        remediation="Adversarial training, or a narrower input contract.",
    ),
    Rule(
        id="accurate",
        title="The model is accurate on its target",
        severity=Severity.HIGH,
        effect=RuleEffect.DENY,
        check="quality.accuracy",
        metric="accuracy",
        limits=MetricLimits(least=0.9),
        controls=(EU_ACCURATE,),
        remediation="Train on more data of the kind that the model will see.",
    ),
    Rule(
        id="calibrated",
        title="Stated confidence can be believed",
        severity=Severity.MEDIUM,
        effect=RuleEffect.WARN,
        check="quality.calibration",
        metric="debiased_l2",
        limits=MetricLimits(most=0.05),
        controls=(EU_ACCURATE,),
        remediation="Temperature scaling on data of its own.",
    ),
    Rule(
        id="fair-selection",
        title="Groups are selected at similar rates",
        severity=Severity.HIGH,
        effect=RuleEffect.DENY,
        check="fairness.groups",
        metric="selection_rate_gap",
        where={"group_column": "race"},
        limits=MetricLimits(most=0.1),
        controls=(NIST_FAIR,),
        remediation="Look at what drives the gap before changing a threshold.",
    ),
    Rule(
        id="fast",
        title="Answers come in time",
        severity=Severity.LOW,
        effect=RuleEffect.INFO,
        check="hardware.latency",
        metric="p99",
        limits=MetricLimits(most=0.01),
    ),
    Rule(
        id="signed",
        title="The artifact is signed",
        severity=Severity.CRITICAL,
        effect=RuleEffect.DENY,
        check="provenance.signature",
        metric="verified",
        require="reading.value == true",
        controls=(FrameworkControl("iso-42001", "A.10.3"),),
        remediation="auditor sign MODEL --out model.sig",
    ),
    Rule(
        id="private",
        title="Members of the training data cannot be told",
        severity=Severity.MEDIUM,
        effect=RuleEffect.WARN,
        check="privacy.membership",
        metric="auc",
        limits=MetricLimits(most=0.55),
        when="model.tags.exists(t, t == 'personal-data')",
    ),
)

DOCUMENT = {"apiVersion": "auditor/v1", "kind": "Policy", "rules": [rule.id for rule in RULES]}
POLICY = Policy(
    name="baseline",
    version="1.0.0",
    owner="model-risk@example.org",
    digest=digest_json(DOCUMENT),
    document=DOCUMENT,
    source="baseline.yaml",
    rules=RULES,
    valid_for_days=90,
)

MODEL_FILE = FileDigest("model.onnx", 151_552, compute_digest(b"model").removeprefix("sha256:"))
REQUEST = AuditRequest(
    name="digits-cnn",
    version="1.2.0",
    artifact=Artifact("digits-cnn", "1.2.0", (MODEL_FILE,)),
    targets=(TargetSpec("cpu"),),
    datasets=(DatasetRef("evaluation", compute_digest(b"evaluation data"), 450),),
    policy=PolicyRef(POLICY.name, POLICY.version, POLICY.digest),
    audit_file=compute_digest(b"audit file"),
    seed=7,
    budget=Budget.SMOKE,
    inputs=(InputFile("model.onnx", MODEL_FILE),),
    tags=("image",),
    claims={"accuracy": 0.98},
)
FINGERPRINT = Fingerprint(
    identity_facts={
        "runtime": {"name": "onnxruntime", "version": "1.32.0", "providers": ["CPU"]},
        "machine": {"cpu": {"model": "EPYC", "flags": ["avx2", "fma"]}, "os": "Linux"},
    },
    conditions_facts={"cores": 2, "load_average": [0.2, 0.1, 0.1], "isolation": "process"},
    interface=ModelInterface(
        input="x",
        input_shape=(1, 8, 8),
        input_dtype="float32",
        fixed_batch=None,
        layout="reshape",
        output="logits",
        scores="logits",
        because="the rows of the output do not sum to one",
    ),
)


def measured(
    check: str,
    metric: str,
    value: float | str | None,  # or a yes, or a no
    low: float | None = None,
    high: float | None = None,
    n: int = 450,
    **more: Any,  # noqa: ANN401 -- any field of a measurement
) -> Measurement:
    metric_of = CHECKS[check].emits[metric]
    return Measurement(
        metric=metric,
        value=value,
        low=low,
        high=high,
        confidence=None if low is None else 0.95,
        bound=metric_of.bound,
        unit=metric_of.unit,
        method=more.pop("method", "clopper-pearson" if low is not None else "exact"),
        n=n,
        target=more.pop("target", "cpu"),
        check=check,
        version=1,
        evidence=more.pop("evidence", (compute_digest(check.encode()),)),
        **more,
    )


BINS = [
    {
        "low": i / 10,
        "high": (i + 1) / 10,
        "confidence": i / 10 + 0.06,
        "accuracy": max(0.0, i / 10 - 0.02),
        "accuracy_low": max(0.0, i / 10 - 0.12),
        "accuracy_high": min(1.0, i / 10 + 0.09),
        "n": 10 + 9 * i,
    }
    for i in range(3, 10)
]


def _robust(check: str, eps: float, value: float) -> Measurement:
    return measured(
        check,
        "robust_accuracy",
        value,
        value - 0.045,
        value + 0.046,
        params={"eps": eps, "norm": "linf"},
        details={"worst_rows": ["17", "203", "88"], "queries": 4500},
    )


def _group(metric: str, group: str, value: float) -> Measurement:
    return measured(
        "fairness.groups",
        metric,
        value,
        value - 0.06,
        min(1.0, value + 0.07),
        params={"group_column": "race", "group": group},
        n=197,
    )


READINGS: tuple[Reading, ...] = (
    _robust(LINF, 0.1, 0.41),
    _robust(LINF, 0.05, 0.78),
    _robust(LINF, 0.2, 0.06),
    _robust("evasion.linf_query", 0.1, 0.63),
    _robust("evasion.linf_query", 0.05, 0.88),
    _robust("evasion.linf_query", 0.2, 0.31),
    measured(LINF, "clean_accuracy", 0.9756, 0.9565, 0.9878),
    measured("quality.accuracy", "accuracy", 0.9756, 0.9565, 0.9878),
    measured("quality.accuracy", "nll", 0.0934, 0.0712, 0.1201, method="bca-bootstrap"),
    measured(
        "quality.calibration",
        "debiased_l2",
        0.031,
        0.012,
        0.064,
        method="bootstrap",
        details={"bins": BINS},
    ),
    measured("quality.calibration", "slope", 0.91, 0.83, 1.0, method="wald"),
    *(
        _group("selection_rate", *item)
        for item in (("white", 0.71), ("black", 0.55), ("unknown", 0.62))
    ),
    *(_group("tpr", *item) for item in (("white", 0.91), ("black", 0.84), ("unknown", 0.9))),
    measured(
        "fairness.groups",
        "selection_rate_gap",
        0.16,
        0.04,
        0.27,
        params={"group_column": "race"},
        method="simultaneous simulation",
    ),
    measured(
        "hardware.latency", "p50", 0.000214, 0.000210, 0.000219, 300, repeat=Repeatability.INTERVAL
    ),
    measured(
        "hardware.latency", "p90", 0.000262, 0.000251, 0.00028, 300, repeat=Repeatability.INTERVAL
    ),
    measured(
        "hardware.latency", "p99", 0.00041, 0.00035, 0.00077, 300, repeat=Repeatability.INTERVAL
    ),
    measured("hardware.latency", "throughput", 8123.4, 7990.0, 8240.0, 50),
    measured(
        "provenance.signature", "verified", value=True, n=1, details={"identity": "release key"}
    ),
    Gap(
        reason=GapReason.UNSUPPORTED,
        detail="Membership inference is not built yet",
        cure="Use a version that has it.",
        target="cpu",
        check="privacy.membership",
    ),
)


def index_of(check: str, metric: str, **params: object) -> int:
    return next(
        place
        for place, item in enumerate(READINGS)
        if item.check == check
        and (not isinstance(item, Measurement) or item.metric == metric)
        and all(getattr(item, "params", {}).get(key) == value for key, value in params.items())
    )


def finding(
    rule_id: str,
    outcome: Outcome,
    message: str,
    **more: Any,  # noqa: ANN401 -- any field of a finding
) -> Finding:
    rule = next(rule for rule in RULES if rule.id == rule_id)
    return Finding(
        rule=rule.id,
        title=more.pop("title", rule.title),
        target=more.pop("target", "cpu"),
        measure=rule.measure,
        outcome=outcome,
        effect=rule.effect,
        severity=rule.severity,
        readings=more.pop("readings", (index_of(rule.check, rule.metric, **rule.where),)),
        controls=rule.controls,
        message=message,
        remediation=rule.remediation,
        limits="" if rule.limits is None else rule.limits.words(),
        would_decide=more.pop("would_decide", None),
    )


FINDINGS = (
    finding("accurate", Outcome.PASSED, "Accuracy keeps at least 0.9."),
    finding("robust-linf", Outcome.FAILED, "Robust accuracy breaks at least 0.5."),
    finding(
        "fair-selection",
        Outcome.UNKNOWN,
        "The gap's interval holds values on both sides of 0.1.",
        would_decide={"rows": 1890},
    ),
    finding(
        "calibrated",
        Outcome.UNKNOWN,
        "The interval holds values on both sides of 0.05.",
        would_decide={"rows": 720},
    ),
    finding("fast", Outcome.PASSED, "p99 keeps at most 0.01 s."),
    finding("signed", Outcome.PASSED, "The condition holds."),
    finding("private", Outcome.NOT_APPLICABLE, "The model carries no tag 'personal-data'."),
)

RNG = np.random.default_rng(7)
CLEAN = RNG.uniform(size=(4, 8, 8)).round(2)
EVIDENCE: Evidence = {
    "example_clean": CLEAN,
    "example_adversarial": np.clip(CLEAN + RNG.choice([-0.1, 0.1], CLEAN.shape), 0.0, 1.0),
    "example_rows": ["17", "203", "88", "4"],
    "example_clean_class": ["3", "8", "1", "7"],
    "example_adversarial_class": ["8", "3", "7", "1"],
    "example_eps": [0.1, 0.1, 0.034, 0.0501],
    "settings": {"norm": "linf"},
}
BLOBS = {blob.digest: blob.raw for blob in (encode_evidence(item) for item in EVIDENCE.values())}
OBSERVATION = CheckObservation(
    target="cpu",
    check=LINF,
    version=1,
    params={"eps": [0.05, 0.1, 0.2], "steps": 20, "restarts": 1},
    seed=4711,
    evidence={name: encode_evidence(item).digest for name, item in EVIDENCE.items()},
)
RECORD_ID = "aud-0123456789abcdef01234567"
LINEAGE = (
    LineageEdge(RECORD_ID, "used", POLICY.digest, "policy"),
    LineageEdge(RECORD_ID, "used", compute_digest(b"model"), "artifact"),
    LineageEdge(RECORD_ID, "wasAttributedTo", SIGNER, "signer"),
    LineageEdge(
        RECORD_ID, "wasDerivedFrom", OBSERVATION.evidence["example_clean"], f"evidence:{LINF}"
    ),
)

FAILING = AuditRecord(
    id=RECORD_ID,
    derived_from=None,
    assurance=AssuranceLevel.A0,
    request=REQUEST,
    confidence=0.95,
    fingerprints={"cpu": FINGERPRINT},
    observations=(OBSERVATION,),
    readings=READINGS,
    findings=FINDINGS,
    lineage=LINEAGE,
    tool={"name": "auditor", "version": "0.1.0", "code": compute_digest(b"code")},
    registered="2026-11-24T15:58:00Z",
    finished="2026-11-24T16:00:12Z",
)
PASSING = replace(
    FAILING,
    findings=(
        finding("accurate", Outcome.PASSED, "Accuracy keeps at least 0.9."),
        finding("robust-linf", Outcome.WITHSTOOD, "The attacks did not break at least 0.5."),
        finding("signed", Outcome.PASSED, "The condition holds."),
        finding("fair-selection", Outcome.WAIVED, "Waived by W-3 until 2026-12-31."),
    ),
)
OPEN = replace(
    FAILING,
    findings=(
        finding("accurate", Outcome.PASSED, "Accuracy keeps at least 0.9."),
        finding(
            "fair-selection",
            Outcome.UNKNOWN,
            "The interval holds both sides of 0.1.",
            would_decide={"rows": 1890},
        ),
        finding(
            "private",
            Outcome.UNKNOWN,
            "There is no figure.",
            readings=(index_of("privacy.membership", "auc"),),
        ),
    ),
)
SILENT = replace(FAILING, findings=(), readings=(), observations=(), lineage=(), fingerprints={})
TWO_TARGETS = replace(
    FAILING,
    request=replace(REQUEST, targets=(TargetSpec("cpu"), TargetSpec("cpu-4", threads=4))),
    fingerprints={"cpu": FINGERPRINT, "cpu-4": FINGERPRINT},
    readings=READINGS + tuple(replace(item, target="cpu-4") for item in READINGS),
    findings=FINDINGS
    + tuple(
        replace(item, target="cpu-4", readings=tuple(r + len(READINGS) for r in item.readings))
        for item in FINDINGS
    ),
)
PREDICTIONS_ONLY = replace(FAILING, request=replace(REQUEST, artifact=None, inputs=()))
LONG = "a-very-long-name-without-any-break-" * 5 + "end"
HOSTILE_RECORD = replace(
    FAILING,
    request=replace(REQUEST, name=HOSTILE, version=LONG, tags=(HOSTILE,), claims={HOSTILE: 1}),
    findings=(
        replace(FINDINGS[1], title=HOSTILE, message=LONG, remediation=HOSTILE, rule=HOSTILE),
        replace(FINDINGS[0], title=LONG, message=HOSTILE),
    ),
    readings=(
        *(
            replace(item, params={**item.params, HOSTILE: LONG}, slice={LONG: HOSTILE})
            for item in READINGS
            if isinstance(item, Measurement)
        ),
        Gap(
            reason=GapReason.NOT_DEFINED,
            detail="tpr of race=other is not defined: it has no rows.",
            cure="Evaluate on data that hold such rows.",
            target="cpu",
            check="fairness.groups",
            metric="tpr",
            params={"group_column": "race", "group": HOSTILE},
        ),
        Gap(reason=GapReason.CHECK_CRASHED, detail=HOSTILE, cure=LONG, target="cpu", check=HOSTILE),
    ),
    tool={"name": HOSTILE, LONG: LONG},
)
EVERY_RECORD = {
    "failing": FAILING,
    "passing": PASSING,
    "open": OPEN,
    "silent": SILENT,
    "two-targets": TWO_TARGETS,
    "predictions-only": PREDICTIONS_ONLY,
    "hostile": HOSTILE_RECORD,
}


def inputs_of(
    record: AuditRecord,
    *,
    policy: Policy = POLICY,
    show_examples: bool = True,
    blob: Callable[[str], bytes] = BLOBS.__getitem__,
) -> ReportInputs:
    seen = {item.check for item in record.readings}
    return ReportInputs(
        record=record,
        policy=policy,
        checks={**{name: REAL[name] for name in seen & REAL.keys()}, **CHECKS},
        blob=blob,
        show_examples=show_examples,
    )
