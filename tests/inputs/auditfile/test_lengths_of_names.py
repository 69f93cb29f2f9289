"""Whatever an input names, it names shortly: one bound for all that people write, and for data."""

from pathlib import Path

import pytest
from small_audits import AUDIT, POLICY

from auditor.checks.registry import discover_checks
from auditor.domain.auditfiles import DataSection
from auditor.domain.text_limits import MOST_NAME, MOST_TEXT
from auditor.errors import AuditFileError, DatasetError, PolicyError, TargetError
from auditor.inputs.auditfile.read import read_audit_file
from auditor.inputs.datasets.sources import open_raw_dataset
from auditor.policy.load import load_policy
from auditor.targets.config import parse_targets
from auditor.targets.target_specs import resolve_target

LONG, SHORT = "n" * (MOST_NAME + 1), "n" * MOST_NAME
PLACES = {
    "model.name": ("name: line,", "name: {},"),
    "model.version": ("version: 1.0.0,", "version: {},"),
    "a class": ('"yes"]', '"{}"]'),
    "a target": ("targets: [cpu]", "targets: [{}]"),
    "a column": ("labels: y", "labels: {}"),
    "a group": ("groups: [town]", "groups: [{}]"),
    "a claim": ("seed: 3", "seed: 3\nclaims: {{{}: 1}}"),
    "a setting": ("seed: 3", "{}: 3"),
    "a tag": ("artifact: model.onnx", "artifact: model.onnx, tags: [{}]"),
}


@pytest.mark.parametrize("place", PLACES)
def test_no_name_in_an_audit_file_is_longer(place: str) -> None:
    old, new = PLACES[place]
    assert old in AUDIT
    written = AUDIT.replace(old, new.format(LONG)).encode()
    with pytest.raises(AuditFileError, match=r"audit\.yaml.*501 characters; at most 500") as told:
        read_audit_file(written, "audit.yaml", resolve_target)
    assert len(str(told.value)) < MOST_NAME
    if place in {"model.name", "model.version", "a column", "a group", "a tag"}:
        read_audit_file(AUDIT.replace(old, new.format(SHORT)).encode(), "a", resolve_target)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("name: tiny", "name: {}"), ("version: 1.0.0", "version: {}"),
        ("id: accuracy", "id: {}"), ("params: {}", "params: {{{}: 1}}"),
    ],
)  # fmt: skip
def test_no_name_in_a_policy_is_longer(old: str, new: str) -> None:
    with pytest.raises(PolicyError, match="501 characters"):
        load_policy(POLICY.replace(old, new.format(LONG)).encode(), "p.yaml", discover_checks(), {})


def test_no_target_is_called_longer() -> None:
    with pytest.raises(TargetError, match="501 characters"):
        parse_targets(f"targets: {{{LONG}: {{}}}}".encode(), "targets.yaml")


def test_texts_for_people_have_an_end_too() -> None:
    written = AUDIT.replace("seed: 3", f"claims: {{a: {'t' * (MOST_TEXT + 1)}}}").encode()
    with pytest.raises(AuditFileError, match="20,001 characters; at most 20,000"):
        read_audit_file(written, "audit.yaml", resolve_target)


@pytest.mark.parametrize(
    ("header", "cell", "told"),
    [(LONG, "no", "t.csv: the column"), ("y", LONG, "t.csv: column 'y', row 2")],
)
def test_no_column_and_no_label_is_longer(
    tmp_path: Path, header: str, cell: str, told: str
) -> None:
    (tmp_path / "t.csv").write_text(f"a,{header}\n1,no\n2,{cell}\n")
    section = DataSection(path="t.csv", labels="y" if header == "y" else None)
    with pytest.raises(DatasetError, match="501 characters") as found:
        open_raw_dataset(section, lambda name: tmp_path / name, with_inputs=False)
    assert found.value.problem.startswith(told)


def test_a_text_that_a_model_reads_may_be_longer(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text(f"words,y\n{LONG},no\nb,yes\n")
    source = open_raw_dataset(
        DataSection(path="t.csv", labels="y"), lambda name: tmp_path / name, with_inputs=False
    )
    assert source.rows == 2
