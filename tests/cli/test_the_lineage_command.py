"""`auditor lineage`: what a record rests on, and which verdicts rest on a thing."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from prov.model import ProvDocument
from sqlalchemy import create_engine, text

from auditor.reports.folder import RECORD

Command = Callable[..., Any]


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def verdict_of(folder: Path) -> tuple[str, str]:
    found = json.loads((folder / "out" / RECORD).read_bytes())
    return found["id"], found["verdict"]


def test_a_record_rests_on_every_file_that_it_was_made_from(
    auditor: Command, finished: Path
) -> None:
    ended = auditor("lineage", "out", "--format", "json")
    assert ended.code == 0
    told = json.loads(ended.out)
    named = {item["digest"].removeprefix("sha256:") for item in told["entities"]}
    inputs = [sha256(finished / name) for name in ("model.onnx", "test.csv", "audit.yaml")]
    evidence = [item.name for item in (finished / "out" / "evidence").iterdir()]
    bundle = sha256(finished / "out" / "record.sigstore.json")
    record = json.loads((finished / "out" / RECORD).read_bytes())
    policy = record["request"]["policy"]["digest"].removeprefix("sha256:")
    tool = [record["tool"][name].removeprefix("sha256:") for name in ("code", "environment")]
    assert {*inputs, *evidence, bundle, policy, *tool} <= named


@pytest.mark.parametrize("asked", ["test.csv", "model.onnx", "policy.yaml", "audit.yaml"])
def test_a_file_leads_to_the_verdicts_that_rest_on_it(
    auditor: Command, finished: Path, asked: str
) -> None:
    ended = auditor("lineage", asked)
    name, verdict = verdict_of(finished)
    assert ended.code == 0
    assert f"{name} line 1.0.0 tiny 1.0.0 {verdict.upper()}" in ended.said
    assert f"Records that depend on it: 1 (1 {verdict})" in ended.said


def test_the_first_digits_are_enough_and_the_kind_may_stand_before_them(
    auditor: Command, finished: Path
) -> None:
    whole = sha256(finished / "test.csv")
    for asked in (whole, f"sha256:{whole[:10]}", whole[:8].upper(), f"file:{whole[:8]}"):
        assert "Records that depend on it: 1" in auditor("lineage", asked).said
    assert auditor("lineage", f"policy:{whole[:8]}").code == 2


def test_digits_that_begin_two_digests_are_refused(auditor: Command, finished: Path) -> None:
    named = json.loads(auditor("lineage", "out", "--format", "json").out)["entities"]
    digests = sorted({item["digest"] for item in named if item["kind"] == "evidence"})
    add = "INSERT INTO prov_entities VALUES (:id, 'evidence', :digest, '', '{}')"
    other = digests[0][:-1] + ("0" if digests[0][-1] != "0" else "1")
    engine = create_engine(f"sqlite:///{finished.parent / 'home' / 'auditor.db'}")
    with engine.begin() as connection:
        connection.execute(text(add), {"id": f"evidence:{other[7:]}", "digest": other})
    engine.dispose()
    ended = auditor("lineage", digests[0][:40])
    assert ended.code == 2
    assert "is the beginning of 2 digests" in ended.err
    assert auditor("lineage", digests[0]).code == 0


@pytest.mark.parametrize("asked", ["nothing", "deadbeef", "sha256:0000", "out/report.html", "é"])
def test_what_is_in_no_lineage_is_named(auditor: Command, finished: Path, asked: str) -> None:
    ended = auditor("lineage", asked)
    assert ended.code == 2
    assert asked in ended.err


def test_a_folder_tells_what_it_rests_on_without_a_store(
    auditor: Command, finished: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_store = json.loads(auditor("lineage", "out", "--format", "json").out)
    elsewhere = finished / "elsewhere"
    monkeypatch.setenv("AUDITOR_HOME", str(elsewhere))
    assert json.loads(auditor("lineage", "out", "--format", "json").out) == with_store
    ended = auditor("lineage", "out", "--down")
    assert ended.code == 2
    assert "there is no store here" in ended.err
    assert not elsewhere.exists()


def test_a_judgement_rests_on_the_record_that_it_judges_again(
    auditor: Command, finished: Path
) -> None:
    stricter = (finished / "policy.yaml").read_text().replace("0.6", "0.999")
    (finished / "strict.yaml").write_text(stricter)
    auditor("judge", "out", "--policy", "strict.yaml", "--out", "again")
    first, _ = verdict_of(finished)
    assert first in auditor("lineage", "again").said
    assert "Records that depend on it: 2 (1 fail, 1 pass)" in auditor("lineage", "test.csv").said
    assert "Records that depend on it: 1 (1 fail)" in auditor("lineage", "strict.yaml").said
    assert "Records that depend on it: 1 (1 fail)" in auditor("lineage", "--down", "out").said


def test_other_tools_read_the_graph(auditor: Command, finished: Path) -> None:
    told = auditor("lineage", "out", "--format", "prov").out
    document = ProvDocument.deserialize(content=told, format="json")
    assert len(list(document.get_records())) > 10
    drawn = auditor("lineage", "out", "--format", "dot").out
    assert drawn.startswith("digraph lineage {")
    assert f'"file:{sha256(finished / "test.csv")}"' in drawn
