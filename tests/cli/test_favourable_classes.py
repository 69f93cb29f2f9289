"""The class that rules of groups take as the good outcome is drafted with care, and named."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from auditor.inputs.auditfile.draft import DraftFacts, draft_audit_file

Command = Callable[..., Any]
RULE = """\
  - id: ratio
    title: Selection rates of groups are at least four fifths
    severity: high
    effect: deny
    measure: fairness.groups/impact_ratio
    at_least: 0.8
    rationale: The rule of four fifths.
    remediation: Look at the groups.
"""
ONLY = ("--only", "quality.accuracy", "--only", "fairness.groups", "--out", "out")


@pytest.mark.parametrize(
    ("classes", "favourable", "clear"),
    [
        (("approved", "denied"), "approved", True),
        (("denied", "approved"), "approved", True),
        (("Granted", "Refused"), "Granted", True),
        (("hired", "not hired"), "hired", True),
        (("default", "no default"), "no default", True),
        (("good", "bad"), "good", True),
        (("approved", "denied", "referred"), "approved", True),
        (("yes", "no"), "yes", False),
        (("0", "1"), "1", False),
        (("True", "False"), "True", False),
        (("cat", "dog"), "dog", False),
        (("approved", "other"), "approved", True),
        (("other", "approved"), "approved", True),
        (("benign", "malignant"), "benign", True),
        (("fraud", "legitimate"), "legitimate", True),
        (("fraud", "legitimate", "unsure"), "unsure", False),
        (("approved", "accepted", "denied"), "denied", False),
    ],
)
def test_the_favourable_class_is_drafted_by_what_names_mean(
    classes: tuple[str, ...], favourable: str, *, clear: bool
) -> None:
    text = draft_audit_file(DraftFacts(name="m", artifact="m.onnx", data="d.csv", classes=classes))
    assert yaml.safe_load(text)["task"]["favourable"] == favourable
    (line,) = (it for it in text.splitlines() if it.strip().startswith("favourable:"))
    assert ("the meaning of the name" in line) == clear
    assert line.endswith("fairness rules rest on it: check it") != clear


@pytest.mark.parametrize(
    ("column", "classes", "favourable"),
    [
        ("is_fraud", ("0", "1"), "0"),
        ("default", ("0", "1"), "0"),
        ("default.payment.next.month", ("0", "1"), "0"),
        ("defaulted", ("False", "True"), "False"),
        ("Churn", ("No", "Yes"), "No"),
        ("isLate", ("n", "y"), "n"),
        ("delinquent_90d", ("0", "1"), "0"),
        ("readmitted", ("yes", "no"), "no"),
        ("no_default", ("0", "1"), "1"),
        ("hired", ("0", "1"), "1"),
    ],
)
def test_what_1_says_is_read_from_the_name_of_the_column(
    column: str, classes: tuple[str, ...], favourable: str
) -> None:
    facts = DraftFacts(name="m", artifact="m", data="d.csv", labels=column, classes=classes)
    text = draft_audit_file(facts)
    assert yaml.safe_load(text)["task"]["favourable"] == favourable
    (line,) = (it for it in text.splitlines() if it.strip().startswith("favourable:"))
    assert f"# guess: the column {column!r} is named as what people " in line


@pytest.mark.parametrize(
    ("column", "classes", "favourable"),
    [
        ("label", ("0", "1"), "1"),
        ("approved_default", ("0", "1"), "1"),
        ("fraud", ("card", "wire"), "wire"),
        ("fraud", ("0", "1", "2"), "2"),
    ],
)
def test_a_column_that_says_nothing_of_it_leaves_the_usual_guess(
    column: str, classes: tuple[str, ...], favourable: str
) -> None:
    facts = DraftFacts(name="m", artifact="m", data="d.csv", labels=column, classes=classes)
    text = draft_audit_file(facts)
    assert yaml.safe_load(text)["task"]["favourable"] == favourable
    assert "is named as what people" not in text


def test_init_asks_to_check_the_favourable_class_where_there_are_groups(
    auditor: Command, inside: Path
) -> None:
    (inside / "audit.yaml").unlink()
    line = "Check task.favourable: rules of groups take 'yes' as the good outcome."
    assert line not in auditor("init", "model.onnx", "--data", "test.csv", "--out", "a.yaml").said
    (inside / "test.csv").write_text((inside / "test.csv").read_text().replace("town", "sex", 1))
    assert line in auditor("init", "model.onnx", "--data", "test.csv", "--out", "b.yaml").said


@pytest.mark.parametrize(
    ("told", "named"),
    [
        ("", "The favourable class is “yes”; 1 rule rests on it:"),
        (
            ", favourable: 'no'",
            (
                "The favourable class is “no”, and rates of groups count by it, not by the "
                "positive class “yes”; 1 rule rests on it:"
            ),
        ),
    ],
)
def test_the_class_is_named_beside_the_verdict_and_the_groups(
    auditor: Command, inside: Path, told: str, named: str
) -> None:
    file = inside / "audit.yaml"
    classes = 'classes: ["no", "yes"]'
    assert classes in file.read_text()
    file.write_text(file.read_text().replace(classes, classes + told))
    with (inside / "policy.yaml").open("a") as policy:
        policy.write(RULE)
    ended = auditor("audit", "audit.yaml", *ONLY)
    title = "Selection rates of groups are at least four fifths"
    assert f"declared, not checked {named} {title}" in ended.said
    page = re.sub(r"<[^>]*>", " ", (inside / "out" / "report.html").read_text())
    assert named.rstrip(":") in " ".join(page.split())
    class_name = "no" if told else "yes"
    assert f"Favourable class, as declared: “{class_name}”." in " ".join(page.split())
    readings = json.loads((inside / "out" / "record.json").read_text())["readings"]
    of = {it["metric"]: it["details"] for it in readings if it["check"] == "fairness.groups"}
    for metric in ("selection_rate", "impact_ratio", "tpr_gap", "equalised_odds_gap"):
        assert (of[metric]["favourable"], of[metric]["positive"]) == (class_name, "yes")
    assert "favourable" not in of["accuracy_gap"]


def test_where_no_rule_rests_on_it_nothing_is_said(auditor: Command, inside: Path) -> None:
    assert "favourable" not in auditor("audit", "audit.yaml", *ONLY).said
