"""A file, a column or a check that an audit names in vain is told at its line, with its like."""

from pathlib import Path
from typing import Any

import pytest

from auditor.errors import AuditorError, PolicyMissingError, UsageError
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.wiring import build_path_resolver, build_resolvers

AUDIT = """\
apiVersion: auditor/v1
kind: Audit
model:
  name: m
  artifact: model.bin
  signature: model.sig
  key: model.pub
  twin: none
input:
  features: schema.yaml
data:
  evaluation:
    path: test.csv
    labels: diagnosis
    groups: [town, "town, sex"]
policy: gate.yaml
"""
POLICY = """\
apiVersion: auditor/v1
kind: Policy
metadata: {name: gate, version: 1.0.0, owner: me@example.org}
rules:
  - id: accurate
    title: It is right often enough
    measure: quality.accuracy/accuracy
    severity: high
    effect: deny
    controls: []
    at_least: 0.5
"""
FILES = {
    "model.bin": "x",
    "model.sig": "x",
    "model.pub": "x",
    "schema.yaml": "features:\n  - {name: radius}\n  - {name: texture}\n",
    "test.csv": "radius,texture,town,sex,diagnosis\n1,2,a,f,no\n2,3,b,m,yes\n",
    "gate.yaml": POLICY,
}
PATHS = {
    "5: model.artifact": ("model.bin", "modl.bin"),
    "6: model.signature": ("model.sig", "modl.sig"),
    "7: model.key": ("model.pub", "modl.pub"),
    "10: input.features": ("schema.yaml", "schma.yaml"),
    "13: data.evaluation.path": ("test.csv", "tset.csv"),
}
COLUMNS = {
    "14: data.evaluation.labels": ("diagnosis", "diagnos"),
    "15: data.evaluation.groups.0": ("[town", "[twon"),
    "15: data.evaluation.groups.1": (", sex", ", sx"),
}


def refused(
    folder: Path,
    audit: str = AUDIT,
    **asked: Any,  # noqa: ANN401 -- of ``read_overridden_audit_file``
) -> AuditorError:
    for name, text in FILES.items():
        if not (folder / name).exists():
            (folder / name).write_text(text)
    parts = build_resolvers(folder)
    file = read_overridden_audit_file(audit.encode(), "audit.yaml", parts, **asked)
    with (
        pytest.raises(AuditorError) as caught,
        prepare_audit(file, build_path_resolver(folder / "audit.yaml"), parts),
    ):
        pass
    return caught.value


@pytest.mark.parametrize("place", PATHS)
def test_a_file_that_is_not_there_is_told_at_its_line_with_its_like(
    tmp_path: Path, place: str
) -> None:
    right, wrong = PATHS[place]
    error = refused(tmp_path, AUDIT.replace(right, wrong))
    looked = f"{wrong} does not exist (looked for {tmp_path / wrong}); there is {right}"
    assert error.problem == f"audit.yaml:{place}: {looked}"


@pytest.mark.parametrize("place", COLUMNS)
def test_a_column_that_is_not_there_is_told_at_its_line_with_its_like(
    tmp_path: Path, place: str
) -> None:
    right, wrong = COLUMNS[place]
    error = refused(tmp_path, AUDIT.replace(right, wrong))
    told = f"test.csv has no column {wrong.strip('[, ')!r}; nearest is: {right.strip('[, ')!r}; "
    assert error.problem.startswith(f"audit.yaml:{place}: {told}there are 'radius', ")


def test_a_policy_that_is_not_there_is_told_at_its_line_with_its_like(tmp_path: Path) -> None:
    error = refused(tmp_path, AUDIT.replace("gate.yaml", "gaet.yaml"))
    assert error.problem == (
        "audit.yaml:16: policy: there is no policy 'gaet.yaml': no pack has that name, and "
        f"{tmp_path / 'gaet.yaml'} is not a file; there is gate.yaml"
    )


def test_a_policy_of_the_command_line_is_not_told_at_a_line_of_the_audit_file(
    tmp_path: Path,
) -> None:
    error = refused(tmp_path, policy="gaet.yaml")
    assert isinstance(error, PolicyMissingError)
    assert error.problem.startswith("there is no policy 'gaet.yaml'")


def test_a_column_that_a_schema_misspells_is_told_at_the_line_of_the_schema(tmp_path: Path) -> None:
    misspelt = FILES["schema.yaml"].replace("texture", "textur")
    (tmp_path / "schema.yaml").write_text(misspelt)
    error = refused(tmp_path)
    assert str(error) == (
        "schema.yaml:3: test.csv has no column 'textur'; nearest is: 'texture'; there are "
        "'texture', 'town', 'sex', 'diagnosis'. Fix the name in the schema, or the data file."
    )


def test_a_check_that_there_is_not_is_told_with_its_like_and_no_list_of_all(tmp_path: Path) -> None:
    audit = AUDIT.replace("  signature: model.sig\n  key: model.pub\n", "")
    error = refused(tmp_path, audit, only=("quality.acuracy",))
    assert isinstance(error, UsageError)
    assert error.problem == "there is no check quality.acuracy (nearest is: quality.accuracy)"
