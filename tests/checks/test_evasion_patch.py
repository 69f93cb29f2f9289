from typing import Any

import numpy as np
import pytest
from evasion_toys import NOTHING, LinearTwin, ToyModel, box, classes, subject

from auditor.checks.evasion.patch import CHECK, PatchAttackCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.checks import Need, find_refusal_gap
from auditor.domain.evidence import decode_evidence, encode_evidence
from auditor.domain.readings import BoundKind, Gap, GapReason, Measurement, Reading
from auditor.errors import PolicyError

SIZE = 10
SEARCH = PatchAttackCheck(side=(0.1, 0.2, 0.3, 0.5), stages=("patch_search:200",))
CLIMB = PatchAttackCheck(side=(0.1, 0.2, 0.3, 0.5), stages=("patch_ascent:5",))


def toy(needs: tuple[int, ...] = (1, 4, 4, 9, 9, 99), *, twin: bool = True) -> Subject:
    """Dark pictures, each of which breaks once so many of 3 x 3 pixels in its middle are white.

    What a picture needs is told by its brightness in one corner that no patch can change.
    """
    weights = np.zeros((SIZE, SIZE))
    weights[4:7, 4:7] = 1.0
    weights[0, 0] = -1000.0
    both = np.stack([np.zeros(SIZE * SIZE), weights.reshape(-1)], axis=1)
    rows = np.zeros((len(needs), SIZE, SIZE))
    rows[:, 0, 0] = (np.array(needs) - 0.5) / 1000
    mutable = np.ones((SIZE, SIZE), dtype=np.bool_)
    mutable[0, 0] = False
    return subject(
        ToyModel(lambda x: x @ both),
        LinearTwin(both, np.zeros(2)) if twin else NOTHING,
        rows,
        np.zeros(len(needs), dtype=np.int64),
        box((SIZE, SIZE), mutable=mutable),
        classes(2),
    )


def curve(readings: tuple[Reading, ...]) -> dict[float, Measurement]:
    found = {}
    for reading in readings:
        assert isinstance(reading, Measurement)
        if reading.metric == "robust_accuracy":
            found[float(reading.params["side"])] = reading
    return found


@pytest.mark.parametrize("check", [SEARCH, CLIMB], ids=["search", "climb"])
def test_each_size_of_patch_breaks_exactly_the_pictures_that_it_can(
    check: PatchAttackCheck,
) -> None:
    readings = check.figures(check.observe(toy(), CheckShard()), 0.95)
    robust = {side: reading.value for side, reading in curve(readings).items()}
    assert robust == pytest.approx({0.1: 5 / 6, 0.2: 3 / 6, 0.3: 1 / 6, 0.5: 1 / 6})
    last = readings[-1]
    assert isinstance(last, Measurement)
    assert last.metric == "min_breaking_side"
    assert last.value == pytest.approx(0.2)
    assert last.details["unbroken_share"] == pytest.approx(1 / 6)
    assert curve(readings)[0.3].details["pixels"] == 3


def test_without_a_twin_the_search_goes_on_alone() -> None:
    check = PatchAttackCheck(side=(0.1, 0.3), stages=("patch_ascent:5", "patch_search:150"))
    evidence = check.observe(toy(twin=False), CheckShard())
    assert evidence["attacks"] == ["patch search, 150 queries"]
    assert curve(check.figures(evidence, 0.95))[0.3].value == pytest.approx(1 / 6)
    assert Need.TWIN not in CHECK.needs


def test_climbs_alone_without_a_twin_are_a_gap() -> None:
    (gap,) = CLIMB.figures(CLIMB.observe(toy(twin=False), CheckShard()), 0.95)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NEEDS_TWIN
    assert find_refusal_gap(CLIMB, toy(twin=False)) == gap
    assert find_refusal_gap(CLIMB, toy()) is find_refusal_gap(SEARCH, toy(twin=False)) is None


def test_rows_that_are_no_pictures_are_a_gap() -> None:
    model = ToyModel(lambda x: np.tile([1.0, 0.0], (len(x), 1)))
    rows = np.zeros((5, 12))
    seen = subject(model, NOTHING, rows, np.zeros(5, dtype=np.int64), box((12,)), classes(2))
    (gap,) = SEARCH.figures(SEARCH.observe(seen, CheckShard()), 0.95)
    assert isinstance(gap, Gap)
    assert gap.reason is GapReason.NOT_DEFINED
    assert "[12]" in gap.detail
    assert model.queries <= 5
    assert find_refusal_gap(SEARCH, seen) == gap
    assert model.queries <= 5


def test_shares_that_mean_the_same_pixels_have_the_same_reading() -> None:
    check = PatchAttackCheck(side=(0.01, 0.1, 0.12), stages=("patch_search:30",))
    found = curve(check.figures(check.observe(toy(), CheckShard()), 0.95))
    assert [reading.details["pixels"] for reading in found.values()] == [1, 1, 1]
    assert len({reading.value for reading in found.values()}) == 1


def test_a_patch_that_says_more_than_it_covers_does_not_count() -> None:
    evidence = dict(CLIMB.observe(toy(), CheckShard()))
    distance = evidence["distance"]
    assert isinstance(distance, np.ndarray)
    evidence["distance"] = np.where(distance > 0, 10.0, 0.0)
    robust = curve(CLIMB.figures(evidence, 0.95))
    assert robust[0.3].value == 1.0
    assert robust[0.5].value == pytest.approx(1 / 6)


def test_figures_need_the_stored_evidence_and_the_same_seed_gives_the_same() -> None:
    first, second = (SEARCH.observe(toy(), CheckShard()) for _ in range(2))
    stored = {name: decode_evidence(encode_evidence(item).raw) for name, item in first.items()}
    assert SEARCH.figures(stored, 0.9) == SEARCH.figures(second, 0.9)
    for name, item in first.items():
        assert encode_evidence(item).digest == encode_evidence(second[name]).digest, name


def test_every_reading_is_one_that_the_check_announces() -> None:
    for reading in SEARCH.figures(SEARCH.observe(toy(), CheckShard()), 0.95):
        assert isinstance(reading, Measurement)
        announced = SEARCH.emits[reading.metric]
        assert (reading.unit, reading.bound) == (announced.unit, announced.bound)
        assert set(reading.params) <= {"side"}
    assert SEARCH.emits["robust_accuracy"].bound is BoundKind.AT_MOST


def test_what_is_spent_stays_within_the_cost_that_was_told() -> None:
    seen = toy((99, 99, 99))
    check = PatchAttackCheck(stages=("patch_ascent:5x2", "patch_search:40"))
    check.observe(seen, CheckShard())
    cost = check.cost(AuditSize(rows=3, classes=2))
    assert isinstance(seen.model, ToyModel)
    assert isinstance(seen.twin, LinearTwin)
    assert 3 * 3 * 40 < seen.model.queries <= cost.queries
    assert 0 < seen.twin.passes <= cost.passes


def test_every_budget_gives_at_least_three_sides() -> None:
    for budget in Budget:
        made = PatchAttackCheck(**CHECK.presets[budget])  # type: ignore[arg-type]
        assert len(set(made.side)) >= 3


@pytest.mark.parametrize(
    "wrong",
    [
        {"side": ()},
        {"side": (0.0,)},
        {"side": (1.2,)},
        {"rows": 0},
        {"stages": ()},
        {"stages": ("sparse_rs:20",)},
        {"stages": ("patch_search",)},
    ],
)
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(PolicyError):
        PatchAttackCheck(**wrong)
