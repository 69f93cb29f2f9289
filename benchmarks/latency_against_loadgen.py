"""Our latency figures against MLCommons LoadGen (SingleStream and Server), on the same calls.

LoadGen issues the queries and takes their times by its own clock; inside each of them, the timer of
the child process times the same call of the same session. What the way from clock to clock takes is
measured with a model that does nothing, and taken off. For the open loop, LoadGen's Server scenario
and ours face Poisson arrivals of the same rate, one after the other, so they only agree as far as
the machine does the same twice.
"""

import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import mlperf_loadgen as loadgen
import numpy as np
from figures import over, tell
from numpy.typing import NDArray
from session_overhead import SIDE, network, raw_session

from auditor.checks.hardware.latency import SHARES
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import ClassificationTask
from auditor.metrics.hardware.open_loop_load import (
    poisson_arrivals,
    response_times,
    stack_request_times,
)
from auditor.metrics.stats.quantiles import quantile
from auditor.targets.instrumented_model import open_bench
from auditor.targets.sandbox.scoring import OpenedSession, run_batches
from auditor.targets.sandbox.timing import CallTimer
from auditor.targets.session import open_model

QUERIES = 4000
SAMPLES = 64
TOLERANCE = {"p50": 0.05, "p90": 0.10, "p99": 0.15}
PERCENTILE = re.compile(r"^(\d+\.\d+) percentile latency \(ns\)\s*:\s*(\d+)", re.MULTILINE)
Answer = Callable[[int], None]


def percentiles(answer: Answer, settings: loadgen.TestSettings) -> dict[str, float]:
    """Run LoadGen, and return its percentiles (s) as its summary has them."""

    def issue(samples: list[loadgen.QuerySample]) -> None:
        for sample in samples:
            answer(sample.index)
            loadgen.QuerySamplesComplete([loadgen.QuerySampleResponse(sample.id, 0, 0)])

    sut = loadgen.ConstructSUT(issue, lambda: None)
    qsl = loadgen.ConstructQSL(SAMPLES, SAMPLES, lambda _: None, lambda _: None)
    with tempfile.TemporaryDirectory() as folder:
        log = loadgen.LogSettings()
        log.log_output.outdir = folder
        loadgen.StartTestWithLogSettings(sut, qsl, settings, log)
        text = (Path(folder) / "mlperf_log_summary.txt").read_text(encoding="utf-8")
    loadgen.DestroyQSL(qsl)
    loadgen.DestroySUT(sut)
    found = {float(share): int(ns) * 1e-9 for share, ns in PERCENTILE.findall(text)}
    return {name: found[100 * share] for name, share in SHARES.items()}


def single_stream() -> loadgen.TestSettings:
    """Return the settings of one query after the other."""
    settings = loadgen.TestSettings()
    settings.scenario = loadgen.TestScenario.SingleStream
    settings.mode = loadgen.TestMode.PerformanceOnly
    settings.min_duration_ms = 0
    settings.min_query_count = settings.max_query_count = QUERIES
    return settings


def server(rate: float) -> loadgen.TestSettings:
    """Return the settings of Poisson arrivals."""
    settings = single_stream()
    settings.scenario = loadgen.TestScenario.Server
    settings.server_target_qps = rate
    settings.server_target_latency_ns = 1_000_000_000
    return settings


def shown(times: NDArray[np.float64]) -> dict[str, float]:
    """Return our figures of times (s)."""
    found = {name: quantile(times, share, 0.95) for name, share in SHARES.items()}
    return {name: interval.value for name, interval in found.items() if interval is not None}


def timed(opened: OpenedSession, parts: list[NDArray[np.float32]], taken: list[float]) -> Answer:
    """Return an answer to LoadGen's queries that adds our time of each call to ``taken``."""
    asked = {"calls": 1, "batch_rows": 1, "seconds": 60.0, "warmup": 1}
    timer = CallTimer(lambda part: run_batches(opened, ["y"], "x", part, None), parts[0], asked)

    def answer(index: int) -> None:
        taken.append(float(timer._clock([parts[index]], 1, 60.0)[0, 0]))  # noqa: SLF001

    return answer


def closed(path: Path, rows: NDArray[np.float32]) -> tuple[bool, float]:
    """Compare the closed loops; return whether they agree, and the mean time of a call (s)."""
    session = raw_session(path)
    parts = [rows[index : index + 1] for index in range(len(rows))]
    idle = percentiles(timed(OpenedSession(lambda *_: [], ["y"], {}), parts, []), single_stream())[
        "p50"
    ]
    taken: list[float] = []
    theirs = percentiles(
        timed(OpenedSession(session.run, ["y"], {}), parts, taken), single_stream()
    )
    times = np.array(taken)
    ours = shown(times)
    print(f"SingleStream, {len(times)} queries; {idle * 1e6:.1f} us from clock to clock")
    agree = True
    for name, value in ours.items():
        apart = value / (theirs[name] - idle) - 1
        what = f"{name} of one query at a time: ours and theirs apart"
        goal = TOLERANCE[name]
        tell(over("whole audits", what, [abs(apart)], "MLPerf LoadGen", better="less", goal=goal,
                  unit="of it"))  # fmt: skip
        agree &= abs(apart) <= TOLERANCE[name]
        print(
            f"  {name}: ours {value * 1e6:.1f} us, LoadGen {theirs[name] * 1e6:.1f} us, "
            f"apart {apart:+.1%} (at most {TOLERANCE[name]:.0%})"
        )
    return agree, float(times.mean())


def open_loop(path: Path, rows: NDArray[np.float32], each: float) -> None:
    """Print both p99 at half of what the closed loop shows, ours twice around LoadGen's."""
    rate = 0.5 / each
    session = raw_session(path)
    parts = [rows[index : index + 1] for index in range(len(rows))]
    artifact = network(path)
    task = ClassificationTask(tuple("0123456789"), "9", "9")
    spec = TargetSpec("cpu")
    with (
        open_model(spec, path.parent, artifact, task, rows) as model,
        open_bench(spec, path.parent, artifact, model) as bench,
    ):

        def ours() -> float:
            seen = bench.arrivals(rows, poisson_arrivals(QUERIES, rate, 1))
            return shown(response_times(stack_request_times(seen)))["p99"]

        first = ours()
        theirs = percentiles(lambda i: session.run(["y"], {"x": parts[i]}), server(rate))["p99"]
        second = ours()
    print(
        f"Server, {rate:,.0f} queries a second: p99 ours {first * 1e3:.2f} and "
        f"{second * 1e3:.2f} ms, LoadGen {theirs * 1e3:.2f} ms"
    )


def main() -> None:
    """Print the comparison; fail where the closed loops do not agree."""
    rows = np.random.default_rng(1).normal(size=(SAMPLES, 1, SIDE, SIDE)).astype(np.float32)
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "net.onnx"
        network(path)
        agree, each = closed(path, rows)
        open_loop(path, rows, each)
    assert agree, "our quantiles and LoadGen's differ by more than the tolerance"


if __name__ == "__main__":
    main()
