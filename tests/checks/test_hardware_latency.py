"""hardware.latency: order statistics of times measured on the target."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from benched_subjects import benched, linear, looping, rows
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import ArrayLike
from scored_subjects import measured, names

from auditor.checks.hardware.latency import CHECK, LatencyCheck
from auditor.domain.budgets import AuditSize, Budget
from auditor.domain.check_subject import CheckShard, Subject
from auditor.domain.evidence import Evidence, decode_evidence, encode_evidence
from auditor.domain.model_instrumentation import NO_BENCH
from auditor.domain.readings import (
    BiasDirection,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Unit,
)
from auditor.metrics.hardware.open_loop_load import offered_load, poisson_arrivals, response_times
from auditor.metrics.hardware.timing import find_timing_doubts, median_spread

CLOSED = ["p50", "p90", "p99", "throughput"]


def evidence(single: ArrayLike, batch: ArrayLike, rows: int = 10, **conditions: float) -> Evidence:
    about = {
        "load": 0.1, "first": 0.2, "warmup": 3, "batch_rows": rows, "conditions": conditions,
        "sizes": [], "agree": 0.05, "stolen": 0.05,
    }  # fmt: skip
    return {
        "single": np.asarray(single), "batch": np.asarray(batch), "about": about, "queues": [],
    }  # fmt: skip


def test_known_times_give_their_order_statistics() -> None:
    times = np.arange(1, 1001) / 1000
    p50, p90, p99, throughput, *_ = LatencyCheck().figures(evidence(times[::-1], [0.5] * 20), 0.95)
    assert (p50.value, p90.value, p99.value) == (0.5, 0.9, 0.99)
    assert (p50.low, p50.high) == (0.469, 0.532)  # ranks 469 and 532: David and Nagaraja, 7.1
    assert (throughput.value, throughput.low, throughput.high) == (20.0, 20.0, 20.0)


@pytest.mark.parametrize("confidence", [0.9, 0.95, 0.999])
def test_the_readings_are_the_same_at_any_confidence(confidence: float) -> None:
    found = LatencyCheck().figures(evidence(np.ones(5000), np.ones(50)), confidence)
    assert names(found) == [*CLOSED, "load", "first"]
    assert all(reading.repeat is Repeatability.INTERVAL for reading in found)
    assert all(reading.unit is LatencyCheck.emits[reading.metric].unit for reading in found)


def test_a_wider_confidence_gives_a_wider_interval() -> None:
    rng = np.random.default_rng(0)
    seen = evidence(rng.exponential(size=3000), rng.exponential(size=100))
    for narrow, wide in zip(
        LatencyCheck().figures(seen, 0.8)[:4], LatencyCheck().figures(seen, 0.99)[:4], strict=True
    ):
        assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


def test_too_few_calls_are_a_gap_that_says_how_many() -> None:
    p50, p90, p99, throughput, *_ = LatencyCheck().figures(evidence(np.ones(100), np.ones(3)), 0.95)
    assert isinstance(p50, Measurement)
    assert isinstance(p90, Measurement)
    assert (p99.reason, throughput.reason) == (GapReason.TOO_FEW_ROWS, GapReason.TOO_FEW_ROWS)
    assert (p99.metric, throughput.metric) == ("p99", "throughput")
    assert "100 were made" in p99.detail


def test_a_faster_batch_is_a_higher_throughput() -> None:
    slow, fast = (
        LatencyCheck().figures(evidence(np.ones(10), np.full(20, t), 64), 0.95)[3]
        for t in (2.0, 1.0)
    )
    assert (slow.value, fast.value) == (32.0, 64.0)


def test_opening_and_the_first_call_are_told_apart_from_the_rest() -> None:
    *_, load, first = LatencyCheck().figures(evidence(np.ones(50), np.ones(50)), 0.95)
    assert (load.metric, load.value, first.metric, first.value) == ("load", 0.1, "first", 0.2)
    assert load.low is None


NOISE = [
    ({"stolen_share": 0.2}, np.ones(300), "20.0%"),
    ({"steady": 0.0}, np.ones(300), "did not agree"),
    ({}, np.repeat([1.0, 1.2, 1.0], 100), "differ by 20.0%"),
]


@pytest.mark.parametrize(("conditions", "times", "words"), NOISE, ids=["steal", "warm", "windows"])
def test_times_of_a_noisy_machine_are_doubted(
    conditions: dict[str, float], times: np.ndarray, words: str
) -> None:
    found = LatencyCheck().figures(evidence(times, np.ones(50), **conditions), 0.95)
    measurements = [item for item in found if isinstance(item, Measurement)]
    assert measurements
    assert all(item.doubted for item in measurements)
    assert words in measurements[0].details["doubts"][0]


def test_times_of_a_quiet_machine_are_not_doubted() -> None:
    quiet = evidence(np.ones(500), np.ones(50), steady=1.0, stolen_share=0.01)
    found = LatencyCheck().figures(quiet, 0.95)
    assert not any(item.doubted for item in found)
    assert "doubts" not in found[0].details


def test_interrupted_calls_cast_doubt_on_the_quantiles_that_they_reach() -> None:
    """Two in 100 calls: more than half of the slowest 1 %, and less than half of the 10 %."""
    seen = evidence(np.ones(2000), np.ones(50), interrupted_share=0.02)
    p50, p90, p99, *_ = LatencyCheck().figures(seen, 0.95)
    assert (p50.doubted, p90.doubted, p99.doubted) == (False, False, True)
    assert "interrupted" in p99.details["doubts"][0]


def test_waiting_for_a_processor_casts_doubt_on_the_queue_alone() -> None:
    seen = queued(np.ones(1000), np.arange(1000) * 1.5, waited_share=0.3)
    found = LatencyCheck().figures(seen, 0.95)
    assert measured(found, "open_p99").doubted
    assert not measured(found, "p90").doubted


def on_processor(taken: ArrayLike, **conditions: float) -> tuple[Reading, Reading]:
    """The median by the clock on the wall, and that of the time on a processor."""
    seen = {**evidence(np.full(500, 9.0), np.ones(50), **conditions), "processor": taken}
    found = {item.metric: item for item in LatencyCheck().figures(seen, 0.95)}
    return found["p50"], found["cpu_p50"]


BUSY = {"steady": 0.0, "waited_share": 0.7, "interrupted_share": 2.0}


def test_a_busy_machine_casts_no_doubt_on_the_time_that_a_processor_was_had() -> None:
    wall, processor = on_processor(np.full(500, 3.0), **BUSY)
    assert (wall.value, wall.doubted) == (9.0, True)
    assert (processor.value, processor.low, processor.high) == (3.0, 3.0, 3.0)
    assert not processor.doubted


@pytest.mark.parametrize(("conditions", "times", "words"), [NOISE[0], NOISE[2]])
def test_a_processor_of_several_speeds_or_of_others_does(
    conditions: dict[str, float], times: np.ndarray, words: str
) -> None:
    processor = on_processor(times, **conditions)[1]
    assert processor.doubted
    assert processor.astray is BiasDirection.TOO_HIGH
    assert words in processor.details["doubts"][0]


CLOSED_LOOP = {"p50", "p90", "p99", "throughput"}
SHAKEN = np.repeat([1.0, 1.2, 1.0], 500)
"""Windows of calls that differ by a fifth."""


def worst_cases(
    single: ArrayLike, processor: ArrayLike | None, **conditions: float
) -> dict[str, float | None]:
    seen = evidence(single, np.ones(50), **conditions)
    more = {} if processor is None else {"processor": np.asarray(processor)}
    found = LatencyCheck().figures({**seen, **more}, 0.95)
    return {item.metric: item.worst_case for item in found if isinstance(item, Measurement)}


def test_times_beside_other_work_are_bounded_by_the_lowest_clock_that_lasts() -> None:
    """Nine tenths of each call waited for a processor, which no clock makes shorter."""
    found = worst_cases(SHAKEN, SHAKEN / 10, waited_share=0.9)
    assert found["p50"] == pytest.approx(1.0 + 4 * 0.1)
    assert found["p99"] == pytest.approx(1.2 + 4 * 0.12)
    assert found["throughput"] == pytest.approx(10 / 5)
    assert {name for name, worst in found.items() if worst is not None} == CLOSED_LOOP


@pytest.mark.parametrize(
    ("processor", "waited"),
    [(SHAKEN / 10, 0.0), (SHAKEN / 10, 0.8), (np.where(SHAKEN > 1, SHAKEN, 0.0), 0.9)],
    ids=["waits for a device", "waits for other threads", "a coarse clock"],
)
def test_time_that_is_not_accounted_for_may_be_that_of_a_boosted_clock(
    processor: np.ndarray, waited: float
) -> None:
    found = worst_cases(SHAKEN, processor, waited_share=waited)
    assert (found["p50"], found["p99"]) == (5.0, 6.0)


def test_interrupted_calls_of_one_speed_put_no_clock_in_doubt() -> None:
    found = worst_cases(np.ones(2000), np.ones(2000), interrupted_share=0.02)
    assert (found["p50"], found["p90"], found["p99"]) == (None, None, 1.0)


@pytest.mark.parametrize(
    ("processor", "conditions"),
    [(None, {}), (SHAKEN, {"stolen_share": 0.2}), (None, {"steady": 0.0})],
    ids=["served", "stolen", "served and cold"],
)
def test_what_disturbs_a_server_or_comes_from_a_host_has_no_worst_case(
    processor: np.ndarray | None, conditions: dict[str, float]
) -> None:
    assert set(worst_cases(SHAKEN, processor, **conditions).values()) == {None}


def test_a_quiet_machine_has_no_worst_case() -> None:
    assert set(worst_cases(np.ones(500), np.ones(500)).values()) == {None}


def test_other_work_may_shorten_requests_with_pauses_so_they_have_no_worst_case() -> None:
    seen = queued(np.ones(1000), np.arange(1000) * 1.5, waited_share=0.3)
    found = LatencyCheck().figures({**seen, "processor": np.ones(500)}, 0.95)
    late = measured(found, "open_p99")
    assert (late.doubted, late.worst_case) == (True, None)


@given(
    st.lists(st.floats(1e-6, 10), min_size=60, max_size=90),
    st.floats(0, 1),
    st.floats(0, 1),
    st.booleans(),
)
def test_a_worst_case_is_never_better_than_the_interval(
    times: list[float],
    ran: float,
    waited: float,
    steady: bool,  # noqa: FBT001 -- drawn
) -> None:
    single = np.array(times)
    seen = evidence(single, single, waited_share=waited, steady=float(steady))
    found = LatencyCheck().figures({**seen, "processor": single * ran}, 0.95)
    for item in found:
        if isinstance(item, Measurement) and item.worst_case is not None:
            assert item.doubted
            faster = item.unit is Unit.PER_SECOND
            assert item.worst_case <= item.low if faster else item.worst_case >= item.high


def test_a_clock_that_sees_no_time_pass_is_no_fast_model() -> None:
    ticks = np.where(np.arange(500) % 3 == 0, 0.01, 0.0)
    processor = on_processor(ticks)[1]
    assert isinstance(processor, Gap)
    assert processor.reason is GapReason.NOT_DEFINED


def test_times_without_a_processor_have_no_such_figure() -> None:
    assert "cpu_p50" not in names(LatencyCheck().figures(evidence(np.ones(500), np.ones(50)), 0.95))


def test_too_few_times_have_no_windows() -> None:
    assert median_spread(np.ones(29)) is None
    assert find_timing_doubts(np.ones(5), {}, agree=0.05, stolen=0.05) == []


def queued(
    served: ArrayLike, due: ArrayLike, gap: dict[str, str] | None = None, **conditions: float
) -> Evidence:
    """A queue whose requests took ``served`` seconds each."""
    due, served = np.asarray(due), np.asarray(served)
    began, free = np.empty(len(due)), 0.0
    for index, (wanted, takes) in enumerate(zip(due, served, strict=True)):
        began[index] = max(wanted, free)
        free = began[index] + takes
    entry = {"params": {"rate": 5.0}, "rate": 5.0, "gap": gap, "conditions": conditions}
    seen = evidence(np.ones(500), np.ones(50))
    arrivals = {} if gap else {"arrivals_0": np.stack([due, began, began + served])}
    return {**seen, "queues": [entry], **arrivals}


def test_waiting_for_others_is_part_of_the_open_loop_and_not_of_the_closed_one() -> None:
    """A stall of 20 s in 400 calls of 1 s: coordinated omission would see one slow call in 400."""
    served = np.ones(20_000)
    served[200::400] = 20.0
    seen = queued(served, np.arange(20_000) * 1.5)
    late = measured(LatencyCheck().figures(seen, 0.95), "open_p99", rate=5.0)
    assert late.low > 15
    assert np.quantile(served, 0.99) == 1.0
    assert 0.6 < late.details["offered_load"] < 0.8


def test_one_stall_says_nothing_of_how_often_requests_wait() -> None:
    """Ten late requests that waited for the same call are one chance, and no ten."""
    served = np.ones(1000)
    served[500] = 100.0
    found = LatencyCheck().figures(queued(served, np.arange(1000) * 1.5), 0.95)
    gap = next(item for item in found if isinstance(item, Gap))
    assert (gap.metric, gap.reason, gap.params) == (
        "open_p99",
        GapReason.TOO_FEW_ROWS,
        {"rate": 5.0},
    )


def test_requests_that_were_still_waiting_when_time_was_up_cast_doubt() -> None:
    """Whoever leaves out the last ones leaves out those that would have waited longest."""
    served, due = np.ones(1000), np.arange(1000) * 1.5
    whole = measured(LatencyCheck().figures(queued(served, due, left_out=0.0), 0.95), "open_p99")
    cut = measured(LatencyCheck().figures(queued(served, due, left_out=400.0), 0.95), "open_p99")
    assert (whole.doubted, cut.doubted) == (False, True)
    assert "400 requests" in cut.details["doubts"][0]


def test_requests_that_come_faster_than_they_are_served_have_no_percentile() -> None:
    found = LatencyCheck().figures(queued(np.ones(1000), np.arange(1000) * 0.5), 0.95)
    gap = next(item for item in found if isinstance(item, Gap))
    assert (gap.metric, gap.reason, gap.params) == (
        "open_p99",
        GapReason.NOT_DEFINED,
        {"rate": 5.0},
    )


def test_a_queue_that_could_not_be_run_is_a_gap_with_its_rate() -> None:
    told = {"reason": "model_hung", "detail": "It hung.", "cure": "Wait."}
    found = LatencyCheck().figures(queued([1.0], [0.0], told), 0.95)
    gap = next(item for item in found if isinstance(item, Gap))
    assert (gap.reason, gap.params) == (GapReason.MODEL_HUNG, {"rate": 5.0})


def test_arrivals_are_a_poisson_process_of_the_rate() -> None:
    due = poisson_arrivals(20_000, 50.0, 3)
    gaps = np.diff(due)
    assert due[0] == 0.0
    assert gaps.mean() == pytest.approx(1 / 50, rel=0.03)
    assert gaps.std() == pytest.approx(1 / 50, rel=0.05)
    assert due.tolist() == poisson_arrivals(20_000, 50.0, 3).tolist()


def test_load_and_waits_are_those_of_the_queue() -> None:
    rows = np.array([[0.0, 1.0, 1.0], [0.0, 1.0, 2.0], [0.5, 2.0, 4.0]])
    assert response_times(rows).tolist() == [0.5, 1.0, 3.0]
    assert offered_load(rows) == pytest.approx((3.5 / 3) / 0.5)
    assert offered_load(rows[:, :1]) == 0.0


@pytest.fixture
def subject(tmp_path: Path) -> Iterator[Subject]:
    """A subject whose model waits: every row takes the long way round a loop."""
    inputs = rows(80)
    inputs[:, 1] = 0.9
    with benched(tmp_path, looping(tmp_path, 2000), inputs) as opened:
        yield opened


def test_what_is_timed_on_the_target_gives_every_figure(subject: Subject) -> None:
    check = CHECK(calls=400, warmup=5, batch_rows=8, batch_sizes=(1, 4), seconds=20.0)
    asked, benched_before = subject.model.queries, subject.bench.queries
    seen = check.observe(subject, CheckShard())
    stored = {name: decode_evidence(encode_evidence(item).raw) for name, item in seen.items()}
    assert check.figures(stored, 0.95) == check.figures(seen, 0.95)
    found = check.figures(stored, 0.95)
    p50, _, p99, throughput = found[:4]
    assert (len(seen["single"]), len(seen["batch"]), p50.n) == (400, 20, 400)
    assert 1e-4 < p50.low <= p50.value <= p50.high <= p99.high
    assert throughput.value > 0
    known = {"load", "first", "warmup", "batch_rows", "conditions"}
    assert set(p50.details) - {"doubts"} == known
    conditions = {"load_average", "stolen_share", "cpu_seconds_a_call", "windows", "waited_share"}
    assert conditions <= set(p50.details["conditions"])
    processor = measured(found, "cpu_p50")
    assert (len(seen["processor"]), processor.n) == (400, 400)
    # The loop is one thread's work, so that most of a call is spent on a processor or on waiting.
    assert 1e-4 < processor.low <= processor.value < 1.05 * p50.high + 1e-5
    one = measured(found, "batch_throughput", rows=1)
    four = measured(found, "batch_throughput", rows=4)
    assert four.value > one.value, "the loop goes round once for all rows of a batch"
    opened = next(item for item in found if item.metric == "open_p99")
    assert opened.params == {"utilisation": 0.5}
    assert isinstance(opened, Gap) or opened.value >= p50.low
    pilot, sizes = 1 + 5 + 12, 2 * (1 + 1) + 12 * (1 + 4)
    assert subject.model.queries == asked + pilot + 5 + 400 + 20 * 8 + sizes
    assert 0 < subject.bench.queries - benched_before <= 3 * 400
    spent = subject.model.queries - asked + subject.bench.queries - benched_before
    assert spent <= check.cost(AuditSize(80, 2)).queries + pilot + 5


def test_a_slow_model_is_asked_less_often(subject: Subject) -> None:
    few = CHECK(calls=10_000, warmup=5, batch_rows=1000, seconds=0.1).observe(subject, CheckShard())
    assert len(few["single"]) < 1000
    assert few["about"]["batch_rows"] < 1000


@pytest.mark.slow
def test_declared_rates_are_measured_each(tmp_path: Path) -> None:
    with benched(tmp_path, linear(tmp_path), rows()) as subject:
        check = CHECK(calls=400, warmup=5, batch_sizes=(), rates=(500.0, 1000.0), seconds=20.0)
        found = check.figures(check.observe(subject, CheckShard()), 0.95)
        subject.bench = NO_BENCH
        closed = check.figures(check.observe(subject, CheckShard()), 0.95)
    opened = [item for item in found if item.metric == "open_p99"]
    assert [item.params for item in opened] == [{"rate": 500.0}, {"rate": 1000.0}]
    gaps = [item for item in closed if isinstance(item, Gap)]
    assert [gap.params for gap in gaps] == [{"rate": 500.0}, {"rate": 1000.0}]
    assert names(found) == names(closed)


def test_warming_up_goes_on_until_windows_agree(tmp_path: Path) -> None:
    with benched(tmp_path, linear(tmp_path), rows()) as subject:
        timing = subject.model.time(rows(), calls=50, warmup=20, batch_rows=1)
    windows = timing.conditions["windows"]
    assert 3 <= windows <= 10
    assert timing.warmup == 20 * windows
    assert timing.conditions["steady"] == 1.0 or windows == 10


@pytest.mark.parametrize(
    "wrong", [{"calls": 0}, {"batch_sizes": (0,)}, {"rates": (0.0,)}, {"utilisation": 1.0}], ids=str
)
def test_parameters_without_a_meaning_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="must be"):
        CHECK(**wrong)


@pytest.mark.parametrize("budget", list(Budget))
def test_the_cost_covers_what_a_budget_spends(budget: Budget) -> None:
    check = CHECK(**CHECK.presets[budget])
    assert check.cost(AuditSize(100, 2)).queries >= check.calls + check.warmup
