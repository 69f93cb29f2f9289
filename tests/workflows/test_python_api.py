"""The Python API: the same audits as the command, from a program or a notebook."""

import asyncio
import importlib
import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import polars as pl
import pytest
from small_audits import write_example

import auditor
from auditor.cli.main import run
from auditor.domain.findings import Verdict
from auditor.errors import UsageError

EXAMPLES = Path(__file__).parents[2] / "examples"
QUICK = ("quality.accuracy", "quality.calibration", "fairness.groups", "provenance.artifact")
OF_THE_RUN = frozenset({"id", "registered", "finished"})
ACCURACY = ("quality.accuracy",)


@pytest.fixture
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a small model, data, policy and audit file, as the working directory."""
    folder = tmp_path / "example"
    folder.mkdir()
    write_example(folder)
    monkeypatch.chdir(folder)
    return folder


def canonical(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says but for its id, times, and how busy the machine was meanwhile."""
    kept = {name: it for name, it in record.items() if name not in OF_THE_RUN}
    kept["fingerprints"] = {
        target: {name: it for name, it in found.items() if not name.startswith("conditions")}
        for target, found in record["fingerprints"].items()
    }
    return dict(json.loads(json.dumps(kept).replace(str(record["id"]), "ID")))


def recorded(folder: Path) -> dict[str, Any]:
    return canonical(json.loads((folder / "record.json").read_bytes()))


@pytest.mark.parametrize("name", sorted(it.parent.name for it in EXAMPLES.glob("*/audit.yaml")))
def test_a_file_gives_one_record_from_python_and_from_the_command(
    name: str, tmp_path: Path
) -> None:
    file = EXAMPLES / name / "audit.yaml"
    only = [argument for check in QUICK for argument in ("--only", check)]
    there, here = tmp_path / "command", tmp_path / "python"
    run(["audit", str(file), "--budget", "smoke", *only, "--out", str(there)])
    spec = auditor.AuditSpec.load(file)
    spec.audit(budget="smoke", only=QUICK, out=here, progress=False)
    assert recorded(here) == recorded(there)
    assert {it.name for it in here.iterdir()} == {it.name for it in there.iterdir()}


def untimed(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a record says but for what was timed, which no two runs repeat exactly."""
    readings = record["readings"]
    timed = {it["check"] for it in readings if it.get("repeat") == "interval"}
    assert {it for it in timed if not it.startswith("hardware.")} == set()
    findings = [it for it in record["findings"] if it["measure"].split("/")[0] not in timed]
    edges = [it for it in record["lineage"] if it["role"].removeprefix("evidence:") not in timed]
    return {
        **{name: it for name, it in record.items() if name != "verdict"},
        "readings": [it for it in readings if it["check"] not in timed],
        "observations": [it for it in record["observations"] if it["check"] not in timed],
        "lineage": edges,
        "findings": [it | {"readings": [readings[at] for at in it["readings"]]} for it in findings],
        "measured": sorted({it["check"] for it in readings}),
        "rules": [(it["rule"], it["target"]) for it in record["findings"]],
    }


@pytest.mark.slow
@pytest.mark.parametrize("name", ["docstrings", "loans"])
def test_all_checks_give_one_record_from_python_and_from_the_command(
    name: str, tmp_path: Path
) -> None:
    file = EXAMPLES / name / "audit.yaml"
    there, here = tmp_path / "command", tmp_path / "python"
    run(["audit", str(file), "--budget", "ci", "--out", str(there)])
    auditor.AuditSpec.load(file).audit(budget="ci", out=here, progress=False)
    found = untimed(recorded(here))
    assert found == untimed(recorded(there))
    assert len(found["observations"]) >= 20
    assert all(it["evidence"] for it in found["observations"])
    (signed,) = [it for it in found["findings"] if it["rule"] == "signed"]
    assert signed["outcome"] == "passed"
    for folder in (here, there):
        assert auditor.verify(folder, key=folder / "signer.pub")


def test_arguments_and_the_file_they_are_saved_to_give_one_record(inside: Path) -> None:
    table = pl.read_csv("test.csv")
    data = auditor.Dataset(table, "y", ids="id", groups=["town"])
    spec = auditor.AuditSpec.build(
        "model.onnx", data, policy="policy.yaml", budget="smoke", only=ACCURACY
    )
    spec.audit(out="python", progress=False)
    spec.save("saved.yaml")
    assert run(["audit", "saved.yaml", "--only", *ACCURACY, "--out", "command"]) == 0
    mine, theirs = recorded(inside / "python"), recorded(inside / "command")
    assert mine.pop("places", None) is None
    theirs.pop("places", None)
    assert mine == theirs


def test_a_request_is_never_saved_over_what_is_there(inside: Path) -> None:
    spec = auditor.AuditSpec.build("model.onnx", "test.csv")
    with pytest.raises(UsageError, match=r"audit\.yaml is there already"):
        spec.save("audit.yaml")
    with pytest.raises(UsageError, match="its paths are relative to"):
        spec.save(inside.parent / "elsewhere.yaml")


def test_a_report_is_read_shown_saved_verified_judged_gated_and_compared(inside: Path) -> None:
    data = load_rows()
    report = auditor.audit(
        "model.onnx", data, policy="policy.yaml", budget="smoke", only=ACCURACY, progress=False
    )
    assert report.verdict is Verdict.PASS
    table = report.readings.to_polars()
    accuracy = table.filter(table["metric"] == "accuracy")["value"][0]
    assert accuracy == next(it for it in report.readings if it.metric == "accuracy").value
    assert report.findings.to_polars()["outcome"].to_list() == [
        it.outcome.value for it in report.findings
    ]
    assert "pass under" in repr(report)
    assert "srcdoc=" in report._repr_html_()
    folder = report.save("report")
    key = folder / "signer.pub"
    assert auditor.verify(folder, key=key)
    assert auditor.gate("model.onnx", "policy.yaml", folder, key=key)
    assert auditor.reproduce(folder, progress=False)
    assert not auditor.gate("model.onnx", "baseline", folder, key=key)
    strict = inside / "strict.yaml"
    strict.write_text(Path("policy.yaml").read_text().replace("at_least: 0.6", "at_least: 0.999"))
    judged = auditor.judge(folder, policy="strict.yaml", out="judged")
    assert judged.verdict is Verdict.FAIL
    moved = auditor.compare(folder, "judged", keys=key)
    assert moved.got_worse
    assert "pass → fail" in repr(moved)
    again = auditor.AuditReport.load(folder)
    assert again.record == report.record
    assert again.html == report.html
    (folder / "record.json").write_bytes(report.files["record.json"] + b" ")
    assert not auditor.verify(folder, key=key)


def test_a_plan_says_what_each_check_needs_and_writes_nothing(inside: Path, home: Path) -> None:
    before = sorted(inside.iterdir())
    plans = auditor.plan("model.onnx", load_rows(), only=ACCURACY)
    assert [item.check for item in plans["cpu"].checks] == ["quality.accuracy"]
    assert sorted(inside.iterdir()) == before
    assert not home.exists()


def test_an_ephemeral_key_writes_no_home_and_the_record_says_so(inside: Path, home: Path) -> None:
    report = auditor.audit(
        "model.onnx",
        load_rows(),
        policy="policy.yaml",
        budget="smoke",
        only=ACCURACY,
        key=auditor.Key.ephemeral(),
        progress=False,
    )
    assert not home.exists()
    assert report.record.tool["key"] == "ephemeral"
    folder = report.save("report")
    assert auditor.verify(folder, key=folder / "signer.pub")
    assert not (folder / "proof.tlog-proof").exists()
    assert "ephemeral: made for this record alone" in report.html


def test_a_named_key_signs(inside: Path) -> None:
    assert run(["keys", "new", "--role", "report", "--home", "mine"]) == 0
    private = next(Path("mine").glob("*.key"))
    report = quick(key=auditor.Key.load(private))
    assert report.files["signer.pub"] == private.with_suffix(".pub").read_bytes()


def test_the_key_of_the_model_is_another_than_that_of_the_report(inside: Path) -> None:
    assert run(["keys", "new", "--role", "model", "--home", "mine"]) == 0
    private = next(Path("mine").glob("*.key"))
    assert run(["sign", "model.onnx", "--out", "model.sig", "--key", str(private)]) == 0
    signed = {"signature": "model.sig", "model_key": private.with_suffix(".pub")}
    report = quick(only="provenance.signature", **signed)
    (found,) = report.readings.to_polars().filter(metric="verified").iter_rows(named=True)
    assert found["value"] == 1
    assert report.files["signer.pub"] != private.with_suffix(".pub").read_bytes()


def load_rows() -> auditor.Dataset:
    return auditor.Dataset.load("test.csv", labels="y", ids="id", groups=["town"])


def quick(**more: object) -> auditor.AuditReport:
    asked: dict[str, Any] = {
        "policy": "policy.yaml",
        "budget": "smoke",
        "only": ACCURACY,
        "key": auditor.Key.ephemeral(),
        "progress": False,
    }
    data = load_rows()
    return auditor.audit("model.onnx", data, **asked | more)


@pytest.mark.usefixtures("inside")
def test_progress_is_told_to_a_function() -> None:
    told: list[tuple[int, int, str]] = []
    quick(progress=lambda *said: told.append(said))
    assert told[-1] == (1, 1, "quality.accuracy on cpu: done")


@pytest.mark.usefixtures("inside")
def test_an_interruption_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "scratch"
    place.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(place))

    def stop(_done: int, _total: int, _text: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        quick(progress=stop, out="report")
    assert list(place.iterdir()) == []
    assert not Path("report").exists()
    children = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children").read_text().split()
    names = [Path(f"/proc/{child}/cmdline").read_bytes() for child in children]
    assert not any(b"auditor.targets" in name for name in names)


@pytest.mark.usefixtures("inside")
def test_audits_run_in_threads_beside_each_other() -> None:
    with ThreadPoolExecutor(2) as pool:
        found = [it.result() for it in [pool.submit(quick), pool.submit(quick)]]
    assert found[0].record.readings == found[1].record.readings


@pytest.mark.usefixtures("inside")
def test_audits_run_within_an_event_loop() -> None:
    async def within() -> tuple[auditor.AuditReport, auditor.AuditReport]:
        return quick(), await asyncio.to_thread(quick)

    here, there = asyncio.run(within())
    assert here.record.readings == there.record.readings


def spawned_verdict(folder: str) -> str:
    os.chdir(folder)
    return quick().verdict.value


@pytest.mark.slow
def test_audits_run_in_spawned_processes(inside: Path) -> None:
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        assert pool.submit(spawned_verdict, str(inside)).result() == "pass"


def test_importing_is_quick_and_loads_no_framework() -> None:
    code = (
        "import sys, auditor; assert sorted(set(auditor.__all__) - set(dir(auditor))) == []; "
        "heavy = {'torch', 'onnxruntime', 'sqlalchemy', 'numpy', 'httpx'} & set(sys.modules); "
        "print(sorted(heavy))"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == "[]"


@pytest.mark.parametrize("name", auditor.__all__)
def test_every_name_of_the_api_is_there_and_documented(name: str) -> None:
    assert getattr(auditor, name).__doc__


def test_what_the_api_lacks_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'adit'"):
        getattr(auditor, "adit")  # noqa: B009 -- typed otherwise


def score_line(rows: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(1 / (1 + np.exp(-(rows @ np.array([6.0, 4.0, 0.0]) - 5))))


def fit_line(kind: str) -> tuple[object, auditor.Dataset]:
    """Return a fitted model of a kind, and rows to judge it on."""
    random = np.random.default_rng(3)
    rows = random.random((400, 3), dtype=np.float32)
    labels = (score_line(rows) > 0.5).astype(int)
    data = auditor.Dataset(rows[200:], labels[200:])
    if kind == "torch":
        torch = pytest.importorskip("torch")
        line = torch.nn.Linear(3, 2)
        with torch.no_grad():
            line.weight[:] = torch.tensor([[0.0, 0.0, 0.0], [6.0, 4.0, 0.0]])
            line.bias[:] = torch.tensor([0.0, -5.0])
        return line, data
    makers: dict[str, Callable[[], Any]] = {
        "sklearn": lambda: importlib.import_module("sklearn.linear_model").LogisticRegression(),
        "lightgbm": lambda: importlib.import_module("lightgbm").LGBMClassifier(verbose=-1),
        "xgboost": lambda: importlib.import_module("xgboost").XGBClassifier(n_estimators=20),
    }
    return makers[kind]().fit(rows[:200], labels[:200]), data


@pytest.mark.parametrize("kind", ["sklearn", "lightgbm", "xgboost", "torch"])
def test_a_model_of_each_library_is_audited_and_the_record_says_who_exported_it(kind: str) -> None:
    model, data = fit_line(kind)
    report = auditor.audit(
        model, data, budget="smoke", only=ACCURACY, key=auditor.Key.ephemeral(), progress=False
    )
    found = report.readings.to_polars().filter(metric="accuracy")
    assert found["value"][0] > 0.9
    exported: Any = report.record.request.to_json()["exported"]
    assert exported["library"] == kind
    assert exported["difference"]["rows"] == 200
    assert exported["difference"]["equal"] >= 199


@pytest.mark.usefixtures("inside")
def test_a_model_in_memory_gives_the_artifact_of_its_file() -> None:
    held = quick()
    loaded = auditor.audit(
        onnx.load("model.onnx"),
        load_rows(),
        policy="policy.yaml",
        budget="smoke",
        only=ACCURACY,
        key=auditor.Key.ephemeral(),
        progress=False,
    )
    assert loaded.record.readings[0].value == held.record.readings[0].value


def test_a_function_is_audited_and_what_needs_bytes_is_a_gap() -> None:
    _, data = fit_line("sklearn")
    report = auditor.audit(
        score_line,
        data,
        budget="smoke",
        only=["quality.accuracy", "provenance.artifact", "evasion.linf"],
        key=auditor.Key.ephemeral(),
        progress=False,
    )
    table = report.readings.to_polars()
    assert table.filter(metric="accuracy")["value"][0] == 1.0
    gaps = table.filter(pl.col("gap").is_not_null())["check"].to_list()
    assert {"provenance.artifact", "evasion.linf"} <= set(gaps)
    assert report.verdict is not Verdict.PASS


def test_predictions_alone_are_audited_without_a_model() -> None:
    random = np.random.default_rng(5)
    labels = random.integers(0, 2, 300)
    scores = np.clip(labels * 0.6 + random.random(300) * 0.4, 0, 1)
    data = auditor.Dataset(None, labels, scores={"p": scores})
    report = auditor.audit(
        None, data, budget="smoke", only=ACCURACY, key=auditor.Key.ephemeral(), progress=False
    )
    assert report.readings.to_polars().filter(metric="auc")["value"][0] == 1.0
