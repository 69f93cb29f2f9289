"""How soon lists, filters and gates answer where a service has kept 100,000 audits.

Each question is asked over HTTP's own frames in this process, many times, on SQLite and, where
AUDITOR_BENCH_POSTGRESQL names a server's administrator, on PostgreSQL. What counts is the 95th
percentile of the wall time; the CPU time beside it is of this process alone. Before each question
something is written, so that no answer comes from memory; one row says what such an answer takes.

    python benchmarks/service_at_scale.py --audits 100000
"""

import argparse
import os
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from figures import absent, over, tell
from service_places import Opened, opened
from service_seeds import MODELS, Seed, grow, seed_of
from sqlalchemy import create_engine, make_url, text
from starlette.testclient import TestClient

from auditor._time import utc_now
from auditor.service.api.app import build_app
from auditor.service.domain.submissions import SubmissionEventKind
from auditor.service.jobs.queue import dispatch_waiting
from auditor.service.store.submission_history import ServiceStore

GOAL = 0.050
ASKED = 100
CHECKS = ("quality.accuracy",)
POSTGRESQL = "AUDITOR_BENCH_POSTGRESQL"
UNCHANGED = "list, not changed since"
RUNS = f"sub-{0:024x}"
"""An audit that runs: the first one that is grown."""
Ask = Callable[[int], object]


@contextmanager
def databases() -> Iterator[Mapping[str, str | None]]:
    """Give the databases to measure on, by name; what is made on the server is dropped."""
    server = os.environ.get(POSTGRESQL)
    if server is None:
        absent("PostgreSQL", f"{POSTGRESQL} names no server")
        print(f"no {POSTGRESQL}: PostgreSQL is left out")
        yield {"SQLite": None}
        return
    name = f"auditor_bench_{uuid.uuid4().hex}"
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    url = make_url(server).set(database=name).render_as_string(hide_password=False)
    try:
        yield {"SQLite": None, "PostgreSQL": url}
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))


def settle(there: Opened) -> None:
    """Let the database learn how its rows lie, as it does by itself in time."""
    with there.place.store.engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT")
        connection.exec_driver_sql("ANALYZE")


def questions(there: Opened, seed: Seed, ask: Callable[..., Any]) -> Mapping[str, Ask]:
    """Return what is asked, by name."""
    pages = [f"sub-{number:024x}" for number in range(1000, 1000 + ASKED)]
    gate = {"artifact": seed.record["artifact_digest"], "policy": seed.record["policy_digest"]}
    return {
        "list, the newest 50": lambda _: ask("/v1/audits"),
        "list, far down": lambda turn: ask("/v1/audits", cursor=pages[turn]),
        "list, of a state (running)": lambda _: ask("/v1/audits", state="running"),
        "list, of a state (failed)": lambda _: ask("/v1/audits", state="failed"),
        "list, of a model": lambda turn: ask("/v1/audits", model=f"model-{turn % MODELS}"),
        "list, of both": lambda turn: ask(
            "/v1/audits", model=f"model-{turn % MODELS}", state="failed"
        ),
        UNCHANGED: lambda _: ask("/v1/audits"),
        "one audit": lambda turn: ask(f"/v1/audits/{pages[turn]}"),
        "gate": lambda turn: ask("/v1/gate", **gate, **({"target": "cpu"} if turn % 2 else {})),
        "gate, never audited": lambda _: ask(
            "/v1/gate", **{**gate, "artifact": f"sha256:{'0' * 64}"}
        ),
        "what waits (every 2 s)": lambda _: dispatch_waiting(there.service.desk),
        "what runs (at a start)": lambda _: ServiceStore(there.place.store).unended(),
    }


def measured(ask: Ask, between: Ask) -> tuple[np.ndarray[Any, Any], float]:
    """Ask many times; return the wall times and the CPU time of one (s)."""
    walls, cpu = [], 0.0
    for turn in range(ASKED):
        between(turn)
        began, before = time.perf_counter(), time.process_time()
        ask(turn)
        walls.append(time.perf_counter() - began)
        cpu += time.process_time() - before
    return np.array(walls), cpu / ASKED


def main() -> None:
    """Fill, ask, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--audits", type=int, default=100_000)
    parser.add_argument("--on", choices=["SQLite", "PostgreSQL"], help="one of both alone")
    asked = parser.parse_args()
    with databases() as known:
        for name, url in known.items():
            if asked.on not in {None, name}:
                continue
            with tempfile.TemporaryDirectory() as home, opened(Path(home), url) as there:
                measure(name, there, asked.audits)


def measure(name: str, there: Opened, count: int) -> None:
    """Fill one database, and print how soon it answers."""
    seed = seed_of(there, there.audit(CHECKS))
    began = time.perf_counter()
    grow(there, seed, count)
    settle(there)
    took, load, size = time.perf_counter() - began, os.getloadavg()[0], len(seed.record["body"])
    print(f"{name}: {count:,} audits, records of {size:,} bytes, filled in {took:.0f} s, load "
          f"{load:.1f}", flush=True)  # fmt: skip
    headers = {"Authorization": f"Bearer {there.text}"}
    with TestClient(build_app(there.service), headers=headers) as client:

        def ask(path: str, **query: str) -> None:
            answer = client.get(path, params=query)
            assert answer.status_code == 200, answer.text

        def change(turn: int) -> None:
            there.service.kept.append(RUNS, SubmissionEventKind.PROGRESS, {"done": turn}, utc_now())

        for what, question in questions(there, seed, ask).items():
            walls, cpu = measured(question, (lambda _: None) if what == UNCHANGED else change)
            p50, p95 = np.quantile(walls, [0.5, 0.95])
            tell(over("service", f"{name}, {count:,} audits, {what}: p95 wall", [p95 / GOAL],
                      f"the goal of {GOAL} s", better="less", goal=1))  # fmt: skip
            kept = "kept" if p95 < GOAL else "MISSED"
            first, p50, p95, cpu = (1e3 * it for it in (walls[0], p50, p95, cpu))
            print(f"  {what:28} p50 {p50:7.1f} ms  p95 {p95:7.1f} ms  first {first:7.1f} ms  "
                  f"CPU {cpu:6.1f} ms  goal 50 ms: {kept}", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
