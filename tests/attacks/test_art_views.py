"""What ART would see of a model and of rows; nothing here needs ART itself."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from evasion_toys import ToyModel, arena, box, classes, linear
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from auditor.attacks.art.adapter import (
    AttackLimitError,
    QueryMeter,
    TargetView,
    TwinView,
    attack_scaler,
    fixed_global_seed,
    silenced_output,
)
from auditor.attacks.art.configured_attack import CraftingJob, ModelAccess
from auditor.attacks.art.evasion import run_art_attack
from auditor.attacks.art.evasion_evidence import ArtAttackResult, AttackLimits
from auditor.attacks.art.failure_reasons import FailureReason, attack_exception
from auditor.attacks.art.settings import read_settings
from auditor.attacks.evasion.attack_setup import AttackSetup
from auditor.attacks.evasion.losses import softmax
from auditor.attacks.evasion.norms import Norm
from auditor.attacks.evasion.threat_model import lp_threat
from auditor.domain.readings import GapReason
from auditor.domain.tasks import FeatureKind, InputFeature, InputSpace
from auditor.errors import CancelledError, PolicyError

ALLOWANCE = AttackLimits(most_queries=10_000, seconds=60.0, tick=lambda: None)
LOAN = (
    InputFeature("income", low=0.0, high=200.0),
    InputFeature("age", FeatureKind.INTEGER, low=18.0, high=90.0),
    InputFeature("region", FeatureKind.CATEGORICAL, categories=(0.0, 1.0, 7.0)),
    InputFeature("debt", low=-1.0, high=1.0, nullable=True),
)


def table() -> InputSpace:
    low = np.array([0.0, 18.0, 0.0, -1.0])
    high = np.array([200.0, 90.0, 7.0, 1.0])
    return InputSpace(low, high, np.zeros(4), np.ones(4, dtype=np.bool_), LOAN)


def free_meter() -> QueryMeter:
    return QueryMeter(tick=lambda: None, most=10_000, seconds=60.0)


@given(st.integers(0, 10_000))
def test_rows_that_art_leaves_alone_come_back_as_they_were(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.uniform(table().low, table().high, (3, 4)).astype(["f4", "f8"][seed % 2])
    rows[:, 2] = 7
    rows[0, 3] = np.nan
    lens = attack_scaler(rows, lp_threat(table(), Norm.LINF, 0.1, (4,)))
    assert ((lens.shown >= 0) & (lens.shown <= 1)).all()
    np.testing.assert_array_equal(lens.returned(lens.shown), rows.astype(np.float64))


@given(st.integers(0, 10_000))
def test_a_budget_in_shown_numbers_is_one_in_ranges(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows = rng.uniform(40, 60, (1, 4)).astype(np.float64)
    rows[0, 3] = 0.0
    lens = attack_scaler(rows, lp_threat(table(), Norm.LINF, 0.1, (4,)))
    moved = lens.returned(lens.shown + np.float32(0.1)) - rows
    # The category may not change at all, whatever an attack does to it.
    np.testing.assert_allclose(moved[0], [20.0, 7.2, 0.0, 0.2], atol=1e-4)


def test_a_missing_value_stays_missing_for_the_model() -> None:
    rows = np.array([[50.0, 30.0, 1.0, np.nan]])
    lens = attack_scaler(rows, lp_threat(table(), Norm.LINF, 0.5, (4,)))
    assert lens.moves.tolist() == [True, True, False, False]
    np.testing.assert_array_equal(lens.real(lens.shown)[0, 2:], [1.0, np.nan])


def test_whole_numbers_are_shown_to_the_model_as_whole_numbers() -> None:
    rows = np.full((2, 1, 3, 3), 100, dtype=np.uint8)
    lens = attack_scaler(rows, lp_threat(box((1, 3, 3), high=255.0), Norm.LINF, 0.1, (1, 3, 3)))
    assert lens.picture
    assert lens.real(lens.shown + np.float32(0.001)).dtype == np.uint8
    assert (lens.real(lens.shown + np.float32(0.0025)) == 101).all()


def test_a_grey_picture_gets_an_axis_of_channels() -> None:
    rows = np.zeros((2, 6, 5))
    lens = attack_scaler(rows, lp_threat(box((6, 5)), Norm.LINF, 0.1, (6, 5)))
    assert lens.shown.shape == (2, 1, 6, 5)
    assert lens.real(lens.shown).shape == rows.shape
    last = attack_scaler(
        np.zeros((2, 6, 5, 3)), lp_threat(box((6, 5, 3)), Norm.LINF, 0.1, (6, 5, 3))
    )
    assert not last.channels_first


def test_gradients_of_scores_are_the_weights_times_the_ranges() -> None:
    _, twin, weights, _ = linear(0, 4, classes=3)
    rows = np.array([[50.0, 30.0, 1.0, 0.0]])
    lens = attack_scaler(rows, lp_threat(table(), Norm.LINF, 0.1, (4,)))
    meter = free_meter()
    view = TwinView(twin, classes(3), lens, meter)
    expected = weights.T * [200.0, 72.0, 0.0, 2.0]
    np.testing.assert_allclose(view.class_gradient(lens.shown)[0], expected, rtol=1e-6)
    np.testing.assert_allclose(view.class_gradient(lens.shown, 2)[0, 0], expected[2], rtol=1e-6)
    np.testing.assert_allclose(
        view.class_gradient(lens.shown, np.array([1]))[0, 0], expected[1], rtol=1e-6
    )
    assert meter.passes == 5


def test_the_gradient_of_the_loss_is_what_differences_say() -> None:
    _, twin, _, _ = linear(3, 5, classes=4)
    rows = np.random.default_rng(0).random((6, 5))
    lens = attack_scaler(rows, lp_threat(box((5,)), Norm.LINF, 0.1, (5,)))
    view = TwinView(twin, classes(4), lens, free_meter())
    wanted = np.eye(4)[[0, 1, 2, 3, 0, 1]]
    gradient = view.loss_gradient(lens.shown, wanted)
    step = 0.01
    for place in range(5):
        ahead, behind = lens.shown.copy(), lens.shown.copy()
        ahead[:, place] += step
        behind[:, place] -= step
        slope = (view.loss(ahead, wanted) - view.loss(behind, wanted)) / (2 * step)
        np.testing.assert_allclose(gradient[:, place], slope, atol=2e-3)


@given(
    st.lists(st.floats(-9, 9), min_size=1, max_size=8),
    st.floats(0.02, 0.98),
    st.sampled_from(["0", "1"]),
)
def test_the_larger_score_is_the_decision_at_any_threshold(
    scores: list[float], threshold: float, positive: str
) -> None:
    task = replace(classes(2, threshold), positive=positive)
    logits = np.stack([np.zeros(len(scores)), np.array(scores)], axis=1)
    near = np.abs(softmax(logits)[:, task.positive_index] - threshold) < 1e-6
    rows = np.array(scores).reshape(-1, 1)
    model = ToyModel(lambda x: np.concatenate([np.zeros_like(x), x], axis=1))
    space = InputSpace(np.full(1, -9.0), np.full(1, 9.0), np.zeros(1), np.ones(1, dtype=np.bool_))
    lens = attack_scaler(rows, lp_threat(space, Norm.LINF, 0.1, (1,)))
    target = TargetView(model, task, lens, free_meter())
    said = target.predict(lens.shown)
    decided = task.decide(softmax(logits))
    assert (said.argmax(axis=1) == decided)[~near].all()
    np.testing.assert_allclose(said.sum(axis=1), 1.0, atol=1e-6)


def test_an_attack_that_asks_for_more_than_it_may_is_ended() -> None:
    meter = QueryMeter(tick=lambda: None, most=10, seconds=60.0)
    meter.ask(10)
    with pytest.raises(AttackLimitError, match="more than 10 rows"):
        meter.ask(1)
    meter.climb(10)
    with pytest.raises(AttackLimitError, match="gradients"):
        meter.climb(1)


def test_an_attack_that_takes_longer_than_it_may_is_ended() -> None:
    now = [0.0]
    meter = QueryMeter(tick=lambda: None, most=10, seconds=5.0, clock=lambda: now[0])
    meter.look()
    now[0] = 5.1
    with pytest.raises(AttackLimitError, match="longer than 5 s"):
        meter.look()


def test_the_chance_of_a_library_is_ours_and_leaves_none_behind() -> None:
    def drawn() -> list[float]:
        own = np.random.RandomState()
        drawn = np.random.random()  # noqa: NPY002 -- as a library does
        return [float(drawn), float(own.random_sample())]

    before = np.random.get_state(legacy=True)[1].tolist()  # noqa: NPY002 -- as above
    with fixed_global_seed(5):
        first = drawn()
    with fixed_global_seed(5):
        again = drawn()
    with fixed_global_seed(6):
        other = drawn()
    assert first == again != other
    assert np.random.get_state(legacy=True)[1].tolist() == before  # noqa: NPY002 -- as above
    assert np.random.RandomState.__name__ == "RandomState"


def test_what_a_library_prints_is_not_heard_and_our_own_words_are(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with silenced_output() as aloud:
        print("noise")  # noqa: T201 -- as a library does
        aloud(lambda: print("ours"))()  # noqa: T201 -- as our progress does
    assert capsys.readouterr().out == "ours\n"


def test_settings_are_lines_of_attack_name_and_json() -> None:
    lines = ("ZooAttack.max_iter=5", "ZooAttack.use_resize=false", "Wasserstein.ball=wasserstein")
    assert read_settings(lines) == {
        "ZooAttack": {"max_iter": 5, "use_resize": False},
        "Wasserstein": {"ball": "wasserstein"},
    }


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("max_iter=5",), "of the form"),
        (("A.b",), "of the form"),
        (("A.b=1", "A.b=2"), "twice"),
        (("FastGradientMethod.eps=0.9",), "the check decides it"),
    ],
)
def test_a_setting_that_means_nothing_is_refused(lines: tuple[str, ...], words: str) -> None:
    with pytest.raises(PolicyError, match=words):
        read_settings(lines)


class Toolbox:
    """Something that returns rows as ART's attacks do."""

    name = "Liar"
    single = False

    def __init__(self, act: Callable[[CraftingJob], object], *, bounded: bool = True) -> None:
        self.act, self.bounded, self.sight = act, bounded, ModelAccess.TARGET

    def craft(self, job: CraftingJob) -> object:
        return self.act(job)


def halves(rows: int = 12, distance: float = 0.3) -> AttackSetup:
    """Rows that stand ``distance`` away from where the decision changes, along one coordinate."""
    model = ToyModel(lambda x: np.stack([0.5 - x[:, 0], x[:, 0] - 0.5], axis=1))
    inputs = np.full((rows, 1, 4, 4), 0.5)
    inputs[:, 0, 0, 0] = 0.5 - distance
    labels: NDArray[np.int64] = np.zeros(rows, dtype=np.int64)
    return arena(model, inputs, labels, box((1, 4, 4)))


def test_claims_that_leave_the_ball_are_brought_back_and_reported() -> None:
    liar = Toolbox(lambda job: np.ones_like(job.view.lens.shown))
    found = run_art_attack(liar, halves(), (0.1, 0.2, 0.4), 0, ALLOWANCE)
    assert isinstance(found, ArtAttackResult)
    near, middle, far = found.tallies
    for tally in (near, middle):
        assert (tally.attacked, tally.claimed, tally.outside, tally.confirmed) == (12, 12, 12, 0)
    # From 0.3 on, what is left of the lie inside the ball is true.
    assert (far.claimed, far.outside, far.confirmed) == (12, 12, 12)
    assert [bill.broken for bill in found.sweep.log] == [0, 0, 12]
    assert [bill.phantoms for bill in found.sweep.log] == [12, 12, 0]
    arena_ = halves()
    assert arena_.threat(0.4).permits(arena_.rows, found.sweep.crafted).all()


def test_an_honest_attack_keeps_its_claims() -> None:
    def step(job: CraftingJob) -> object:
        shown = job.view.lens.shown.copy()
        shown[:, 0, 0, 0] += np.float32(job.eps)
        return shown

    found = run_art_attack(Toolbox(step), halves(), (0.1, 0.31), 0, ALLOWANCE)
    assert isinstance(found, ArtAttackResult)
    assert [tally.claimed for tally in found.tallies] == [0, 12]
    assert [tally.confirmed for tally in found.tallies] == [0, 12]
    assert [tally.outside for tally in found.tallies] == [0, 0]


def test_an_attack_without_a_budget_is_asked_once_and_judged_at_each() -> None:
    calls = []

    def step(job: CraftingJob) -> object:
        calls.append(job.eps)
        shown = job.view.lens.shown.copy()
        shown[: len(shown) // 2, 0, 0, 0] += np.float32(0.31)
        return shown

    found = run_art_attack(Toolbox(step, bounded=False), halves(), (0.1, 0.32, 0.5), 0, ALLOWANCE)
    assert isinstance(found, ArtAttackResult)
    assert calls == [0.5]
    assert [tally.attacked for tally in found.tallies] == [12, 12, 6]
    assert [tally.confirmed for tally in found.tallies] == [0, 6, 0]


@pytest.mark.parametrize(
    ("act", "words"),
    [
        (lambda job: (job.view.lens.shown, None), "a tuple"),
        (lambda job: job.view.lens.shown[:, :, 1:], "an array of shape"),
        (lambda job: np.zeros(job.view.lens.shown.shape, dtype=object), "a ndarray"),
    ],
)
def test_what_is_not_one_row_for_each_row_is_an_objection(
    act: Callable[[CraftingJob], object], words: str
) -> None:
    found = run_art_attack(Toolbox(act), halves(), (0.1,), 0, ALLOWANCE)
    assert isinstance(found, FailureReason)
    assert words in found.detail


def test_what_is_no_number_is_no_change() -> None:
    nothing = Toolbox(lambda job: np.full_like(job.view.lens.shown, np.nan))
    found = run_art_attack(nothing, halves(), (0.1, 0.9), 0, ALLOWANCE)
    assert isinstance(found, ArtAttackResult)
    assert [tally.claimed for tally in found.tallies] == [0, 0]
    np.testing.assert_array_equal(found.sweep.crafted, halves().rows)


def test_questions_of_an_attack_are_counted_on_the_target() -> None:
    def ask(job: CraftingJob) -> object:
        job.view.predict(job.view.lens.shown)
        return job.view.lens.shown

    there = halves()
    before = there.model.queries
    found = run_art_attack(Toolbox(ask), there, (0.1,), 0, ALLOWANCE)
    assert isinstance(found, ArtAttackResult)
    # Its own question, what it claims, and the judgement.
    assert found.sweep.log[0].queries == there.model.queries - before == 36


def test_time_and_questions_that_do_not_suffice_are_a_gap_over_budget() -> None:
    def ask(job: CraftingJob) -> object:
        for _ in range(9):
            job.view.predict(job.view.lens.shown)
        return job.view.lens.shown

    few = replace(ALLOWANCE, most_queries=8)
    short = replace(ALLOWANCE, seconds=1e-9)
    for allowance in (few, short):
        found = run_art_attack(Toolbox(ask), halves(), (0.1,), 0, allowance)
        assert isinstance(found, FailureReason)
        assert found.reason is GapReason.OVER_BUDGET


def test_a_stopped_audit_stops_an_attack() -> None:
    def stop() -> None:
        raise CancelledError("stopped", cure="Start again.")

    ask = Toolbox(lambda job: job.view.predict(job.view.lens.shown))
    with pytest.raises(CancelledError):
        run_art_attack(ask, halves(), (0.1,), 0, replace(ALLOWANCE, tick=stop))


@pytest.mark.parametrize(
    ("error", "reason", "words"),
    [
        (ModuleNotFoundError("No module named 'cma'", name="cma"), GapReason.NEEDS_EXTRA, "cma"),
        (AttributeError("`np.mat` was removed in the NumPy 2.0 release."), None, "numpy 2"),
        (ValueError("<A object at 0x7f00> is\nodd"), None, "raised ValueError: <A object> is"),
    ],
)
def test_what_an_attack_raises_is_put_into_words(
    error: Exception, reason: GapReason | None, words: str
) -> None:
    found = attack_exception("GeoDA", error)
    assert found.reason is (reason or GapReason.UNSUPPORTED)
    assert words in found.detail


def test_an_attack_that_asks_about_no_numbers_is_the_attacks_fault() -> None:
    def ask(job: CraftingJob) -> object:
        return job.view.predict(np.full_like(job.view.lens.shown, np.nan))

    there = halves()
    before = there.model.queries
    found = run_art_attack(Toolbox(ask), there, (0.1,), 0, ALLOWANCE)
    assert isinstance(found, FailureReason)
    assert "no numbers" in found.detail
    assert there.model.queries == before
