"""hardware.placement: every node is accounted for, and what is unknown is never 1."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

import pytest
from scored_subjects import measured, read, scored

from auditor.checks.hardware.placement import OperatorPlacementCheck
from auditor.domain.artifacts import Artifact, FileDigest, ModelStructure
from auditor.domain.check_subject import Subject
from auditor.domain.model_instrumentation import NO_BENCH, KernelProfile
from auditor.domain.models import CompanionModel
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.readings import Gap, GapReason, Measurement, Reading
from auditor.domain.targets import Fingerprint, TargetSpec
from auditor.domain.tasks import Array
from auditor.errors import ModelCrashedError

CHIP, CPU = "ChipExecutionProvider", "CPUExecutionProvider"
GRAPH = {CPU: {"Conv": 3, "Relu": 3, "Gemm": 1}}
FILE = FileDigest("model.onnx", 1, "0" * 64)


@dataclass
class Placed:
    """A model of which only the placement and the runtime are asked."""

    placement: OperatorPlacement
    version: str = "1.32.0"

    @property
    def fingerprint(self) -> Fingerprint:
        runtime = {"name": "onnxruntime", "version": self.version}
        return Fingerprint({"runtime": runtime}, {"support": "untested here"})


@dataclass
class Profiling:
    """A bench whose profile is known beforehand."""

    shares: list[float]
    at: int = 0

    def profile(self, inputs: Array) -> tuple[KernelProfile, ...]:
        share = self.shares[self.at]
        self.at += 1
        if share < 0:
            raise ModelCrashedError("the profiled run died", cure="Look at it.")
        return (
            KernelProfile("conv", "Conv", CHIP, share, 1),
            KernelProfile("gemm", "Gemm", CPU, 1 - share, 1),
        )


def subject(
    nodes: Mapping[str, Mapping[str, int]],
    source: PlacementSource = PlacementSource.ASSIGNMENT,
    **more: object,
) -> Subject:
    placed = OperatorPlacement(CHIP, source, nodes)
    reference = Placed(OperatorPlacement(CPU, PlacementSource.ASSIGNMENT, GRAPH))
    about = {"graph_optimization": "all"}
    made = replace(
        scored([0.2, 0.8], [0, 1]),
        artifact=Artifact("m", "1", (FILE,)),
        placement=placed,
        model=Placed(placed),
        reference=CompanionModel(lambda: reference, about=about),
        target=TargetSpec("chip", provider=CHIP),
        bench=NO_BENCH,
    )
    return replace(made, **more)


def by_metric(found: Subject, **parameters: int) -> dict[str, Reading]:
    return {item.metric: item for item in read(OperatorPlacementCheck(**parameters), found)}


def test_a_known_placement_gives_its_share_and_its_counts() -> None:
    nodes = {CHIP: {"Conv": 3, "Relu": 3}, CPU: {"Gemm": 1}}
    readings = read(OperatorPlacementCheck(), subject(nodes))
    assert measured(readings, "share_on_target").value == 6 / 7
    assert measured(readings, "fallback_nodes").value == 1
    assert measured(readings, "fallback_nodes").details["elsewhere"] == {CPU: {"Gemm": 1}}
    assert measured(readings, "unaccounted_nodes").value == 0
    assert measured(readings, "share_on_target").details["nodes"] == nodes


def test_a_node_that_nobody_names_is_counted_by_its_kind() -> None:
    nodes = {CHIP: {"Conv": 2, "Relu": 3, "Transpose": 2}, CPU: {"Gemm": 1}}
    lost = measured(read(OperatorPlacementCheck(), subject(nodes)), "unaccounted_nodes")
    assert lost.value == 1
    assert lost.details["missing"] == {"Conv": 1}
    assert lost.details["added"] == {"Transpose": 2}


@pytest.mark.parametrize(
    "placement",
    [
        OperatorPlacement(CHIP, PlacementSource.UNKNOWN),
        OperatorPlacement(CHIP, PlacementSource.ASSIGNMENT, {}),
        OperatorPlacement(CHIP, PlacementSource.ASSIGNMENT, {CHIP: {}}),
        OperatorPlacement(CHIP, PlacementSource.UNKNOWN, {CHIP: {"Conv": 1}}),
    ],
    ids=str,
)
def test_an_unknown_placement_is_a_gap_and_never_one(placement: OperatorPlacement) -> None:
    (gap,) = read(OperatorPlacementCheck(), subject({}, placement=placement))
    assert isinstance(gap, Gap)
    assert CHIP in gap.detail


def test_a_model_that_never_opened_gives_the_gap_of_its_placement() -> None:
    lost = Gap(reason=GapReason.MODEL_CRASHED, detail="It died.", cure="Mend it.")
    (gap,) = read(OperatorPlacementCheck(), subject({}, placement=lost))
    assert gap == lost


def test_what_is_known_of_a_model_that_fell_back_is_still_read() -> None:
    fell = Gap(reason=GapReason.FELL_BACK, detail="It fell back.", cure="Mend it.")
    readings = read(OperatorPlacementCheck(), subject(GRAPH, model=fell))
    assert measured(readings, "share_on_target").value == 0.0
    assert measured(readings, "fallback_nodes").value == 7


def test_what_our_tests_never_ran_says_so_in_the_details() -> None:
    share = measured(
        read(OperatorPlacementCheck(), subject({CHIP: {"Conv": 1}})), "share_on_target"
    )
    assert share.details["support"] == "untested here"


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"source": PlacementSource.VENDOR}, "the placement is vendor"),
        ({"reference": CompanionModel()}, "there is no reference"),
        ({"target": TargetSpec("chip", graph_optimization="none")}, "There is no model"),
        (
            {"model": Placed(OperatorPlacement(CHIP, PlacementSource.UNKNOWN), "1.24.1")},
            "onnxruntime 1.24.1",
        ),
        (
            {
                "reference": CompanionModel(
                    lambda: Placed(OperatorPlacement(CPU, PlacementSource.ASSIGNMENT, GRAPH)),
                    about={"graph_optimization": "none"},
                )
            },
            "does not optimise",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_nodes_that_cannot_be_counted_beside_the_target_are_a_gap(
    more: dict[str, object], says: str
) -> None:
    source = more.pop("source", PlacementSource.ASSIGNMENT)
    assert isinstance(source, PlacementSource)
    gap = by_metric(subject(GRAPH, source, **more))["unaccounted_nodes"]
    assert isinstance(gap, Gap)
    assert says in gap.detail


def test_without_optimisation_the_file_is_what_the_nodes_are_held_against() -> None:
    counted = {"ai.onnx::Conv": 2, "ai.onnx.ml::Scaler": 1}
    made = subject(
        {CHIP: {"Conv": 2}},
        target=TargetSpec("chip", graph_optimization="none"),
        structure=ModelStructure("onnx", operators=counted),
    )
    lost = by_metric(made)["unaccounted_nodes"]
    assert isinstance(lost, Measurement)
    assert (lost.value, lost.details["missing"]) == (1, {"Scaler": 1})


def with_inputs(made: Subject) -> Subject:
    (role,) = made.datasets
    dataset = replace(made.datasets[role], inputs=made.datasets[role].scores)
    return replace(made, datasets={role: dataset})


def test_the_share_of_time_is_the_median_of_profiled_runs_between_order_statistics() -> None:
    bench = Profiling([0.5, 0.6, 0.7, 0.8, 0.9, 1.0])
    timed = by_metric(with_inputs(subject(GRAPH, bench=bench)), profiles=6)["time_on_target"]
    assert isinstance(timed, Measurement)
    assert (timed.low, timed.value, timed.high, timed.n) == (0.5, 0.7, 1.0, 6)


def test_too_few_profiled_runs_are_a_gap_that_says_how_many() -> None:
    bench = Profiling([0.5] * 3)
    gap = by_metric(with_inputs(subject(GRAPH, bench=bench)), profiles=3)["time_on_target"]
    assert isinstance(gap, Gap)
    assert "3 profiled runs took time; 6 are needed" in gap.detail


def test_a_profile_that_fails_leaves_the_counts_as_they_are() -> None:
    bench = Profiling([0.5, -1.0])
    readings = by_metric(with_inputs(subject(GRAPH, bench=bench)), profiles=6)
    assert isinstance(readings["time_on_target"], Gap)
    assert "the profiled run died" in readings["time_on_target"].detail
    assert isinstance(readings["share_on_target"], Measurement)


def test_without_a_bench_the_time_is_a_gap() -> None:
    gap = by_metric(subject(GRAPH))["time_on_target"]
    assert isinstance(gap, Gap)
    assert gap.detail == NO_BENCH.detail


def test_the_time_of_an_emulated_processor_is_a_gap() -> None:
    target = TargetSpec("haswell", provider=CHIP, emulated="Haswell")
    made = with_inputs(subject(GRAPH, bench=Profiling([0.5] * 6), target=target))
    gap = by_metric(made, profiles=6)["time_on_target"]
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.EMULATED
