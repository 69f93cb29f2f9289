"""What a server answered speaks for the file only where parity was required, measured and kept."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from bare_records import bare_record, bare_request
from hypothesis import given
from hypothesis import strategies as st

from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import RuleEffect, Severity
from auditor.domain.readings import Gap, GapReason, Measurement, Unit
from auditor.domain.record_scope import (
    RecordScope,
    find_bound_artifact,
    find_record_scope,
    find_unbound_targets,
)
from auditor.domain.records import AuditRecord
from auditor.domain.targets import CascadeSpec, EndpointSpec, TargetSpec

ARTIFACT = Artifact("m", "1", (FileDigest("model.onnx", 3, "ab" * 32),))
PROD = TargetSpec("prod", "endpoint", endpoint=EndpointSpec(url="https://models.example"))
BOTH = TargetSpec("both", "cascade", cascade=CascadeSpec(TargetSpec("cpu"), PROD))
NATIVE_BOTH = replace(BOTH, cascade=CascadeSpec(TargetSpec("cpu"), TargetSpec("npu")))
Change = Callable[[AuditRecord], AuditRecord]


def finding(metric: str, *readings: int, target: str = "prod") -> Finding:
    return Finding(
        rule=f"same-{metric}",
        title="t",
        target=target,
        measure=f"hardware.parity/{metric}",
        outcome=Outcome.PASSED,
        effect=RuleEffect.DENY,
        severity=Severity.HIGH,
        readings=readings,
        controls=(),
        message="",
        remediation="",
        limits="at most 0.01",
    )


def reading(metric: str, target: str = "prod", **params: str) -> Measurement:
    return Measurement(
        metric=metric,
        value=0.0,
        low=0.0,
        high=0.005,
        method="clopper-pearson",
        n=1000,
        unit=Unit.SHARE,
        params=params,
        target=target,
        check="hardware.parity",
    )


def record(spec: TargetSpec = PROD, artifact: Artifact | None = ARTIFACT) -> AuditRecord:
    """A record of one target on which parity was required, measured and kept."""
    name = spec.name
    return bare_record(
        request=bare_request(artifact=artifact, targets=(spec,)),
        readings=(
            reading("flip_rate", name),
            reading("perturbed_flip_rate", name, perturbation="noise"),
            reading("perturbed_flip_rate", name, perturbation="crafted"),
        ),
        findings=(
            finding("flip_rate", 0, target=name),
            finding("perturbed_flip_rate", 1, 2, target=name),
        ),
    )


def each(change: Callable[[Finding], Finding], metric: str) -> Change:
    def changed(whole: AuditRecord) -> AuditRecord:
        return replace(
            whole,
            findings=tuple(
                change(item) if item.measure.endswith(f"/{metric}") else item
                for item in whole.findings
            ),
        )

    return changed


def without(metric: str) -> Change:
    return lambda whole: replace(
        whole,
        findings=tuple(it for it in whole.findings if not it.measure.endswith(f"/{metric}")),
    )


def instead(index: int, *readings: Measurement | Gap) -> Change:
    """Put other readings in the place of one and of all after it."""
    return lambda whole: replace(whole, readings=(*whole.readings[:index], *readings))


def referring(spec: TargetSpec) -> Change:
    return lambda whole: replace(whole, request=replace(whole.request, reference=spec))


LEFT_OUT = Gap(
    reason=GapReason.NEEDS_AUTHORISATION,
    detail="Nobody gave leave.",
    cure="Write it.",
    target="prod",
    check="hardware.parity",
    metric="perturbed_flip_rate",
)
METRICS = ("flip_rate", "perturbed_flip_rate")
DEFECTS: dict[str, Change] = {
    **{f"no rule on {it}": without(it) for it in METRICS},
    **{
        f"{it} {outcome}": each(lambda item, to=outcome: replace(item, outcome=to), it)
        for it in METRICS
        for outcome in Outcome
        if outcome is not Outcome.PASSED
    },
    **{
        f"{it} only {effect}": each(lambda item, to=effect: replace(item, effect=to), it)
        for it in METRICS
        for effect in (RuleEffect.WARN, RuleEffect.INFO)
    },
    **{
        f"{it} of another target": each(lambda item: replace(item, target="cpu"), it)
        for it in METRICS
    },
    "one rule of two failed": lambda whole: replace(
        whole,
        findings=(*whole.findings, replace(finding("flip_rate", 0), outcome=Outcome.FAILED)),
    ),
    "a rule on noise alone": each(lambda item: replace(item, readings=(1,)), "perturbed_flip_rate"),
    "nothing crafted": instead(2),
    "nothing crafted, and a gap": instead(2, LEFT_OUT),
    "nothing perturbed": instead(1),
    "nothing measured": instead(0),
    "measured elsewhere": lambda whole: replace(
        whole, readings=tuple(replace(it, target="cpu") for it in whole.readings)
    ),
    "compared with another server": referring(replace(PROD, name="twin")),
    "compared with a cascade": referring(BOTH),
    "compared with a target of the audit file": referring(TargetSpec("elsewhere")),
}  # fmt: skip


@pytest.mark.parametrize("spec", [PROD, BOTH, NATIVE_BOTH], ids=lambda spec: spec.name)
def test_parity_that_was_required_measured_and_kept_binds(spec: TargetSpec) -> None:
    whole = record(spec)
    assert find_unbound_targets(whole) == {}
    assert find_record_scope(whole) is find_record_scope(whole, spec.name) is RecordScope.ARTIFACT
    assert find_bound_artifact(whole) == ARTIFACT


@pytest.mark.parametrize("what", DEFECTS)
def test_anything_less_speaks_for_the_endpoint(what: str) -> None:
    whole = DEFECTS[what](record())
    assert find_unbound_targets(whole).keys() == {"prod"}
    assert find_record_scope(whole) is find_record_scope(whole, "prod") is RecordScope.ENDPOINT
    assert find_bound_artifact(whole) is None


@given(st.lists(st.sampled_from(sorted(DEFECTS)), min_size=1, max_size=4))
def test_no_second_defect_mends_the_first(named: list[str]) -> None:
    whole = record()
    for what in named:
        whole = DEFECTS[what](whole)
    assert find_record_scope(whole) is RecordScope.ENDPOINT


@pytest.mark.parametrize("runtime", ["endpoint", "cascade"])
def test_a_target_that_runs_no_file_and_names_nothing_is_served(runtime: str) -> None:
    assert find_unbound_targets(record(TargetSpec("odd", runtime))) == {}
    bare = without("flip_rate")(record(TargetSpec("odd", runtime)))
    assert find_unbound_targets(bare).keys() == {"odd"}


@pytest.mark.parametrize(
    "spec",
    [
        TargetSpec("cpu"),
        TargetSpec("haswell", emulated="Haswell"),
        TargetSpec("npu", "openvino", device="NPU", interpreter="/opt/openvino/bin/python"),
        TargetSpec("qnn", library="onnxruntime_qnn"),
    ],
    ids=lambda spec: spec.name,
)
def test_a_target_that_runs_the_file_needs_no_parity(spec: TargetSpec) -> None:
    whole = replace(record(spec), findings=(), readings=())
    assert find_record_scope(whole) is RecordScope.ARTIFACT


def test_of_two_targets_each_speaks_for_itself_and_both_for_the_least() -> None:
    whole = without("perturbed_flip_rate")(record())
    whole = replace(
        whole, request=replace(whole.request, targets=(TargetSpec("cpu"), *whole.request.targets))
    )
    assert find_record_scope(whole, "cpu") is RecordScope.ARTIFACT
    assert find_record_scope(whole, "prod") is find_record_scope(whole) is RecordScope.ENDPOINT
    assert find_record_scope(whole, "nowhere") is RecordScope.ENDPOINT


def test_without_a_file_a_record_speaks_for_the_endpoint_or_for_predictions() -> None:
    assert find_record_scope(record(PROD, None)) is RecordScope.ENDPOINT
    assert find_record_scope(record(TargetSpec("cpu"), None)) is RecordScope.PREDICTIONS
    assert find_record_scope(record(PROD, None), "nowhere") is RecordScope.PREDICTIONS
    both = record(PROD, None)
    both = replace(both, request=replace(both.request, targets=(TargetSpec("cpu"), PROD)))
    assert find_record_scope(both) is find_record_scope(both, "prod") is RecordScope.ENDPOINT
    assert find_record_scope(both, "cpu") is RecordScope.PREDICTIONS


FLIP, PERTURBED = "hardware.parity/flip_rate", "hardware.parity/perturbed_flip_rate"


@pytest.mark.parametrize(
    ("what", "said"),
    [
        ("no rule on flip_rate", f"no required rule bounds {FLIP}"),
        ("flip_rate only warn", f"no required rule bounds {FLIP}"),
        ("no rule on perturbed_flip_rate", f"no required rule bounds {PERTURBED}"),
        ("flip_rate unknown", "the rule same-flip_rate is undecided"),
        (
            "perturbed_flip_rate not_applicable",
            "the rule same-perturbed_flip_rate is not applicable",
        ),
        ("perturbed_flip_rate waived", "the rule same-perturbed_flip_rate is waived"),
        ("one rule of two failed", "the rule same-flip_rate is failed"),
        ("a rule on noise alone", f"no required rule bounds every reading of {PERTURBED}"),
        ("nothing crafted", f"{PERTURBED} was not measured"),
        (
            "nothing crafted, and a gap",
            f"{PERTURBED} was not measured everywhere: Nobody gave leave.",
        ),
        ("nothing perturbed", f"{PERTURBED} was not measured"),
        ("nothing measured", f"{FLIP} was not measured"),
        (
            "compared with another server",
            (
                "parity compares with the target twin, which the audit file names as `reference`, "
                "and not with the file"
            ),
        ),
    ],
)
def test_why_an_endpoint_does_not_speak_for_the_file_is_told(what: str, said: str) -> None:
    assert find_unbound_targets(DEFECTS[what](record())) == {"prod": said}


def test_readings_of_other_metrics_and_checks_are_not_asked_for() -> None:
    whole = record()
    others = (
        replace(reading("flip_rate"), check="quality.accuracy"),
        reading("agreement"),
        replace(reading("flip_rate"), target="cpu"),
        replace(LEFT_OUT, check="quality.accuracy"),
    )
    whole = replace(whole, readings=(*whole.readings, *others))
    assert find_unbound_targets(whole) == {}


def test_one_rule_may_bound_the_noise_and_another_the_crafted_rows() -> None:
    two = (
        finding("perturbed_flip_rate", 1),
        replace(finding("perturbed_flip_rate", 2), rule="crafted"),
    )
    whole = without("perturbed_flip_rate")(record())
    assert find_unbound_targets(replace(whole, findings=(*whole.findings, *two))) == {}


def test_predictions_alone_are_told_apart_from_an_endpoint_and_from_a_file() -> None:
    local = TargetSpec("cpu")
    assert record(local, None).request.predictions_only
    assert not record(PROD, None).request.predictions_only
    assert not record(local).request.predictions_only


def test_a_regression_is_known_by_the_tolerance_that_its_audit_file_declares() -> None:
    request = record().request
    assert request.task == "classification"
    assert replace(request, declared={"task.threshold": 0.4}).task == "classification"
    assert replace(request, declared={"task.tolerance": 0.4}).task == "regression"
