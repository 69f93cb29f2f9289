"""The mistakes that people make most in an audit file or a policy: thing, place and cure."""

from pathlib import Path

import pytest
from small_audits import AUDIT, POLICY, write_example

from auditor.errors import AuditorError
from auditor.workflows.local_audit import open_audit_file

AUDIT_FILE = "audit.yaml"
POLICY_FILE = "policy.yaml"
MISTAKES = {
    "a model that is not there": (
        AUDIT_FILE, "model.onnx}", "modle.onnx}",
        "audit.yaml:3: model.artifact: modle.onnx does not exist", "there is model.onnx",
    ),
    "data that are not there": (
        AUDIT_FILE, "path: test.csv", "path: tset.csv",
        "audit.yaml:8: data.evaluation.path: tset.csv does not exist", "there is test.csv",
    ),
    "a setting of another name": (
        AUDIT_FILE, "targets:", "target:",
        "audit.yaml:6: target: there is no such setting", "nearest is: targets",
    ),
    "a column that is not there": (
        AUDIT_FILE, "groups: [town]", "groups: [twon]",
        "audit.yaml:8: data.evaluation.groups.0: test.csv has no column 'twon'",
        "nearest is: 'town'",
    ),
    "a class that the labels do not have": (
        AUDIT_FILE, '["no", "yes"]', '["no", "yess"]',
        "the label 'yes' is none of the classes no, yess", "there is yess",
    ),
    "a policy of another name": (
        AUDIT_FILE, "policy: policy.yaml", "policy: baselin",
        "audit.yaml:9: policy: there is no policy 'baselin'", "there is baseline",
    ),
    "a target of another name": (
        AUDIT_FILE, "targets: [cpu]", "targets: [cppu]",
        "audit.yaml:6: targets.0: there is no target 'cppu'", "there is cpu",
    ),
    "a budget of another name": (
        AUDIT_FILE, "budget: smoke", "budget: smok",
        "audit.yaml:10: budget: 'smok' is not known here", "nearest is: 'smoke'",
    ),
    "a kind of task that is none": (
        AUDIT_FILE, "kind: classification", "kind: classifier",
        "audit.yaml:4: task.kind: 'classifier' is not known here", "nearest is: 'classification'",
    ),
    "a text for a list": (
        AUDIT_FILE, "groups: [town]", "groups: town",
        "audit.yaml:8: data.evaluation.groups: 'town' is not a list", "in square brackets",
    ),
    "a tab": (
        AUDIT_FILE, "  evaluation:", "\tevaluation:",
        "audit.yaml:8: a tab where only spaces can stand", "Indent with spaces.",
    ),
    "a policy for an audit file": (
        AUDIT_FILE, "kind: Audit", "kind: Policy",
        "audit.yaml:2: kind: the file is of kind 'Policy', and 'Audit' is needed",
        "Name a file of kind Audit.",
    ),
    "an audit file for a policy": (
        POLICY_FILE, "kind: Policy", "kind: Audit",
        "policy.yaml:2: kind: the file is of kind 'Audit'", "Name a file of kind Policy.",
    ),
    "a check of another name": (
        POLICY_FILE, "quality.accuracy/", "quality.acuracy/",
        "policy.yaml:11: rule accuracy: there is no check 'quality.acuracy'",
        "nearest is: quality.accuracy",
    ),
    "a metric of another name": (
        POLICY_FILE, "/accuracy", "/acuracy",
        "policy.yaml:11: rule accuracy: quality.accuracy emits no 'acuracy'", "It emits accuracy",
    ),
    "a severity of another name": (
        POLICY_FILE, "severity: high", "severity: hihg",
        "policy.yaml:9: rules.0.severity: 'hihg' is not known here", "nearest is: 'high'",
    ),
    "a share in per cent": (
        POLICY_FILE, "at_least: 0.6", "at_least: 60",
        "policy.yaml:12: rule accuracy: accuracy is a share between 0 and 1", "Write 0.8 for 80 %.",
    ),
}  # fmt: skip


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_likely_mistake_is_named_with_its_place_and_the_name_that_was_meant(
    mistake: str, tmp_path: Path
) -> None:
    file, right, wrong, problem, cure = MISTAKES[mistake]
    write_example(tmp_path)
    text = {AUDIT_FILE: AUDIT, POLICY_FILE: POLICY}[file]
    assert right in text
    (tmp_path / file).write_text(text.replace(right, wrong, 1))
    with pytest.raises(AuditorError) as caught, open_audit_file(tmp_path / AUDIT_FILE).prepare():
        pass
    said = str(caught.value)
    assert problem in said
    assert cure in said
    assert "Input should" not in said
