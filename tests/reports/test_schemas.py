import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from rendering_records import EVERY_RECORD, FAILING, measured

from auditor._resources import find_shipped_folder
from auditor.domain.readings import BiasDirection, GapReason, Measurement
from auditor.domain.record_json import read_record
from auditor.domain.records import AuditRecord
from auditor.reports.schemas import find_schema_errors, validate_record

Change = Callable[[Any], object]
SCHEMAS = find_shipped_folder("reports") / "schemas"
PACKS = sorted(find_shipped_folder("policies").glob("*.yaml"))
AUDITS = sorted((Path(__file__).parents[2] / "examples").glob("*/audit.yaml"))


def as_json(record: AuditRecord) -> Any:  # noqa: ANN401 -- JSON
    return json.loads(record.canonical())


def broken(change: Change) -> list[str]:
    document = as_json(FAILING)
    change(document)
    return validate_record(document)


@pytest.mark.parametrize("name", ["record", "audit", "policy", "trust-policy"])
def test_published_schemas_are_schemas(name: str) -> None:
    schema = json.loads((SCHEMAS / f"{name}-v1.json").read_text(encoding="utf-8"))
    Draft202012Validator.check_schema(schema)
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("record", EVERY_RECORD.values(), ids=EVERY_RECORD)
def test_every_record_follows_its_schema(record: AuditRecord) -> None:
    assert validate_record(as_json(record)) == []


def test_every_reason_of_a_gap_is_published() -> None:
    schema = json.loads((SCHEMAS / "record-v1.json").read_text(encoding="utf-8"))
    published = schema["$defs"]["gap"]["properties"]["reason"]["enum"]
    assert set(published) == {reason.value for reason in GapReason}


@pytest.mark.parametrize(
    ("change", "place"),
    [
        (lambda d: d.update(extra=1), "$: "),
        (lambda d: d.pop("verdict"), "$: "),
        (lambda d: d.update(verdict="passed"), "$.verdict: "),
        (lambda d: d["readings"][0].update(value=[1]), "$.readings[0].value: "),
        (lambda d: d["readings"][-1].update(reason="bored"), "$.readings[23].reason: "),
        (lambda d: d["readings"][-1].update(metric="auc"), "$.readings[23]: "),
        (lambda d: d["request"]["policy"].update(digest="md5:0"), "$.request.policy.digest: "),
        (lambda d: d["findings"][0].update(readings=[99]), "$.findings[0].readings: "),
        (lambda d: d.update(finished="yesterday"), "$.finished: "),
    ],
)
def test_what_breaks_the_schema_is_named_by_its_place(change: Change, place: str) -> None:
    found = broken(change)
    assert found
    assert found[0].startswith(place)


@pytest.mark.parametrize("name", ["\ud800", "x" * 400])
def test_a_text_that_is_no_unicode_or_long_is_a_mistake_and_no_crash(name: str) -> None:
    (mistake,) = broken(lambda d: d["readings"][0].update(kind=name))
    assert mistake.startswith("$")
    assert len(mistake) < 400


def test_a_document_of_many_levels_is_a_mistake_and_no_crash() -> None:
    deep: Any = []
    for _ in range(5_000):
        deep = [deep]
    (mistake,) = broken(lambda d: d["readings"][0].update(value=deep))
    assert "ecursion" in mistake


def test_a_digest_with_a_line_end_after_it_is_none() -> None:
    found = broken(lambda d: d["request"]["policy"].update(digest=f"sha256:{'0' * 64}\n"))
    assert [it.split(": ")[0] for it in found] == ["$.request.policy.digest"]


@pytest.mark.parametrize("path", PACKS, ids=lambda path: path.stem)
def test_every_shipped_policy_follows_the_published_schema(path: Path) -> None:
    assert find_schema_errors("policy", yaml.safe_load(path.read_text(encoding="utf-8"))) == []


@pytest.mark.parametrize("path", AUDITS, ids=lambda path: path.parent.name)
def test_every_example_follows_the_published_schema(path: Path) -> None:
    assert find_schema_errors("audit", yaml.safe_load(path.read_text(encoding="utf-8"))) == []


def test_a_rule_with_two_bounds_or_none_breaks_the_policy_schema() -> None:
    rule = {"id": "a", "title": "A", "severity": "low", "measure": "quality.accuracy/accuracy"}
    policy = {
        "apiVersion": "auditor/v1",
        "kind": "Policy",
        "metadata": {"name": "p", "version": "1", "owner": "o"},
    }
    for bounds, good in (
        ({}, False),
        ({"at_least": 0.5}, True),
        ({"at_least": 0, "at_most": 1}, False),
    ):
        assert (
            find_schema_errors("policy", {**policy, "rules": [{**rule, **bounds}]}) == []
        ) == good


@pytest.mark.parametrize("astray", [None, *BiasDirection])
def test_a_doubt_with_a_direction_is_published_and_read_again(astray: BiasDirection | None) -> None:
    doubted = replace(measured("quality.accuracy", "accuracy", 0.5, 0.4, 0.6), doubted=True)
    record = replace(FAILING, readings=(replace(doubted, astray=astray),), findings=())
    assert validate_record(as_json(record)) == []
    (again,) = read_record(record.canonical()).readings
    assert isinstance(again, Measurement)
    assert again.astray is astray
    assert ("astray" in as_json(record)["readings"][0]) == (astray is not None)


@pytest.mark.parametrize("worst", [None, 0.7])
def test_a_worst_case_is_published_and_read_again(worst: float | None) -> None:
    doubted = replace(
        measured("quality.accuracy", "accuracy", 0.5, 0.4, 0.6),
        doubted=True, astray=BiasDirection.TOO_HIGH, worst_case=worst,
    )  # fmt: skip
    record = replace(FAILING, readings=(doubted,), findings=())
    assert validate_record(as_json(record)) == []
    (again,) = read_record(record.canonical()).readings
    assert isinstance(again, Measurement)
    assert again.worst_case == worst
    assert ("worst_case" in as_json(record)["readings"][0]) == (worst is not None)
