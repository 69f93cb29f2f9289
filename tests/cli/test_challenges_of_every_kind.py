"""`auditor challenge` of a table, of pictures and of texts: by rules, views, patches and words."""

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from auditor.attacks.corruptions.spatial_search import first_breaking_budgets
from auditor.attacks.tabular.readings import recount_table
from auditor.domain.evidence import Evidence
from auditor.domain.observed_checks import ObservedCheck
from auditor.domain.record_json import read_record
from auditor.reports.folder import CHALLENGES, RECORD, RecordFolder
from auditor.workflows.evidence import load_results
from auditor.workflows.verify.verifiers import build_verifier

pytestmark = pytest.mark.slow

Command = Callable[..., Any]
Once = Callable[[str, Callable[[], None]], None]
EXAMPLES = Path(__file__).parents[2] / "examples"
LEAST = 0.755
WEIGHTS, BIAS = np.array([6.0, 4.0, 0.0]), -5.0
SCHEMA = """\
features:
  - {name: a, kind: numeric, range: [0, 1]}
  - {name: b, kind: numeric, range: [0, 1], direction: increase}
  - {name: c, kind: numeric, range: [0, 1], immutable: true}
relations:
  - {formula: a + b <= 1.9, holds: 0.5}
"""
POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {{name: weak, version: 1.0.0, owner: tests@example.org, least_budget: smoke}}
params: {{}}
checks: {{{checks}}}
rules:
  - id: robust
    title: It withstands small changes
    severity: high
    effect: deny
    measure: {measure}
    where: {{{where}}}
    at_least: {least}
    accept: withstood
    rationale: Somebody may try.
    remediation: Train it otherwise.
"""
AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model: {name: digits, version: 1.0.0, artifact: model.onnx}
task: {kind: classification, classes: ["0","1","2","3","4","5","6","7","8","9"], output: logits}
input: {domain: [0.0, 1.0]}
targets: [cpu]
data: {evaluation: {path: test.npz, labels: y}}
policy: weak.yaml
budget: smoke
seed: 7
"""
GATE = (
    "gate", "--artifact", "model.onnx", "--policy", "weak.yaml",
    "--record", "out", "--key", "out/signer.pub",
)  # fmt: skip


def audited(auditor: Command, policy: str, *checks: str) -> None:
    """Audit here by a weak attack that the model withstands, and see the gate open."""
    Path("weak.yaml").write_text(policy)
    only = [word for name in checks for word in ("--only", name)]
    ended = auditor("audit", "audit.yaml", "--policy", "weak.yaml", *only, "--out", "out")
    assert ended.code == 0, ended.said
    assert auditor(*GATE).code == 0


def evidence_of(check: str) -> Evidence:
    old = RecordFolder(Path("out"))
    record, checks = (
        read_record(old.read(RECORD)),
        build_verifier(Path("out") / "signer.pub").checks,
    )
    (seen,) = (
        item
        for item in load_results(old, record, checks)
        if isinstance(item, ObservedCheck) and item.check.id == check
    )
    return seen.evidence


def challenged(auditor: Command, **arrays: Any) -> Any:  # noqa: ANN401 -- what a command says
    np.savez("x.npz", **arrays)
    return auditor("challenge", "out", "--examples", "x.npz")


@pytest.fixture
def table(auditor: Command, inside: Path, once: Once) -> pl.DataFrame:
    """The rows of the small audit, whose columns have rules; its record is of a weak attack."""

    def make() -> None:
        (inside / "schema.yaml").write_text(SCHEMA)
        text = (inside / "audit.yaml").read_text()
        text = text.replace("{domain: [0.0, 1.0]}", "{features: schema.yaml}")
        (inside / "audit.yaml").write_text(text)
        weak = "evasion.tabular: {eps: [0.05, 0.1], stages: ['search:1'], rows: 200}, "
        weak += "evasion.corruption: {kinds: [missing_values], severities: [1], rows: 20}"
        asked = {"measure": "evasion.tabular/robust_accuracy", "where": "eps: 0.1", "least": LEAST}
        policy = POLICY.format(checks=weak, **asked)
        audited(auditor, policy, "evasion.tabular", "evasion.corruption")

    once("table", make)
    return pl.read_csv(inside / "test.csv")


def standing(rows: pl.DataFrame) -> tuple[np.ndarray, list[str]]:
    """Return the rows that the record counts as robust, and that a step of `a` alone breaks."""
    evidence = evidence_of("evasion.tabular")
    pairs = zip(evidence["ids"], recount_table(evidence).right[-1], strict=True)  # type: ignore[arg-type]  # texts
    kept = {str(name) for name, stands in pairs if stands}
    inputs, ids = rows.select("a", "b", "c").to_numpy(), rows["id"].to_list()
    score = inputs @ WEIGHTS + BIAS
    near = (np.abs(score) < 0.55) & (inputs[:, 0] > 0.1) & (inputs[:, 0] < 0.9)
    chosen = [at for at, name in enumerate(ids) if name in kept and near[at]]
    return inputs[chosen], [ids[at] for at in chosen]


def crossed(inputs: np.ndarray) -> np.ndarray:
    step = -0.099 * np.sign(inputs @ WEIGHTS + BIAS)
    return np.asarray(inputs + step[:, None] * [1.0, 0.0, 0.0])


def test_rows_that_could_exist_refute_a_table_and_shut_the_gate_of_all_its_records(
    auditor: Command, table: pl.DataFrame
) -> None:
    judging = ("--policy", "weak.yaml", "--key", "out/signer.pub")
    assert auditor("judge", "out", *judging, "--out", "sibling").code == 0
    inputs, names = standing(table)
    ended = challenged(auditor, inputs=crossed(inputs), rows=np.array(names))
    assert ended.code == 1, ended.said
    assert f"REFUTED: {len(names)} examples hold; robust was withstood and is" in ended.said
    assert auditor(*GATE).code == 1
    assert auditor(*("sibling" if word == "out" else word for word in GATE)).code == 1
    assert auditor("ledger", "verify").code == 0
    assert auditor("judge", "out", *judging, "--out", "again").code == 2


def test_rows_that_break_a_rule_of_the_schema_refute_nothing(
    auditor: Command, table: pl.DataFrame
) -> None:
    inputs, names = standing(table)
    points = crossed(inputs[:3])
    points[0, 2] += 0.01
    points[1, 1] -= 0.01
    points[2, 0] = 1.5
    ended = challenged(auditor, inputs=points, rows=np.array(names[:3]))
    assert ended.code == 0, ended.said
    assert "moves what may not" in ended.said
    said = "Not tried: evasion.corruption cannot be challenged by examples because it is an average"
    assert said in " ".join(ended.said.split())
    assert not (Path("out") / CHALLENGES).exists()
    assert auditor(*GATE, "--strict").code == 0


def test_a_file_of_another_kind_decides_nothing_and_says_which_it_would_take(
    auditor: Command, table: pl.DataFrame
) -> None:
    ended = challenged(auditor, perturbations=np.full((1, 3), 0.1))
    assert ended.code == 2
    said = " ".join(ended.err.split())
    assert "evasion.tabular is challenged by another file, one with arrays inputs and rows" in said


@pytest.fixture
def digits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "digits"
    folder.mkdir()
    for name in ("model.onnx", "test.npz"):
        shutil.copy(EXAMPLES / "digits" / name, folder)
    (folder / "audit.yaml").write_text(AUDIT)
    monkeypatch.chdir(folder)
    return folder


def test_views_of_pictures_refute_what_a_weak_search_left_standing(
    auditor: Command, digits: Path
) -> None:
    weak = "evasion.spatial: {budgets: [small], rotations: 1, shifts: 1, draws: 1, rows: 100}"
    asked = {"measure": "evasion.spatial/robust_accuracy", "where": "budget: small", "least": 0.5}
    audited(auditor, POLICY.format(checks=weak, **asked), "evasion.spatial")
    evidence = evidence_of("evasion.spatial")
    kept = np.flatnonzero(first_breaking_budgets(evidence) == 1)
    names = np.array([str(evidence["ids"][at]) for at in kept])  # type: ignore[index]  # texts
    corners = list(product((-10.0, 0.0, 10.0), (0.95, 1.05), (-0.05, 0.05)))
    angle, scale, shear = np.tile(np.array(corners), (len(names), 1)).T
    rows = np.repeat(names, len(corners))
    ended = challenged(auditor, rows=rows, angle=angle, scale=scale, shear=shear)
    assert ended.code == 1, ended.said
    assert "hold" in ended.said
    shut = auditor(*GATE, "--strict")
    assert shut.code == 1
    far = challenged(auditor, rows=names[:2], angle=np.array([80.0, -80.0]))
    assert far.code == 0
    assert "larger than the largest budget" in far.said


def test_misspelt_words_refute_what_a_weak_search_left_standing(
    auditor: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "docstrings"
    ignored = shutil.ignore_patterns("report", "*.py", "*.md")
    shutil.copytree(EXAMPLES / "docstrings", folder, ignore=ignored)
    monkeypatch.chdir(folder)
    weak = "evasion.text: {words: [1, 4], queries: 1, rows: 80}"
    asked = {"measure": "evasion.text/robust_accuracy", "where": "words: 4", "least": 0.75}
    audited(auditor, POLICY.format(checks=weak, **asked), "evasion.text")
    rows = pl.read_csv("test.csv")
    ids = set(evidence_of("evasion.text")["ids"])  # type: ignore[arg-type]  # texts
    pairs = [(str(name), text) for name, text in rows.select("id", "text").iter_rows()]
    texts = {name: text for name, text in pairs if name in ids}
    changed = [_misspelt(text) for text in texts.values()]
    ended = challenged(auditor, inputs=np.array(changed), rows=np.array(list(texts)))
    assert ended.code == 1, ended.said
    assert "holds" in ended.said
    dropped = np.array([text.rpartition(" ")[0] for text in texts.values()])
    assert challenged(auditor, inputs=dropped, rows=np.array(list(texts))).code == 0


def _misspelt(text: str) -> str:
    """A text whose four longest words are each misspelt by one letter."""
    words = text.split(" ")
    order = sorted(range(len(words)), key=lambda at: -len(words[at]))[:4]
    for at in order:
        words[at] = f"{words[at]}q" if words[at].strip() else words[at]
    return " ".join(words)
