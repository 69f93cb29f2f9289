"""Where in a repository the audit file and the policy stand, as a record tells it."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
from rendering_records import FAILING

from auditor.domain.json import encode_canonical
from auditor.domain.record_json import read_record
from auditor.domain.source_locations import SourceFile, SourceLine, SourceLocations
from auditor.errors import RecordError
from auditor.inputs.source_lines import find_repository_root, find_source_locations, locate_policy

AUDIT = """\
apiVersion: auditor/v1
model: {name: m, version: 1.0.0, artifact: model.onnx}
data:
  evaluation: {path: test.csv, labels: y}
policy: rules.yaml
"""
POLICY = """\
apiVersion: auditor/v1
extends: baseline
rules:
  - id: accurate
    title: It is right
  - {title: It is fast, id: fast}
"""
PLACES = SourceLocations(
    SourceFile("models/audit.yaml", SourceLine(1, 8), {"model.artifact": SourceLine(2, 54)}),
    SourceFile("rules.yaml", SourceLine(1, 0), {"accurate": SourceLine(4, 16)}),
)


@pytest.fixture
def models(tmp_path: Path) -> Path:
    """A folder of a repository that holds an audit file and a policy."""
    (tmp_path / ".git").mkdir()
    folder = tmp_path / "models"
    folder.mkdir()
    (folder / "audit.yaml").write_text(AUDIT)
    (folder / "rules.yaml").write_text(POLICY)
    return folder


def written(folder: Path, policy: Path | None) -> SourceLocations:
    return find_source_locations(folder / "audit.yaml", AUDIT.encode(), policy)


def test_paths_begin_at_the_root_of_the_repository(models: Path) -> None:
    found = written(models, models / "rules.yaml")
    assert found.audit_file.path == "models/audit.yaml"
    assert found.policy is not None
    assert found.policy.path == "models/rules.yaml"


def test_every_setting_and_every_rule_has_its_line_and_its_width(models: Path) -> None:
    found = written(models, models / "rules.yaml")
    assert found.audit_file.lines["model.artifact"] == SourceLine(2, len(AUDIT.splitlines()[1]))
    assert found.audit_file.lines["data.evaluation"].number == 4
    assert found.audit_file.lines["policy"].number == 5
    assert found.policy is not None
    assert {rule: line.number for rule, line in found.policy.lines.items()} == {
        "accurate": 4,
        "fast": 6,
    }


def test_a_rule_of_another_policy_stands_where_the_policy_says_so(models: Path) -> None:
    found = locate_policy(models / "rules.yaml", models.parent)
    assert found is not None
    assert found.line("inherited") == SourceLine(2, 17)


def test_a_pack_has_no_place(models: Path) -> None:
    assert written(models, None).policy is None


def test_no_path_of_the_machine_is_told_of_files_outside_of_every_root(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside, outside = tmp_path / "inside", tmp_path / "outside"
    inside.mkdir()
    outside.mkdir()
    (outside / "audit.yaml").write_text(AUDIT)
    (outside / "rules.yaml").write_text(POLICY)
    monkeypatch.chdir(inside)
    if find_repository_root(outside / "audit.yaml") is not None:
        pytest.skip("the temporary folder lies in a repository")
    found = written(outside, outside / "rules.yaml")
    assert found == replace(found, policy=None)
    assert found.audit_file.path == "audit.yaml"


def test_without_a_repository_paths_begin_at_the_working_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "here" / "models"
    folder.mkdir(parents=True)
    (folder / "audit.yaml").write_text(AUDIT)
    monkeypatch.chdir(folder.parent)
    assert written(folder, None).audit_file.path == "models/audit.yaml"


def test_a_linked_policy_is_named_by_the_file_that_holds_it(models: Path) -> None:
    real = models.parent / "shared.yaml"
    (models / "rules.yaml").rename(real)
    (models / "rules.yaml").symlink_to(os.path.relpath(real, models))
    found = written(models, models / "rules.yaml").policy
    assert found is not None
    assert found.path == "shared.yaml"


def test_a_record_keeps_its_places() -> None:
    record = replace(FAILING, places=PLACES)
    assert read_record(record.canonical()).places == PLACES


def test_a_record_without_places_says_nothing_of_them() -> None:
    assert "places" not in FAILING.to_json()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("path", "/etc/passwd"),
        ("path", "../audit.yaml"),
        ("path", "a/../../b.yaml"),
        ("path", "C:\\audit.yaml"),
        ("path", ""),
        ("first", [0, 4]),
        ("first", [1]),
        ("first", [1, "2"]),
        ("lines", {"rule": [1, -1]}),
    ],
)
def test_what_is_no_place_in_a_repository_is_refused(field: str, value: object) -> None:
    content = json.loads(replace(FAILING, places=PLACES).canonical())
    content["places"]["policy"][field] = value
    with pytest.raises(RecordError, match="places"):
        read_record(encode_canonical(content))


@pytest.mark.parametrize("name", [r"ours\rules.yaml", "r\udce8gles.yaml"])
def test_a_name_that_no_record_can_hold_is_not_put_into_one(models: Path, name: str) -> None:
    (models / name).write_text(POLICY)
    assert locate_policy(models / name, models.parent) is None
    (models / name).write_text(AUDIT)
    places = find_source_locations(models / name, AUDIT.encode(), None)
    held = replace(FAILING, places=places)
    assert read_record(encode_canonical(held.to_json())).places == places
