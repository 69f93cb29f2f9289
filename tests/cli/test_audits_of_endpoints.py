"""The same audit in process and through real model servers: the transport changes nothing."""

import json
import os
import shutil
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import yaml
from onnx import TensorProto, numpy_helper
from targets import served_models
from targets.served_models import Served

from auditor.domain.tasks import Array

pytestmark = pytest.mark.slow

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
SLOTS = {
    "inputs": [{"name": "pixels", "datatype": "FP32", "shape": [-1, 1, 8, 8]}],
    "outputs": [{"name": "logits", "datatype": "FP32", "shape": [-1, 10]}],
}
PATHS: Mapping[str, Mapping[str, str]] = {
    "gRPC": {"protocol": "oip-grpc"},
    "binary": {"protocol": "oip-http", "encoding": "binary"},
    "JSON": {"protocol": "oip-http", "encoding": "json"},
}
WAYS = [("mlserver", "gRPC"), ("mlserver", "JSON"),
        ("kserve", "gRPC"), ("kserve", "binary"), ("kserve", "JSON")]  # fmt: skip
ONLY = ("quality.accuracy", "hardware.parity", "evasion.linf_query")
LEAVE = "The owner of the test, for this audit."
POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: served, version: 1.0.0, owner: tests@example.org, least_budget: smoke}
checks:
  evasion.linf_query: {eps: [0.02, 0.05], iterations: ITERATIONS, rows: 60}
rules:
  - {id: accuracy, title: It is right, severity: high, effect: deny, rationale: It must be.,
     remediation: Train it., measure: quality.accuracy/accuracy, at_least: 0.9}
  - {id: same, title: It answers alike, severity: high, effect: deny, rationale: It must.,
     remediation: Look., measure: hardware.parity/flip_rate, at_most: 0.02}
  - {id: robust, title: It withstands a search, severity: high, effect: deny, rationale: It must.,
     remediation: Train it., measure: evasion.linf_query/robust_accuracy, where: {eps: 0.05},
     at_least: 0.05, accept: withstood}
"""
Command = Callable[..., Any]
Start = Callable[[str], Served]


@dataclass(frozen=True)
class Audited:
    """How an audit ended, its record, and the folder that it lies in."""

    ended: Any
    folder: Path
    record: Mapping[str, Any] = field(repr=False)

    def readings(self, check: str) -> list[Mapping[str, Any]]:
        """What was measured, without where."""
        return [
            {name: said for name, said in item.items() if name != "target"}
            for item in self.record["readings"]
            if item["check"] == check
        ]

    def gaps(self) -> dict[str, str]:
        """The reason of each check that gave nothing but a Gap."""
        return {
            item["check"]: item["reason"]
            for item in self.record["readings"]
            if item["kind"] == "gap" and "metric" not in item
        }

    def evidence(self, check: str, name: str) -> str:
        """The digest of one blob that a check kept."""
        (found,) = [item for item in self.record["observations"] if item["check"] == check]
        return str(found["evidence"][name])

    def findings(self) -> dict[str, tuple[Any, ...]]:
        """What each rule came to."""
        return {
            item["rule"]: (item["outcome"], item["effect"], item["readings"])
            for item in self.record["findings"]
        }


@dataclass(frozen=True)
class Bench:
    """A folder with the example in it, and the command."""

    folder: Path
    auditor: Command

    def audit(
        self, endpoint: Mapping[str, Any] | None, *, artifact: bool = True, twin: str = "none",
        only: tuple[str, ...] = ONLY, out: str = "out", seconds: float | None = None,
        iterations: int = 40,
    ) -> Audited:  # fmt: skip
        """Run the example's audit in process, or through an endpoint."""
        name = f"{out}.yaml"
        policy = POLICY.replace("ITERATIONS", str(iterations))
        (self.folder / "policy.yaml").write_text(policy, encoding="utf-8")
        if endpoint is not None:
            self.declare({"time_limit": 60.0, "seconds": seconds, "endpoint": dict(endpoint)})
        target = "cpu" if endpoint is None else "prod"
        self.write(name, target, artifact=artifact, twin=twin)
        chosen = [word for check in only for word in ("--only", check)]
        ended = self.auditor("audit", self.folder / name, *chosen, "--out", self.folder / out)
        assert (self.folder / out / "record.json").is_file(), ended.said
        record = json.loads((self.folder / out / "record.json").read_bytes())
        return Audited(ended, self.folder / out, record)

    def verify(self, audited: Audited) -> int:
        """Verify a record offline, from nothing but its files, and return the exit code."""
        ended = self.auditor("verify", audited.folder, "--key", audited.folder / "signer.pub")
        return int(ended.code)

    def declare(self, target: Mapping[str, Any]) -> None:
        """Write the targets down."""
        declared = {"apiVersion": "auditor/v1", "kind": "Targets", "targets": {"prod": target}}
        (self.folder / "targets.yaml").write_text(yaml.safe_dump(declared), encoding="utf-8")

    def write(self, name: str, target: str, *, artifact: bool, twin: str) -> None:
        """Write the audit file."""
        asked = yaml.safe_load((DIGITS / "audit.yaml").read_text(encoding="utf-8"))
        model = {"name": "digits-cnn", "version": "1.0.0", "twin": twin}
        asked["model"] = model | ({"artifact": "model.onnx"} if artifact else {})
        asked |= {"policy": "policy.yaml", "budget": "smoke", "targets": [target]}
        asked["data"] = {"evaluation": asked["data"]["evaluation"]}
        del asked["recipe"]  # none of these checks trains anything
        (self.folder / name).write_text(yaml.safe_dump(asked), encoding="utf-8")


@pytest.fixture
def bench(auditor: Command, tmp_path: Path) -> Bench:
    folder = tmp_path / "digits"
    folder.mkdir()
    for name in ("model.onnx", "test.npz"):
        shutil.copy(DIGITS / name, folder)
    return Bench(folder, auditor)


def make(name: str, folder: Path) -> Served:
    model = DIGITS / "model.onnx"
    if name == "kserve":
        return served_models.kserve(model, folder)
    return served_models.mlserver(model, folder, SLOTS, version="1")


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Start]:
    """Start each server once, when a test first asks for it."""
    made: dict[str, Served] = {}

    def start(name: str) -> Served:
        if name not in made:
            made[name] = make(name, tmp_path_factory.mktemp(name))
            made[name].start()
        return made[name]

    yield start
    for served in made.values():
        served.kill()


def endpoint(served: Served, path: str, **settings: object) -> dict[str, Any]:
    url = served.grpc if path == "gRPC" else served.http
    return {"url": url, "model": "tiny", "authorisation": LEAVE, **PATHS[path], **settings}


@pytest.mark.parametrize("artifact", [True, False])
@pytest.mark.parametrize(("server", "path"), WAYS)
def test_a_served_model_gives_the_figures_that_it_gives_in_process(
    serve: Start,
    bench: Bench,
    server: str,
    path: str,
    artifact: bool,  # noqa: FBT001 -- a parameter
) -> None:
    here = bench.audit(None, out="here")
    there = bench.audit(endpoint(serve(server), path), artifact=artifact, out="there")
    for check in ("quality.accuracy", "evasion.linf_query"):
        assert there.readings(check) == here.readings(check)
    assert there.evidence("quality.accuracy", "probabilities") == here.evidence(
        "quality.accuracy", "probabilities"
    )
    expected = here.findings()
    if artifact:
        assert there.readings("hardware.parity") != []
        (flips,) = [item for item in there.readings("hardware.parity")
                    if item.get("metric") == "flip_rate"]  # fmt: skip
        assert flips["value"] == 0.0
        assert there.gaps() == {}
        assert (there.ended.code, there.record["verdict"]) == (0, "pass")
        assert {rule: said[0] for rule, said in there.findings().items()} == {
            rule: said[0] for rule, said in expected.items()
        }
    else:
        assert there.gaps() == {"hardware.parity": "needs_reference"}
        assert (there.ended.code, there.record["verdict"]) == (3, "inconclusive")
        outcomes = {rule: said[0] for rule, said in there.findings().items()}
        assert outcomes == {rule: said[0] for rule, said in expected.items()} | {"same": "unknown"}
    assert bench.verify(there) == 0


def test_the_twin_of_the_local_file_is_examined_against_what_the_server_answers(
    serve: Start, bench: Bench
) -> None:
    only = ("evasion.linf", "evasion.certified")
    here = bench.audit(None, twin="auto", only=only, out="here")
    there = bench.audit(endpoint(serve("mlserver"), "gRPC"), twin="auto", only=only, out="there")
    assert there.readings("evasion.linf") == here.readings("evasion.linf")
    assert there.gaps() == here.gaps() == {}
    (proved,) = proofs(here)
    assert proved["kind"] == "measurement"
    (refused,) = proofs(there)
    assert refused["reason"] == "unsupported"
    assert "the runtime endpoint may compute in less" in refused["detail"]


def proofs(audited: Audited) -> list[Mapping[str, Any]]:
    """What is said of proofs for the file itself, at one radius."""
    found = [
        item
        for item in audited.readings("evasion.certified")
        if item.get("metric") == "certified_accuracy" and item["params"].get("norm") == "linf"
    ]
    return found[:1]


def test_a_twin_of_another_file_than_the_one_that_is_served_is_refused(
    serve: Start, bench: Bench
) -> None:
    moved = other_model(bench.folder.parent, lambda biases: biases + np.arange(10))
    shutil.copy(moved, bench.folder / "model.onnx")
    served = endpoint(serve("mlserver"), "gRPC")
    there = bench.audit(served, twin="auto", only=("evasion.linf", "hardware.parity"))
    assert there.gaps() == {"evasion.linf": "twin_differs"}
    (flips,) = [item for item in there.readings("hardware.parity")
                if item.get("metric") == "flip_rate"]  # fmt: skip
    assert flips["value"] > 0


@pytest.fixture
def fragile(tmp_path: Path) -> Iterator[Served]:
    folder = tmp_path / "server"
    folder.mkdir()
    with served_models.running(make("mlserver", folder)) as served:
        yield served


def once_kept(home: Path, digest: str, deed: Callable[[], None]) -> threading.Thread:
    """Start a thread that waits for a piece of evidence, after which the attack runs, to act."""

    def wait() -> None:
        end = time.monotonic() + 120
        name = digest.removeprefix("sha256:")
        while not list(home.rglob(name)) and time.monotonic() < end:
            time.sleep(0.02)
        time.sleep(2.0)  # the cheap checks end first, also on a busy machine
        deed()

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    return thread


@pytest.fixture
def in_process(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[int], Audited]:
    """Audit in process, and keep the evidence in another home than what comes later."""

    def run(iterations: int) -> Audited:
        with monkeypatch.context() as patch:
            patch.setenv("AUDITOR_HOME", str(tmp_path / "elsewhere"))
            return bench.audit(None, iterations=iterations, out="here")

    return run


def killed(served: Served) -> None:
    """End the server as the kernel does when memory runs out: at once, without a word."""
    assert served.process is not None
    os.kill(served.process.pid, signal.SIGKILL)
    served.process.wait()


def test_a_server_killed_under_attack_leaves_a_gap_and_what_was_measured_before(
    bench: Bench, in_process: Callable[[int], Audited], fragile: Served, home: Path
) -> None:
    here = in_process(40)
    waiting = once_kept(home, scores_of(here), lambda: killed(fragile))
    declared = endpoint(fragile, "gRPC", retries=1)
    there = bench.audit(declared, seconds=600.0, iterations=4000, out="there")
    waiting.join()
    assert there.gaps() == {"evasion.linf_query": "endpoint_lost"}
    assert there.readings("quality.accuracy") == here.readings("quality.accuracy")
    assert there.findings()["accuracy"][0] == "passed"
    assert there.findings()["robust"][0] == "unknown"
    assert (there.ended.code, there.record["verdict"]) == (3, "inconclusive")
    assert bench.verify(there) == 0


def test_a_server_that_is_killed_and_comes_back_in_time_changes_no_figure(
    bench: Bench, in_process: Callable[[int], Audited], fragile: Served, home: Path
) -> None:
    here = in_process(1500)
    back: list[float] = []

    def restart() -> None:
        killed(fragile)
        fragile.start()
        back.append(time.monotonic())

    waiting = once_kept(home, scores_of(here), restart)
    declared = endpoint(fragile, "JSON", retries=9)
    there = bench.audit(declared, seconds=600.0, iterations=1500, out="there")
    ended = time.monotonic()
    waiting.join()
    assert back[0] < ended
    assert there.gaps() == {}
    for check in ("quality.accuracy", "evasion.linf_query"):
        assert there.readings(check) == here.readings(check)


def test_another_model_that_comes_back_in_its_place_is_not_measured_as_if_it_were_the_first(
    bench: Bench, in_process: Callable[[int], Audited], home: Path, tmp_path: Path
) -> None:
    here = in_process(40)
    folder = tmp_path / "server"
    folder.mkdir()
    model = shutil.copy(DIGITS / "model.onnx", folder / "served.onnx")
    with served_models.running(served_models.kserve(Path(model), folder)) as served:

        def replace() -> None:
            killed(served)
            shutil.copy(other_model(tmp_path, lambda biases: biases + 0.01 * np.arange(10)), model)
            served.start()

        waiting = once_kept(home, scores_of(here), replace)
        declared = endpoint(served, "binary", retries=9)
        there = bench.audit(declared, seconds=600.0, iterations=4000, out="there")
        waiting.join()
    assert there.gaps() == {"evasion.linf_query": "target_changed"}
    assert there.readings("quality.accuracy") == here.readings("quality.accuracy")
    assert there.record["verdict"] == "inconclusive"


def scores_of(audited: Audited) -> str:
    """The digest of the scores of all rows, which the cheaper checks leave before the attack."""
    return audited.evidence("quality.accuracy", "probabilities")


def other_model(folder: Path, change: Callable[[Array], Array]) -> Path:
    """The same network with other biases at its end: names and shapes say nothing of it."""
    graph = onnx.load(DIGITS / "model.onnx")
    weights = [item for item in graph.graph.initializer if item.data_type == TensorProto.FLOAT]
    moved = change(numpy_helper.to_array(weights[-1])).astype(np.float32)
    weights[-1].CopyFrom(numpy_helper.from_array(moved, weights[-1].name))
    path = folder / "other.onnx"
    onnx.save(graph, path)
    return path
