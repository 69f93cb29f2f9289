"""Wrong calls of the Python API: each names the thing and the place, and says what to do."""

import inspect
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from small_audits import write_example

import auditor
from auditor import AuditReport, AuditSpec, Dataset, Key
from auditor.cli.main import run
from auditor.domain.tasks import Floats
from auditor.errors import (
    ArtifactError,
    AuditFileError,
    AuditorError,
    BrokenCheckError,
    DatasetError,
    KeyFileError,
    ModelExportError,
    PolicyError,
    PolicyMissingError,
    RecordError,
    RowShapeError,
    SignatureFormatError,
    TargetError,
    TrustPolicyError,
    UsageError,
    WaiverError,
)

RANDOM = np.random.default_rng(0)
ROWS = RANDOM.uniform(size=(40, 3)).astype(np.float32)
LABELS = (ROWS[:, 0] > 0.5).astype(int)
GOOD = Dataset(ROWS, LABELS)
CLASSES = {"kind": "classification", "classes": ["0", "1"]}
POLICY = "apiVersion: auditor/v1\nkind: Policy\nmetadata: {name: x}\nrules: []\n"
RECORD, PUBLIC = "record", "record/signer.pub"
FITTED = LogisticRegression().fit(ROWS, LABELS)
FEATURES = LogisticRegression().fit(RANDOM.uniform(size=(40, 5)), LABELS)
NAMED = LogisticRegression().fit(pd.DataFrame(ROWS, columns=["a", "b", "c"]), LABELS)
QUICK: dict[str, Any] = {
    "policy": "policy.yaml",
    "budget": "smoke",
    "only": "quality.accuracy",
    "task": CLASSES,
}


def audit(model: object = "model.onnx", data: object = GOOD, **more: object) -> AuditReport:
    asked = {"key": Key.ephemeral(), "progress": False, **QUICK, **more}
    return auditor.audit(model, data, **asked)


def judge(**more: object) -> AuditReport:
    asked = {"policy": "policy.yaml", "key": PUBLIC, "signing_key": Key.ephemeral(), **more}
    return auditor.judge(**{"folder": RECORD, **asked})


def gate(**more: object) -> object:
    asked = {"artifact": "model.onnx", "policy": "policy.yaml", "record": RECORD, "key": PUBLIC}
    return auditor.gate(**{**asked, **more})


def changed(row: int, value: float) -> Floats:
    rows = ROWS.copy()
    rows[row, 1] = value
    return rows


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a good audit, its record, and files that are of no use."""
    folder = tmp_path_factory.mktemp("wrong") / "example"
    folder.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("AUDITOR_HOME", str(folder / "home"))
        write_example(folder)
        audit(out=RECORD)
        other = Path("other.yaml")
        other.write_text(
            Path("policy.yaml").read_text().replace("accuracy/accuracy", "accuracy/nll")
        )
        audit(out="unrelated", policy="baseline", only="data.duplicates")
        run(["keys", "new", "--role", "report", "--home", "keys"])
        secret = Path("password")
        secret.write_text("a long secret\n")
        patch.setenv("AUDITOR_PASSWORD_FILE", "password")
        run(["keys", "new", "--role", "report", "--home", "locked", "--encrypt"])
        for name, raw in {
            "text.onnx": b"hello",
            "empty.onnx": b"",
            "empty.csv": b"",
            "binary.csv": bytes(range(256)),
            "garbage.npz": b"PK no zip",
            "notes.txt": b"notes",
            "empty.yaml": b"",
            "binary.yaml": b"\xff\xfe\x00",
            "list.yaml": b"a: [1\n",
            "broken.yaml": POLICY.encode(),
        }.items():
            Path(name).write_bytes(raw)
        np.savez("unnamed.npz", a=ROWS, b=ROWS, y=LABELS)
        for name in ("folder", "foreign"):
            Path(name).mkdir()
        Path("foreign/notes.txt").write_text("mine")
    return folder


@pytest.fixture(autouse=True)
def _inside(example: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(example)


# fmt: off
CALLS: dict[str, tuple[Callable[[], object], type[AuditorError], str, str]] = {
    # The model.
    "no path": (lambda: audit(""),
        UsageError, "model is ''", "Pass the path"),
    "a number as model": (lambda: audit(42),
        ModelExportError, "class builtins.int", "Give a path"),
    "no model": (lambda: audit(None),
        AuditFileError, "audit request: model names no artifact", "in Python, pass a model"),
    "a class as model": (lambda: audit(LogisticRegression),
        UsageError, "model is the class LogisticRegression", "a fitted model"),
    "an unfitted model": (lambda: audit(LogisticRegression()),
        ModelExportError, "LogisticRegression is not fitted", "Fit it first"),
    "other features": (lambda: audit(FEATURES),
        ModelExportError, "fitted on 5 features, and a row of the data has 3", "Give"),
    "another order": (lambda: audit(NAMED, Dataset(ROWS, LABELS, names=["b", "a", "c"])),
        ModelExportError, "was fitted on the columns a, b, c, and the inputs of the data are b, a",
        "in that order"),
    "a missing model": (lambda: audit("modle.onnx"),
        ArtifactError, "model.artifact: modle.onnx does not exist", "working dir"),
    "a text as model": (lambda: audit("text.onnx"),
        ArtifactError, "text.onnx is not a well-formed ONNX file", "Export the"),
    "an empty model": (lambda: audit("empty.onnx"),
        ArtifactError, "empty.onnx is empty", "Export the model"),
    "a folder as model": (lambda: audit("folder"),
        ArtifactError, "folder cannot be read", "Name the model's file"),
    "a model for texts": (lambda: audit(FITTED, Dataset(["a", "b"] * 20, LABELS)),
        ModelExportError, "cannot be exported for 40 rows of texts", "rows of numb"),
    "a model and no rows": (lambda: audit(FITTED, None),
        UsageError, "no rows to export the model with", "Pass data with inputs"),
    # Data.
    "no classes": (lambda: auditor.plan("model.onnx", None),
        AuditFileError, "task.classes is not set, and no dataset", "Set task.classes"),
    "an array as data": (lambda: audit(data=ROWS),
        UsageError, "data is an object of the class ndarray", "auditor.Dataset(inputs"),
    "a frame as data": (lambda: audit(data=pd.DataFrame(ROWS)),
        UsageError, "data is an object of the class DataFrame", "auditor.Dataset(inputs"),
    "a pair as training": (lambda: audit(training=(ROWS, LABELS)),
        UsageError, "training is an object of the class tuple", "auditor.Dataset(inp"),
    "missing data": (lambda: audit(data="tets.csv"),
        DatasetError, "tets.csv does not exist; there is test.csv", "working directory"),
    "data of no kind": (lambda: audit(data="notes.txt"),
        DatasetError, "notes.txt has the ending '.txt'", "Name a .npz"),
    "no array of inputs": (lambda: audit(data=Dataset.load("unnamed.npz", labels="y")),
        DatasetError, "no telling which array holds the inputs", "x, X, images"),
    "an empty table": (lambda: audit(data=Dataset.load("empty.csv", labels="y")),
        DatasetError, "empty.csv is empty", "Write the data again"),
    "a binary table": (lambda: audit(data=Dataset.load("binary.csv", labels="y")),
        DatasetError, "binary.csv is not UTF-8", "Save it as UTF-8"),
    "garbage as arrays": (lambda: audit(data=Dataset.load("garbage.npz", labels="y")),
        DatasetError, "garbage.npz", ""),
    "a folder of nothing": (lambda: audit(data=Dataset.load("folder")),
        DatasetError, "folder is a folder without pictures", "one sub-folder a"),
    "an unknown column": (lambda: audit(data=Dataset.load("test.csv", labels="z")),
        DatasetError, "data.evaluation.labels: test.csv has no column 'z'", "Name"),
    "another shape": (lambda: audit(data=Dataset(ROWS[:, :2], LABELS)),
        RowShapeError, "a row of the data has the shape (2,)", "the shape that the mod"),
    "NaN": (lambda: audit(data=Dataset(changed(3, np.nan), LABELS)),
        DatasetError, "evaluation data (in memory): 'inputs', row 4", "Fill it in"),
    "infinity": (lambda: audit(data=Dataset(changed(4, np.inf), LABELS)),
        DatasetError, "evaluation data (in memory): 'inputs', row 5", "Fill it in"),
    "unknown labels": (lambda: audit(data=Dataset(ROWS, LABELS + 5)),
        DatasetError, "(in memory): column 'labels', row 1: the label '6'", "task.cla"),
    "labels of NaN": (lambda: Dataset(ROWS, [float("nan")] * 40),
        DatasetError, "labels has no value (NaN) in row 1", "write None where"),
    "fewer labels": (lambda: Dataset(ROWS, LABELS[:30]),
        DatasetError, "labels has 30 values, but there are 40 rows", "one value a row"),
    "labels of two axes": (lambda: Dataset(ROWS, np.zeros((40, 2))),
        DatasetError, "labels has shape (40, 2)", "argmax"),
    "objects as labels": (lambda: Dataset(ROWS, [object()] * 40),
        DatasetError, "labels holds object objects", "one kind of value"),
    "rows of two lengths": (lambda: Dataset([[1, 2], [3]], [0, 1]),
        DatasetError, "inputs: row 2 has 1 values, but row 1 has 2", "Give every"),
    "no rows": (lambda: Dataset(ROWS[:0], LABELS[:0]),
        DatasetError, "inputs has no rows", "at least one row"),
    "one row alone": (lambda: Dataset(ROWS[0], LABELS),
        DatasetError, "inputs has shape (3,)", "one input a row"),
    "complex numbers": (lambda: Dataset(ROWS.astype(complex), LABELS),
        DatasetError, "inputs holds complex128", "as numbers"),
    "a path as rows": (lambda: Dataset("test.csv", "y"),
        DatasetError, "inputs is the path 'test.csv'", "Dataset.load('test.csv')"),
    "a name without a table": (lambda: Dataset(ROWS, "y"),
        DatasetError, "inputs has no named columns", "labels=values"),
    "a column of no table": (lambda: Dataset(pd.DataFrame(ROWS, columns=list("abc")), "d"),
        DatasetError, "labels names the column 'd'", "Name one that is there"),
    "too few names": (lambda: Dataset(ROWS, LABELS, names=["a"]),
        DatasetError, "names has 1 names, but inputs has 3 columns", "one name a col"),
    "a number of names": (lambda: Dataset(ROWS, LABELS, names=3),
        DatasetError, "names is 3, not a list of names", "Give one name a column"),
    "ids that repeat": (lambda: audit(data=Dataset(ROWS, LABELS, ids=["a"] * 40)),
        DatasetError, "(in memory): column 'id': the id 'a' stands in row 1", "id of"),
    "three scores": (lambda: audit(data=Dataset(ROWS, LABELS, scores=ROWS)),
        DatasetError, "scores names 3 columns for 2 classes", "one column a class"),
    "an argument too many": (lambda: Dataset(ROWS, LABELS, group=LABELS),
        UsageError, "'group'; there is groups", "help(auditor.Dataset)"),
    "an argument too few": (Dataset,
        UsageError, "missing a required argument: 'inputs'", "help(auditor.Dat"),
    "data from nowhere": (lambda: Dataset.load(None),
        DatasetError, "path is None, not a path", "Pass a path"),
    "values for a file": (lambda: Dataset.load("test.csv", labels=LABELS),
        DatasetError, "labels is an object of type ndarray", "Name a column of the"),
    "training of other shape": (lambda: audit(training=Dataset(ROWS[:, :2], LABELS)),
        DatasetError, "training data (in memory)", "the inputs that the one"),
    # The policy, the checks, the targets, the budget and the seed.
    "an unknown policy": (lambda: audit(policy="baselin"),
        PolicyMissingError, "request: policy: there is no policy 'baselin'", "base"),
    "a policy nearly there": (lambda: audit(policy="polici.yaml"),
        PolicyMissingError, "there is policy.yaml", "path of a policy file"),
    "a broken policy": (lambda: audit(policy="broken.yaml"),
        PolicyError, "broken.yaml:3: metadata.version", "Fix the lines named"),
    "a policy of no YAML": (lambda: audit(policy="list.yaml"),
        PolicyError, "list.yaml:1", "Fix the YAML"),
    "no policy": (lambda: audit(policy=None),
        UsageError, "policy is None", "Pass a path"),
    "a dict as policy": (lambda: audit(policy={"rules": []}),
        UsageError, "policy is an object of the class dict", "Pass a path"),
    "an unknown check": (lambda: audit(only=["quality.acuracy"]),
        UsageError, "no check quality.acuracy (nearest is: quality.accuracy)", "che"),
    "a number as check": (lambda: audit(only=[3]),
        UsageError, "only is or holds 3", "Pass names: only="),
    "a class of no check": (lambda: audit(checks=[object]),
        BrokenCheckError, "builtins.object lacks id", "declare what it has no"),
    "the id of a check": (lambda: audit(checks=["quality.accuracy"]),
        UsageError, "checks is or holds 'quality.accuracy'", "only=['…']"),
    "an object of a check": (lambda: audit(checks=[object()]),
        UsageError, "checks is or holds an object of the class object", "classes of"),
    "an unknown budget": (lambda: audit(budget="huge"),
        UsageError, "'huge' is not a budget", "smoke, ci, full"),
    "an unknown target": (lambda: audit(targets=["cpus"]),
        TargetError, "targets.0: there is no target 'cpus'", "Name one of cpu"),
    "no targets": (lambda: audit(targets=[]),
        AuditFileError, "the audit request: targets lists no target", "targets: [cpu]"),
    "a number as target": (lambda: audit(targets=[3]),
        UsageError, "targets is or holds 3", "Name a target ('cpu')"),
    "None as target": (lambda: audit(targets=None),
        UsageError, "targets is or holds None", "Name a target ('cpu')"),
    "a text as seed": (lambda: audit(seed="7"),
        AuditFileError, "the audit request: seed: '7' is not a whole number", "Fix the"),
    "a seed below zero": (lambda: audit(seed=-1),
        AuditFileError, "the audit request: seed: -1 is not within 0", "Fix the"),
    "an endless seed": (lambda: audit(seed=10**5000),
        UsageError, "seed is a number of 16610 bits", "Pass numbers"),
    # Other settings.
    "an unknown setting": (lambda: audit(tasks=CLASSES),
        UsageError, "no setting 'tasks'; there is task", "docs/audit-file.md"),
    "a text as task": (lambda: audit(task="classification"),
        AuditFileError, "task: 'classification' is not a mapping", "sections are dicts"),
    "an unknown key": (lambda: audit(task={"kind": "classification", "clases": ["0", "1"]}),
        AuditFileError, "task.clases: there is no such setting; nearest is", "Fix the"),
    "a text as tags": (lambda: audit(tags="a"),
        AuditFileError, "model.tags: 'a' is not a list", "Fix the settings named"),
    "an object as setting": (lambda: audit(task={"kind": "classification", "classes": [object()]}),
        UsageError, "task.classes.0 is an object of the class object", "Pass numbers"),
    "a key of two types": (lambda: audit(claims={1: 0.5, "1": 0.6}),
        UsageError, "claims has the key '1' twice", "Remove one"),
    "a float as key": (lambda: audit(claims={0.5: 1}),
        UsageError, "claims has the key 0.5, which is not a name", "keys as texts"),
    "NaN as claim": (lambda: audit(claims={"accuracy": float("nan")}),
        AuditFileError, "claims.accuracy is not a value that a signed record", "finite"),
    "half a character": (lambda: audit(name="\ud800"),
        UsageError, "name holds half a character", "Pass other text"),
    "a number as name": (lambda: audit(name=3),
        AuditFileError, "model.name: 3 is not text", "Fix the settings"),
    "an empty range": (lambda: audit(input={"domain": [1, 0]}),
        AuditFileError, "input.domain is an empty range", "low below high"),
    "a missing signature": (lambda: audit(signature="nosuch.sig"),
        AuditFileError, "model.signature: nosuch.sig does not exist", "auditor si"),
    "a flag as text": (lambda: audit(allow_unsandboxed="no"),
        UsageError, "allow_unsandboxed is 'no', neither True nor False", "=False"),
    "a target as reference": (lambda: audit(reference_target=3),
        UsageError, "reference_target is or holds 3", "Name a target"),
    "a missing baseline": (lambda: audit(baseline="nosuch"),
        RecordError, "nosuch/record.json cannot be read", "with all its files"),
    "a missing waiver": (lambda: audit(waivers=["nosuch.yaml"]),
        WaiverError, "waivers.0: nosuch.yaml does not exist", "working directory"),
    # Keys, progress and the folder to write to.
    "a path as key": (lambda: audit(key="keys/signer.key"),
        UsageError, "key is 'keys/signer.key'", "auditor.Key.load("),
    "a missing key": (lambda: audit(key=Key.load("nosuch.key")),
        KeyFileError, "no key file nosuch.key", "auditor keys new"),
    "a public key": (lambda: audit(key=Key.load(PUBLIC)),
        KeyFileError, "signer.pub holds a public key", "Name the private key"),
    "a folder as key": (lambda: audit(key=Key.load("folder")),
        KeyFileError, "no key file folder", "auditor keys new"),
    "a key of no kind": (lambda: audit(key=Key.load("notes.txt")),
        KeyFileError, "notes.txt is not a private key", "auditor keys new"),
    "a locked key": (lambda: audit(key=Key.load("locked/signer.key")),
        KeyFileError, "locked/signer.key is locked", "Key.load(…, password_file=…)"),
    "a key from a number": (lambda: Key.load(3),
        UsageError, "name is 3, not a path", "Pass a path"),
    "a key from nothing": (lambda: Key.load(""),
        UsageError, "name is ''", "Pass the path"),
    "a text as progress": (lambda: audit(progress="yes"),
        UsageError, "progress is 'yes'", "a function that takes these three"),
    "a function of nothing": (lambda: audit(progress=lambda: None),
        UsageError, "progress is an object of the class function", "these three"),
    "a folder of others": (lambda: audit(out="foreign"),
        UsageError, "foreign holds 'notes.txt', which no audit wrote", "out=…"),
    "a file to write to": (lambda: audit(out="notes.txt"),
        UsageError, "notes.txt is not a folder", "out=…"),
    "a number to write to": (lambda: audit(out=3),
        UsageError, "out is 3", "Pass a path"),
    "nothing to write to": (lambda: audit(out=""),
        UsageError, "out is ''", "Pass the path"),
    "a plan with a typo": (lambda: auditor.plan("model.onnx", GOOD, polcy="x"),
        UsageError, "no setting 'polcy'; there is policy", "docs/audit-file.md"),
    # Verification.
    "whom to believe": (lambda: auditor.verify(RECORD),
        UsageError, "It must be clear whose records to believe", "key=… or trust=…"),
    "a missing trust policy": (lambda: auditor.verify(RECORD, trust="nosuch.yaml"),
        TrustPolicyError, "nosuch.yaml is not a file", "Name a trust policy"),
    "another policy": (lambda: auditor.verify(RECORD, trust="policy.yaml"),
        TrustPolicyError, "'checks' is an unknown setting", "There are"),
    "a missing public key": (lambda: auditor.verify(RECORD, key="nosuch.pub"),
        KeyFileError, "no key file nosuch.pub", "auditor keys new"),
    "a model as key": (lambda: auditor.verify(RECORD, key="model.onnx"),
        KeyFileError, "model.onnx: the key is not one public key", "signer.pub"),
    "a key that signs": (lambda: auditor.verify(RECORD, key=Key.ephemeral()),
        UsageError, "key is an object of the class SigningKey", "Pass a path"),
    "a file as record": (lambda: auditor.verify("notes.txt", key=PUBLIC),
        UsageError, "notes.txt is not a record's folder", "signature=…"),
    "a folder of no record": (lambda: auditor.verify("folder", key=PUBLIC),
        RecordError, "folder/record.json cannot be read", "all its files"),
    "a report to verify": (lambda: auditor.verify(AuditReport.load(RECORD), key=PUBLIC),
        UsageError, "path is an object of the class AuditReport", "in memory first"),
    "an unknown level": (lambda: auditor.verify(RECORD, key=PUBLIC, assurance="A9"),
        UsageError, "'A9' is not an assurance level", "A0, A1, A2, A3"),
    "witnesses alone": (lambda: auditor.verify(RECORD, key=PUBLIC, witness_keys=[PUBLIC]),
        UsageError, "a witness's key says nothing", "ledger_key=…"),
    "a signature and no key": (lambda: auditor.verify("model.onnx", signature="notes.txt"),
        UsageError, "verified here by a public key", "Give key=…"),
    "no signature": (lambda: auditor.verify("model.onnx", signature="nosuch.sig", key=PUBLIC),
        SignatureFormatError, "nosuch.sig cannot be read", "`auditor sign`"),
    # Judging again, comparing, gating, reproducing.
    "nothing to judge by": (lambda: judge(policy=None),
        UsageError, "nothing to judge by", "policy=…, waivers=… or baseline=…"),
    "no such policy": (lambda: judge(policy="nosuch"),
        PolicyMissingError, "no policy 'nosuch'", "a pack's name"),
    "nothing to judge": (lambda: judge(folder="nosuch"),
        RecordError, "nosuch/record.json cannot be read", "with all its files"),
    "a record of another": (lambda: judge(key="keys/signer.pub"),
        RecordError, "record does not verify: signature", "unchanged"),
    "a path as signer": (lambda: judge(signing_key="x"),
        UsageError, "signing_key is 'x', not a key that signs", "auditor.Key.load"),
    "no waiver": (lambda: judge(waivers=["nosuch"]),
        WaiverError, "the waiver nosuch cannot be read", "auditor waive"),
    "two who may waive": (lambda: judge(waiver_keys=PUBLIC, trust="nosuch"),
        UsageError, "trust=… and waiver_keys=… both say who", "one of the two"),
    "judged into a file": (lambda: judge(out="notes.txt"),
        UsageError, "notes.txt is not a folder", "out=…"),
    "nothing to compare": (lambda: auditor.compare(RECORD, "nosuch"),
        RecordError, "nosuch/signer.pub cannot be read", "with all its files"),
    "nothing in common": (lambda: auditor.compare(RECORD, "unrelated"),
        RecordError, "have no figure in common", "the same targets, checks"),
    "keys and a trust policy": (lambda: auditor.compare(RECORD, RECORD, keys=PUBLIC, trust="x"),
        UsageError, "whose records to believe", "Give keys=… or trust=…"),
    "no age": (lambda: gate(max_age="-3d"),
        UsageError, "'-3d' is not an age", "12h, 30d or 4w"),
    "an age in days": (lambda: gate(max_age=30),
        UsageError, "max_age is 30, not an age", "as text"),
    "a gate for whom": (lambda: gate(key=None),
        UsageError, "whose records to believe", "key=… or trust=…"),
    "a gate for nothing": (lambda: gate(artifact="nosuch.onnx"),
        ArtifactError, "nosuch.onnx cannot be read", "Name the model's file"),
    "a gate without record": (lambda: gate(record="folder"),
        RecordError, "folder/record.json cannot be read", "all its files"),
    "a gate for an object": (lambda: gate(artifact=FEATURES),
        UsageError, "artifact is an object of the class LogisticRegression", "path"),
    "a gate for a dataset": (lambda: gate(data=GOOD),
        UsageError, "data is an object of the class Dataset", "in memory first"),
    "a gate for no data": (lambda: gate(data="nosuch.csv"),
        DatasetError, "the evaluation data nosuch.csv cannot be read", "digest"),
    "a gate by no baseline": (lambda: gate(baseline="nosuch"),
        RecordError, "nosuch/record.json cannot be read", "all its files"),
    "whose approval": (lambda: gate(require_approval=True),
        UsageError, "no accepted signer of approvals", "approval_keys=…, or trust=…"),
    "a flag of a gate": (lambda: gate(strict="yes"),
        UsageError, "strict is 'yes'", "strict=True or strict=False"),
    "inputs that are lost": (lambda: auditor.reproduce(RECORD, progress=False),
        RecordError, "is neither in", "with inputs=…"),
    "inputs in a file": (lambda: auditor.reproduce(RECORD, inputs="notes.txt", progress=False),
        UsageError, "inputs is notes.txt, which is not a folder", "inputs lie"),
    "nothing to reproduce": (lambda: auditor.reproduce("folder", progress=False),
        RecordError, "folder/record.json cannot be read", "all its files"),
    # Requests and reports.
    "a missing request": (lambda: AuditSpec.load("nosuch.yaml"),
        AuditFileError, "nosuch.yaml cannot be read", "Name an audit file"),
    "a binary request": (lambda: AuditSpec.load("binary.yaml"),
        AuditFileError, "binary.yaml is not UTF-8", "Save it as UTF-8"),
    "an empty request": (lambda: AuditSpec.load("empty.yaml"),
        AuditFileError, "empty.yaml holds no settings", "`key: value` lines"),
    "a policy as request": (lambda: AuditSpec.load("policy.yaml"),
        AuditFileError, "policy.yaml:2: kind", "Name a file of kind Audit"),
    "a request of nothing": (lambda: AuditSpec.load(None),
        UsageError, "path is None", "Pass a path"),
    "no such override": (lambda: AuditSpec.load("audit.yaml").override(polcy="x"),
        UsageError, "'polcy'; there is policy", "help(auditor.AuditSpec.override)"),
    "a seed for a file": (lambda: AuditSpec.load("audit.yaml").audit(seed=3, progress=False),
        UsageError, "AuditSpec.override: got an unexpected", "lists the arguments"),
    "an override of nothing": (lambda: AuditSpec.load("audit.yaml").override(targets=[]),
        UsageError, "targets is empty", "at least one"),
    "a mapping as name": (lambda: AuditSpec.load("audit.yaml").override(targets=[{"name": "cpu"}]),
        UsageError, "targets is or holds an object of the class dict", "Pass names"),
    "saved elsewhere": (lambda: AuditSpec.build("model.onnx", GOOD).save("folder/audit.yaml"),
        UsageError, "its paths are relative to", "Write it to"),
    "saved over a file": (lambda: AuditSpec.build("model.onnx", GOOD).save("audit.yaml"),
        UsageError, "audit.yaml is there already", "Remove it"),
    "saved as nothing": (lambda: AuditSpec.build("model.onnx", GOOD).save(""),
        UsageError, "path is ''", "Pass the path"),
    "no report": (lambda: AuditReport.load("folder"),
        RecordError, "folder/record.json cannot be read", "with all its files"),
    "a report from None": (lambda: AuditReport.load(None),
        UsageError, "folder is None", "Pass a path"),
    "a report over others": (lambda: AuditReport.load(RECORD).save("foreign"),
        UsageError, "foreign holds 'notes.txt'", "an empty or a new folder."),
}
# fmt: on
"""Calls, and what their errors must be: the class, and parts of the problem and of the cure."""
RAISED: dict[str, BaseException] = {}


@pytest.fixture(params=sorted(CALLS))
def made(request: pytest.FixtureRequest) -> tuple[str, BaseException]:
    """A wrong call, and what it raised; each is made once."""
    name = str(request.param)
    if name not in RAISED:
        with pytest.raises(BaseException) as raised:  # noqa: PT011 -- looked at below
            CALLS[name][0]()
        RAISED[name] = raised.value
    return name, RAISED[name]


def test_a_wrong_call_names_the_thing_and_the_cure(made: tuple[str, BaseException]) -> None:
    name, error = made
    _, kind, problem, cure = CALLS[name]
    assert type(error) is kind
    assert problem in error.problem
    assert cure in error.cure


def test_an_error_speaks_of_what_the_caller_wrote(made: tuple[str, BaseException]) -> None:
    error = made[1]
    assert isinstance(error, AuditorError)
    assert error.args == (error.problem, error.cure)
    assert error.__suppress_context__ or error.__context__ is None
    said = str(error)
    for strange in (r"auditor-run-", r"audit request:\d", r"\bline \d", r" at 0x", r"Errno"):
        assert not re.search(strange, said)
    beyond_commands = re.sub(r"`[^`]*`", "", said)
    assert not re.search(r"--[a-z]", beyond_commands)
    assert "\n" not in error.problem
    assert error.cure[0].isupper() or error.cure[0] == "`"
    assert error.cure.endswith((".", ")"))


class NoPath:
    """An object that says that it is a path, and is none."""

    def __fspath__(self) -> int:
        return 3


LOOP: list[object] = []
LOOP.append(LOOP)
ODD: tuple[object, ...] = (
    *(None, 3, 1.5, float("nan"), 10**5000, True, 1j, "", "\0", "\ud800", "x" * 5000, b"x"),
    *([None], {1: 2}, {}, LOOP, object(), int, lambda: None, NoPath(), ValueError("x")),
    *(LABELS, np.array([None, "a"], dtype=object), pd.DataFrame(ROWS), np.datetime64("2020-01-01")),
)
FUNCTIONS: dict[str, tuple[Callable[..., object], dict[str, Any]]] = {
    "build": (lambda **asked: AuditSpec.build(**asked).plan(), {"model": "model.onnx", **QUICK}),
    "audit": (auditor.audit, {"model": "model.onnx", "data": FEATURES}),
    "verify": (auditor.verify, {"path": RECORD, "key": PUBLIC}),
    "judge": (judge, {}),
    "compare": (auditor.compare, {"before": RECORD, "after": RECORD, "keys": PUBLIC}),
    "gate": (gate, {}),
    "reproduce": (auditor.reproduce, {"folder": RECORD, "progress": False}),
    "Dataset": (Dataset, {"inputs": ROWS, "labels": LABELS}),
    "Dataset.load": (Dataset.load, {"path": "test.csv"}),
    "AuditSpec.load": (AuditSpec.load, {"path": "audit.yaml"}),
    "AuditReport.load": (AuditReport.load, {"folder": RECORD}),
    "Key.load": (Key.load, {"name": "nosuch.key"}),
}
SIGNED = {"build": AuditSpec.build, "judge": auditor.judge, "gate": auditor.gate}
ARGUMENTS = [
    (name, argument)
    for name, (function, _) in FUNCTIONS.items()
    for argument in inspect.signature(SIGNED.get(name, function)).parameters
]


@pytest.mark.parametrize(("name", "argument"), ARGUMENTS)
def test_no_value_of_an_argument_raises_an_error_from_below(name: str, argument: str) -> None:
    function, others = FUNCTIONS[name]
    for value in ODD:
        with suppress(AuditorError):
            function(**{**others, argument: value})
