"""Check of operator placement: whether operators run on the declared device, by count and time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias, cast

import numpy as np

from auditor.domain.budgets import AuditSize, Budget, CheckCost
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Check, Metric, Need
from auditor.domain.datasets import DatasetRole
from auditor.domain.evidence import Evidence
from auditor.domain.evidence_levels import find_timing_gap
from auditor.domain.gaps import read_gap
from auditor.domain.json import Json
from auditor.domain.model_instrumentation import KernelProfile
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.policies import FrameworkControl
from auditor.domain.readings import Gap, GapReason, Measurement, Reading, Repeatability, Unit
from auditor.errors import AuditorError
from auditor.metrics.stats.quantiles import least_samples, quantile
from auditor.onnx.scan.graph_walk import count_nodes, node_differences, sum_nodes_by_kind

Counts: TypeAlias = Mapping[str, Mapping[str, int]]
METHOD = "the runtime's own assignment"
SECONDS = 0.25
"""Starting a process, opening the model in it and reading its profile: about this long."""


@dataclass(frozen=True, slots=True)
class OperatorPlacementCheck(Check):
    """Counts the nodes that run on the declared provider, on another provider, and with unknown
    placement.

    The runtime reports the placement of each node after its basic optimisation. The reference
    optimises the same file equally and counts the graph's nodes; if the target reports fewer nodes
    of a kind, the difference is unaccounted for. ``time_on_target`` is the share of kernel time in
    ``profiles`` profiled runs of ``rows`` rows.

    If your target cannot report placement, the result is a Gap, not 1.
    """

    rows: int = 64
    profiles: int = 8

    id: ClassVar[str] = "hardware.placement"
    version: ClassVar[int] = 1
    title: ClassVar[str] = "Placement of the operators"
    needs: ClassVar[frozenset[Need]] = frozenset({Need.MODEL})
    emits: ClassVar[Mapping[str, Metric]] = {
        "share_on_target": Metric(
            "Share of nodes on the declared provider",
            Unit.SHARE,
            higher_is_better=True,
            exact=True,
        ),
        "fallback_nodes": Metric(
            "Nodes that run on another provider", Unit.COUNT, higher_is_better=False, exact=True
        ),
        "unaccounted_nodes": Metric(
            "Nodes with unknown placement",
            Unit.COUNT,
            higher_is_better=False,
            exact=True,
        ),
        "time_on_target": Metric(
            "Share of kernel time on the declared provider",
            Unit.SHARE,
            higher_is_better=True,
            of_machine=True,
        ),
    }
    controls: ClassVar[tuple[FrameworkControl, ...]] = (
        FrameworkControl("eu-ai-act", "Annex IV 1(e)"),
        FrameworkControl("eu-ai-act", "13(3)(e)"),
        FrameworkControl("nist-ai-rmf", "MEASURE 2.6"),
        FrameworkControl("iso-42001", "A.4.5"),
    )
    presets: ClassVar[Mapping[Budget, Mapping[str, Json]]] = {
        Budget.SMOKE: {"rows": 16, "profiles": 6},
        Budget.CI: {"rows": 64, "profiles": 8},
        Budget.FULL: {"rows": 256, "profiles": 20},
    }
    about: ClassVar[str] = (
        "A model is a chain of operators. If the chip does not support one, the runtime silently "
        "runs it on the CPU instead: the model works, but not where you intended. The check "
        "asked the runtime where each operator runs."
    )
    cures: ClassVar[tuple[str, ...]] = (
        "Export the model with operators that the provider has, or update the provider.",
        ("Declare the provider that really runs it, so that the audit covers your deployment."),
    )

    def cost(self, size: AuditSize) -> CheckCost:
        """Say what observing will spend: the profiled rows, and a process for each profile."""
        queries = self.profiles * min(self.rows, size.rows)
        return CheckCost(queries=queries, seconds=SECONDS * self.profiles)

    def observe(self, subject: Subject, shard: CheckShard) -> Evidence:
        """Return the placement, the reference's count of nodes, and kernel times."""
        placed = subject.placement
        if isinstance(placed, Gap) or not placed.known:
            gap = placed if isinstance(placed, Gap) else _unknown(placed)
            return {"gap": gap.to_json()}
        return {
            "placement": placed.to_json(),
            "counted": _counted(subject, placed),
            "profiles": self._profiles(subject),
            "support": _support(subject),
        }

    def figures(self, evidence: Evidence, confidence: float) -> tuple[Reading, ...]:
        """Compute the shares and counts."""
        if "gap" in evidence:
            return (read_gap(evidence["gap"]),)
        said = cast("Mapping[str, Json]", evidence["placement"])
        placed = OperatorPlacement(
            str(said["declared"]),
            PlacementSource(str(said["source"])),
            cast("Counts", said["nodes"]),
        )
        about: dict[str, Json] = {**said, "support": cast("Json", evidence["support"])}
        fallback = sum(placed.on(name) for name in placed.elsewhere)
        return (
            _exact("share_on_target", placed.share, Unit.SHARE, placed, about),
            _exact("fallback_nodes", fallback, Unit.COUNT, placed, {"elsewhere": placed.elsewhere}),
            _unaccounted(placed, cast("Mapping[str, Json]", evidence["counted"])),
            _timed(placed.declared, cast("Json", evidence["profiles"]), confidence),
        )

    def _profiles(self, subject: Subject) -> Json:
        bench, data = subject.bench, subject.datasets.get(DatasetRole.EVALUATION)
        if not isinstance(subject.model, Gap):
            played = find_timing_gap(subject.target, subject.model.fingerprint, "time_on_target")
            if played is not None:
                return played.to_json()
        if isinstance(bench, Gap):
            return bench.to_json()
        if data is None or data.inputs is None:
            return _no_profile("The audit names no rows of evaluation data.").to_json()
        rows = data.inputs[subject.sample(DatasetRole.EVALUATION, self.rows)]
        try:
            return [_by_provider(bench.profile(rows)) for _ in range(self.profiles)]
        except AuditorError as error:
            return _no_profile(str(error)).to_json()


def _by_provider(kernels: Sequence[KernelProfile]) -> dict[str, Json]:
    """Sum up the seconds of a profile: provider to operator to seconds."""
    found: dict[str, dict[str, float]] = {}
    for kernel in kernels:
        times = found.setdefault(kernel.provider, {})
        times[kernel.operator] = times.get(kernel.operator, 0.0) + kernel.seconds
    return {provider: dict(times) for provider, times in found.items()}


def _counted(subject: Subject, placed: OperatorPlacement) -> dict[str, Json]:
    found = count_nodes(subject, placed)
    if isinstance(found, Gap):
        return {"gap": found.to_json()}
    return {"nodes": dict(found[0]), "by": found[1]}


def _support(subject: Subject) -> Json:
    if isinstance(subject.model, Gap):
        return None
    return subject.model.fingerprint.conditions_facts.get("support")


def _unaccounted(placed: OperatorPlacement, counted: Mapping[str, Json]) -> Reading:
    if "gap" in counted:
        return read_gap(counted["gap"])
    expected = cast("Mapping[str, int]", counted["nodes"])
    missing, added = node_differences(expected, sum_nodes_by_kind(placed.nodes))
    about: dict[str, Json] = {"missing": missing, "added": added, "counted_by": counted["by"]}
    return _exact("unaccounted_nodes", sum(missing.values()), Unit.COUNT, placed, about)


def _timed(declared: str, profiles: Json, confidence: float) -> Reading:
    if isinstance(profiles, Mapping):
        return read_gap(dict(profiles), "time_on_target")
    runs = cast("Sequence[Mapping[str, Mapping[str, float]]]", profiles)
    shares = [
        sum(run.get(declared, {}).values()) / whole
        for run in runs
        if (whole := sum(sum(times.values()) for times in run.values())) > 0
    ]
    found = quantile(np.array(shares, dtype=np.float64), 0.5, confidence)
    if found is None:
        return Gap(
            reason=GapReason.TOO_FEW_ROWS,
            detail=f"{len(shares)} profiled runs took time; {least_samples(0.5, confidence)} are "
            f"needed at confidence {confidence:g}.",
            cure="Raise `profiles` of hardware.placement.",
            metric="time_on_target",
        )
    return Measurement.of(
        found,
        "time_on_target",
        Unit.SHARE,
        repeat=Repeatability.INTERVAL,
        details={"providers": sorted({name for run in runs for name in run})},
    )


def _exact(
    metric: str, value: float, unit: Unit, placed: OperatorPlacement, details: Mapping[str, Json]
) -> Measurement:
    return Measurement(
        metric=metric, value=value, method=METHOD, n=placed.total, unit=unit, details=details
    )


def _unknown(placed: OperatorPlacement) -> Gap:
    return Gap(
        reason=GapReason.NOT_DEFINED,
        detail=f"Nobody says where the operators run that are meant for {placed.declared}.",
        cure="Use a runtime that reports its assignment (onnxruntime 1.24 or newer).",
    )


def _no_profile(why: str) -> Gap:
    return Gap(
        reason=GapReason.UNSUPPORTED,
        detail=f"No run was profiled. {why}",
        cure="Look at why the profiled run failed.",
        metric="time_on_target",
    )


CHECK: type[Check] = OperatorPlacementCheck
