"""Tricks on the Python API: what a caller changes, hides or names twice makes no record better."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from small_audits import linear_model, write_example

import auditor
from auditor import AuditReport, AuditSpec, Dataset, Key
from auditor.checks.quality.accuracy import CHECK as ACCURACY
from auditor.cli.main import run
from auditor.domain.findings import Verdict
from auditor.domain.json import encode_canonical
from auditor.domain.tasks import Array
from auditor.errors import AuditFileError, BrokenCheckError, RecordError, UsageError
from auditor.trust.artifacts.files import digest_artifact

CLASSES = {"kind": "classification", "classes": ["0", "1"]}
QUICK: dict[str, Any] = {
    "policy": "policy.yaml",
    "budget": "smoke",
    "only": "quality.accuracy",
    "task": CLASSES,
}


@pytest.fixture(autouse=True)
def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "example"
    folder.mkdir()
    write_example(folder)
    monkeypatch.chdir(folder)
    return folder


def rows() -> Array:
    return np.random.default_rng(3).uniform(size=(80, 3)).astype(np.float32)


def truth(inputs: Array) -> Array:
    return (6 * inputs[:, 0] + 4 * inputs[:, 1] > 5).astype(int)


def data() -> Dataset:
    inputs = rows()
    return Dataset(inputs, truth(inputs))


def audit(model: object = "model.onnx", given: object = None, **more: object) -> AuditReport:
    asked = {"key": Key.ephemeral(), "progress": False, **QUICK, **more}
    return auditor.audit(model, data() if given is None else given, **asked)


def once(trick: Callable[[], None]) -> Callable[[int, int, str], None]:
    """Return a progress callback that plays a trick when the first check begins."""
    left = [trick]

    def tell(_done: int, _total: int, _text: str) -> None:
        if left:
            left.pop()()

    return tell


def own_key(folder: str = "keys") -> Key:
    if not Path(folder).exists():
        run(["keys", "new", "--home", folder])
    return Key.load(f"{folder}/signer.key")


# Keys of the moment.


def test_a_record_of_a_key_of_the_moment_opens_no_gate_of_another_key() -> None:
    audit(out="record")
    own_key()
    asked = ("model.onnx", "policy.yaml", "record")
    assert auditor.gate(*asked, key="record/signer.pub")
    assert not auditor.gate(*asked, key="keys/signer.pub")


def test_what_a_key_of_the_moment_vouched_for_says_so_under_any_later_key() -> None:
    audit(out="record")
    again = {"policy": "policy.yaml", "signing_key": own_key()}
    judged = auditor.judge("record", key="record/signer.pub", out="judged", **again)
    assert judged.record.tool["evidence_key"] == "ephemeral"
    assert "key" not in judged.record.tool
    twice = auditor.judge("judged", key="keys/signer.pub", **again)
    assert twice.record.tool["evidence_key"] == "ephemeral"
    assert "judged again from a record of an ephemeral key" in twice.html


def test_the_mark_of_a_key_of_the_moment_cannot_be_taken_away() -> None:
    audit(out="record")
    file = Path("record/record.json")
    told = json.loads(file.read_bytes())
    del told["tool"]["key"]
    file.write_bytes(encode_canonical(told))
    assert not auditor.verify("record", key="record/signer.pub")
    with pytest.raises(RecordError, match="does not verify"):
        auditor.judge("record", policy="policy.yaml", key="record/signer.pub")


def test_what_a_key_of_the_moment_judges_again_says_so() -> None:
    audit(out="record", key=own_key())
    judged = auditor.judge(
        "record", policy="policy.yaml", key="keys/signer.pub", signing_key=Key.ephemeral()
    )
    assert judged.record.tool["key"] == "ephemeral"
    assert "evidence_key" not in judged.record.tool


# Reports that are loaded.


def test_a_loaded_report_says_that_nobody_verified_it() -> None:
    made = audit(out="record")
    loaded = AuditReport.load("record")
    assert "Not verified" not in repr(made) + made._repr_html_()
    assert "Not verified" in repr(loaded)
    assert loaded._repr_html_().startswith("<p><strong>Not verified")
    loaded.save("copy")
    assert "Not verified" in repr(AuditReport.load("copy"))


def test_a_forged_folder_is_shown_as_what_it_is() -> None:
    audit(out="record", policy="baseline")
    file = Path("record/record.json")
    told = json.loads(file.read_bytes())
    assert told["verdict"] == "inconclusive"
    for finding in told["findings"]:
        finding["outcome"] = "passed"
    told["verdict"] = "pass"
    file.write_bytes(encode_canonical(told))
    Path("record/report.html").write_text("<h1>Approved</h1>")
    loaded = AuditReport.load("record")
    assert loaded.unverified
    assert loaded._repr_html_().startswith("<p><strong>Not verified")
    assert not auditor.verify("record", key="record/signer.pub")


def test_a_folder_that_lacks_files_is_no_report() -> None:
    audit(out="record")
    Path("record/report.html").unlink()
    loaded = AuditReport.load("record")
    seen = {digest for it in loaded.record.observations for digest in it.evidence.values()}
    for digest in seen:
        Path("record/evidence", digest.removeprefix("sha256:")).unlink()
    loaded = AuditReport.load("record")
    with pytest.raises(RecordError, match=r"no report\.html"):
        _ = loaded.html
    with pytest.raises(RecordError, match="is missing"):
        loaded.evidence("quality.accuracy")


# Checks of the caller.


@dataclass(frozen=True)
class FlatteringCheck(ACCURACY):  # type: ignore[misc, valid-type]
    """A check that gives the figures of another one a better name."""

    id: ClassVar[str] = "mine.accuracy"

    def figures(self, evidence: Any, confidence: float) -> Any:  # noqa: ANN401
        return super().figures({**evidence, "labels": evidence["predictions"]}, confidence)


@dataclass(frozen=True)
class TakenCheck(FlatteringCheck):
    """A check under the id of another one."""

    id: ClassVar[str] = "quality.accuracy"


def test_a_check_of_the_caller_takes_no_id_that_is_taken() -> None:
    with pytest.raises(BrokenCheckError, match=r"TakenCheck claims the id 'quality\.accuracy'"):
        audit(checks=TakenCheck)
    with pytest.raises(BrokenCheckError, match=r"claims the id 'mine\.accuracy'"):
        audit(checks=[FlatteringCheck, FlatteringCheck])


def test_a_check_of_the_caller_decides_no_rule_of_another_check() -> None:
    report = audit(checks=FlatteringCheck, only="mine.accuracy")
    assert report.verdict is Verdict.INCONCLUSIVE
    assert [it.outcome.value for it in report.findings] == ["unknown"]


def test_a_record_of_a_check_that_others_lack_does_not_verify_there() -> None:
    audit(checks=FlatteringCheck, only=("quality.accuracy", "mine.accuracy"), out="record")
    assert not auditor.verify("record", key="record/signer.pub")
    assert not auditor.gate("model.onnx", "policy.yaml", "record", key="record/signer.pub")


# What changes while an audit runs.


def test_an_array_that_changes_while_the_audit_runs_changes_nothing() -> None:
    inputs = rows()
    labels = truth(inputs)
    changing = Dataset(inputs, labels)

    def spoil() -> None:
        inputs[:] = 0
        labels[:] = 1

    changed = audit(given=changing, progress=once(spoil), out="record")
    assert changed.record.readings == audit().record.readings
    assert changed.record.request.datasets == audit().record.request.datasets
    assert auditor.verify("record", key="record/signer.pub")


def test_an_estimator_that_changes_while_the_audit_runs_changes_nothing() -> None:
    inputs = rows()
    model = LogisticRegression().fit(inputs, truth(inputs))
    before = audit(model)

    def spoil() -> None:
        model.coef_ *= -1

    changed = audit(model, progress=once(spoil))
    assert changed.record.readings == before.record.readings
    assert changed.record.request.artifact == before.record.request.artifact
    assert audit(model).record.request.artifact != before.record.request.artifact


def test_files_that_change_while_the_audit_runs_change_nothing() -> None:
    Path("mine.npz").write_bytes(b"")
    np.savez("mine.npz", x=rows(), y=truth(rows()))
    given = Dataset.load("mine.npz", labels="y")
    before = audit(given=given)
    good = digest_artifact(Path("model.onnx"))

    def spoil() -> None:
        linear_model(Path("model.onnx"), [-6.0, -4.0, 0.0], 5.0)
        np.savez("mine.npz", x=rows(), y=1 - truth(rows()))

    changed = audit(given=given, progress=once(spoil), out="record")
    assert changed.record.readings == before.record.readings
    assert changed.record.request.artifact is not None
    assert changed.record.request.artifact.files == good
    assert not auditor.gate("model.onnx", "policy.yaml", "record", key="record/signer.pub")


class LyingDataset(Dataset):
    """A dataset that says that it has more rows than it has."""

    def __len__(self) -> int:
        return 10**6


def test_a_dataset_that_lies_of_its_rows_is_counted() -> None:
    inputs = rows()
    record = audit(given=LyingDataset(inputs, truth(inputs))).record
    assert [it.rows for it in record.request.datasets] == [80]
    assert {it.n for it in record.readings} == {80}


# Names that stand for two things.


def test_a_path_never_leads_to_what_is_in_memory() -> None:
    np.savez("evaluation.npz", x=rows()[:20], y=truth(rows()[:20]))
    training = Dataset.load("evaluation.npz", labels="y")
    with pytest.raises(UsageError, match=r"evaluation\.npz is the name by which"):
        audit(training=training)
    absolute = Dataset.load(Path("evaluation.npz").absolute(), labels="y")
    found = audit(training=absolute).record.request.datasets
    assert sorted(it.rows for it in found) == [20, 80]


def test_a_parent_is_never_the_export_itself() -> None:
    inputs = rows()
    model = LogisticRegression().fit(inputs, truth(inputs))
    with pytest.raises(UsageError, match=r"model\.onnx is the name by which"):
        audit(model, parent="model.onnx")
    request = audit(model, parent=Path("model.onnx").absolute()).record.request
    assert request.artifact is not None
    assert request.parent is not None
    assert request.parent.files == digest_artifact(Path("model.onnx"))
    assert request.parent.files != request.artifact.files


def test_a_request_is_the_file_that_was_loaded_wherever_the_caller_goes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = AuditSpec.load("audit.yaml")
    other = tmp_path / "other"
    other.mkdir()
    write_example(other)
    linear_model(other / "model.onnx", [-6.0, -4.0, 0.0], 5.0)
    monkeypatch.chdir(other)
    report = spec.audit(only="quality.accuracy", key=Key.ephemeral(), progress=False)
    assert report.verdict is Verdict.PASS


# Requests that are written down.


def test_a_saved_request_follows_no_link_and_writes_over_nothing(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    Path("evaluation.npz").symlink_to(outside)
    with pytest.raises(UsageError, match=r"evaluation\.npz is there already"):
        AuditSpec.build("model.onnx", data(), **QUICK).save("saved.yaml")
    assert not outside.exists()
    assert not Path("saved.yaml").exists()


def test_a_request_is_not_saved_as_another_one() -> None:
    spec = AuditSpec.build("model.onnx", data(), **QUICK)
    changed = {
        "overridden": spec.override(policy="baseline"),
        "checks of the caller": spec.override(checks=FlatteringCheck),
        "a function": AuditSpec.build(lambda inputs: inputs[:, :2], data(), **QUICK),
    }
    for what, asked in changed.items():
        with pytest.raises(UsageError, match=f"cannot hold .*{what}"):
            asked.save("saved.yaml")
    assert not Path("saved.yaml").exists()


@pytest.mark.parametrize("name", ["judged_again", "turn", "granted", "exported", "unsandboxed"])
def test_what_only_the_service_or_the_exporter_says_is_no_setting(name: str) -> None:
    with pytest.raises(UsageError, match=f"no setting '{name}'"):
        AuditSpec.build("model.onnx", data(), **{name: True})
    with pytest.raises(UsageError, match=f"unexpected keyword argument '{name}'"):
        AuditSpec.load("audit.yaml").override(**{name: True})


# Models and data that do not fit together.


def test_a_function_stands_for_no_target() -> None:
    with pytest.raises(UsageError, match="model is a function, which answers in this process"):
        audit(lambda inputs: inputs[:, :2], targets=["gpu"])


def test_training_data_alone_are_no_reason_to_break() -> None:
    assert auditor.plan("model.onnx", None, training=data(), **QUICK)["cpu"].checks


def test_settings_of_texts_are_read_as_others_are() -> None:
    texts = Dataset(["good", "bad"] * 40, truth(rows()))
    with pytest.raises(AuditFileError, match=r"audit request: input: .* is not a mapping"):
        audit(given=texts, input=[0, 1])


def test_no_home_is_written_but_by_a_key_that_is_kept(home: Path) -> None:
    audit(out="record")
    spec = AuditSpec.build("model.onnx", data(), **QUICK)
    spec.save("saved.yaml")
    spec.plan()
    auditor.verify("record", key="record/signer.pub")
    auditor.compare("record", "record", keys="record/signer.pub")
    auditor.gate("model.onnx", "policy.yaml", "record", key="record/signer.pub")
    judged = {"policy": "policy.yaml", "key": "record/signer.pub", "signing_key": Key.ephemeral()}
    auditor.judge("record", **judged).save("judged")
    AuditReport.load("judged").save("copy")
    assert not home.exists()
    assert [it.name for it in home.parent.iterdir()] == ["example"]
