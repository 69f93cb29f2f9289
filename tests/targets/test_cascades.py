"""Two opened models as one: what the pair is said to be, where it runs and how long it takes."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
import pytest
from evasion_toys import ToyModel, classes

from auditor.checks.hardware.cost import ServingCostCheck
from auditor.domain.models import Model, ModelTiming
from auditor.domain.operator_placement import OperatorPlacement, PlacementSource
from auditor.domain.readings import Gap
from auditor.domain.targets import Fingerprint
from auditor.domain.tasks import Array
from auditor.targets.cascade import JoinedCascade, join_cascade

ROWS = np.array([[4.0, 0.0], [0.1, 0.0], [0.0, 4.0], [0.0, 0.1]])
"""The first and the third are sure; the others are deferred."""
CPU, NPU = "CPUExecutionProvider", "NpuExecutionProvider"
WHOLE = OperatorPlacement(CPU, PlacementSource.ASSIGNMENT, {CPU: {"Conv": 3}})
MIXED = OperatorPlacement(NPU, PlacementSource.ASSIGNMENT, {NPU: {"Conv": 1}, CPU: {"Relu": 1}})


@dataclass
class Timed(ToyModel):
    """Takes the same time for each call, under given conditions."""

    seconds: float = 1.0
    conditions: Mapping[str, float] = field(default_factory=dict)
    worked: float | None = None

    def time(self, inputs: Array, *, calls: int, warmup: int, batch_rows: int) -> ModelTiming:
        single, batch = np.full(calls, self.seconds), np.full(12, self.seconds * batch_rows)
        worked = None if self.worked is None else np.full(calls, self.worked)
        return ModelTiming(
            0.5, 0.1, warmup, single, batch, batch_rows, self.conditions, processor=worked
        )


def half(seconds: float = 1.0, **conditions: float) -> Timed:
    return Timed(lambda x: x, seconds=seconds, conditions=conditions)


def joined(edge: Model, cloud: Model) -> JoinedCascade:
    found = join_cascade(edge, cloud, 0.8, classes(2))
    assert isinstance(found, JoinedCascade)
    return found


def timed(edge: Timed, cloud: Timed) -> ModelTiming:
    return joined(edge, cloud).whole.time(ROWS, calls=8, warmup=1, batch_rows=4)


def test_rows_that_are_deferred_take_both_halves_time() -> None:
    """Two of four rows are: a batch of four takes 4 at the edge, and half of 40 in the cloud."""
    found = timed(half(1.0), half(10.0))
    assert found.single.tolist() == [1.0, 11.0] * 4
    assert found.batch.tolist() == [24.0] * 12


def test_the_processor_time_of_the_pair_is_that_of_both_halves_or_not_known() -> None:
    edge, cloud = (replace(half(), worked=seconds) for seconds in (1.0, 7.0))
    found = timed(edge, cloud).processor
    assert found is not None
    assert found.tolist() == [1.0, 8.0] * 4
    assert timed(edge, half()).processor is None
    assert timed(half(), cloud).processor is None


def test_noise_at_either_half_is_noise_of_the_pair() -> None:
    calm = half(stolen_share=0.0, steady=1.0, load_average=0.1)
    loud = half(stolen_share=0.4, steady=0.0, load_average=3.0)
    for pair in ((calm, loud), (loud, calm)):
        seen = timed(*pair).conditions
        assert (seen["stolen_share"], seen["steady"], seen["load_average"]) == (0.4, 0.0, 3.0)


def test_energy_that_only_one_half_counts_is_not_told_as_all_that_is_spent() -> None:
    counting, silent = half(joules_a_batch=2.0), half(load_average=0.1)
    for pair in ((counting, silent), (silent, counting)):
        seen = timed(*pair).conditions
        assert "joules_a_batch" not in seen
        about = {"conditions": seen, "batch_rows": 4, "agree": 0.05, "stolen": 0.05,
                 "price_per_hour": None, "price_per_query": None}  # fmt: skip
        times = {"single": np.ones(60), "batch": np.ones(12)}
        energy = ServingCostCheck().figures({**times, "about": about}, 0.95)[-1]
        assert isinstance(energy, Gap)
    both = timed(counting, half(joules_a_batch=6.0)).conditions
    assert both["joules_a_batch"] == pytest.approx(2.0 + 0.5 * 6.0)


def test_a_pair_runs_where_declared_only_if_both_halves_do() -> None:
    def placed(edge: OperatorPlacement, cloud: OperatorPlacement) -> OperatorPlacement:
        models = (ToyModel(lambda x: x, placement=where) for where in (edge, cloud))
        return joined(*models).whole.placement

    assert placed(WHOLE, WHOLE).share == 1
    assert placed(WHOLE, MIXED) == placed(MIXED, WHOLE) == MIXED
    assert not placed(WHOLE, OperatorPlacement(NPU, PlacementSource.UNKNOWN)).known
    assert not placed(OperatorPlacement(NPU, PlacementSource.UNKNOWN), WHOLE).known


def test_a_pair_is_another_place_when_either_half_or_the_rule_is() -> None:
    def identity(edge: str, cloud: str, below: float = 0.8) -> str:
        models = [
            ToyModel(lambda x: x, fingerprint=Fingerprint({"runtime": name}, {}))
            for name in (edge, cloud)
        ]
        return JoinedCascade(*models, below).whole.fingerprint.identity

    known = [identity("a", "b"), identity("b", "a"), identity("a", "c"), identity("a", "b", 0.9)]
    assert len(set(known)) == len(known)
    assert identity("a", "b") == known[0]


def test_a_pair_is_emulated_if_one_half_is() -> None:
    real, played = (
        ToyModel(lambda x: x, fingerprint=Fingerprint({}, {}, emulated=flag))
        for flag in (False, True)
    )
    assert joined(real, played).whole.fingerprint.emulated
    assert joined(played, real).whole.fingerprint.emulated
    assert not joined(real, real).whole.fingerprint.emulated
