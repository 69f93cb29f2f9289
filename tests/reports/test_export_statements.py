"""What an owner says of an export stands in the record and its report, and decides nothing."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from rendering_records import FAILING, inputs_of
from small_audits import AUDIT, write_example

from auditor.domain.export_origin import ExportDifference, ExportOrigin
from auditor.domain.record_json import read_record
from auditor.errors import AuditFileError
from auditor.reports.formats.html import render_html
from auditor.reports.html.run_details import describe_export
from auditor.reports.schemas import find_schema_errors, validate_record
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.wiring import build_path_resolver, build_resolvers

ORIGIN = ExportOrigin(
    original="sklearn.ensemble.RandomForestClassifier",
    library="sklearn",
    library_version="1.7.0",
    exporter="skl2onnx",
    exporter_version="1.19.0",
    opsets={"ai.onnx": 18, "ai.onnx.ml": 3},
    difference=ExportDifference(of="probabilities", rows=1450, largest=1.23e-7, equal=1449),
)


def audit_file(folder: Path, exported: Any, **model: Any) -> Path:  # noqa: ANN401 -- YAML
    write_example(folder)
    document = yaml.safe_load(AUDIT)
    document["model"] |= {"exported": exported, **model}
    path = folder / "audit.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def request_of(path: Path) -> Any:  # noqa: ANN401 -- a request
    parts = build_resolvers(path.parent)
    file = read_overridden_audit_file(path.read_bytes(), path.name, parts)
    with prepare_audit(file, build_path_resolver(path), parts) as given:
        return given.request


def test_a_request_keeps_what_the_audit_file_says(tmp_path: Path) -> None:
    path = audit_file(tmp_path, ORIGIN.to_json())
    assert request_of(path).exported == ORIGIN
    assert find_schema_errors("audit", yaml.safe_load(path.read_bytes())) == []


def test_a_request_without_it_has_the_bytes_that_it_always_had(tmp_path: Path) -> None:
    without = request_of(audit_file(tmp_path, None))
    assert (without.exported, "exported" in without.to_json()) == (None, False)


def test_a_record_keeps_it_and_follows_its_schema() -> None:
    record = replace(FAILING, request=replace(FAILING.request, exported=ORIGIN))
    assert validate_record(json.loads(record.canonical())) == []
    assert read_record(record.canonical()).request.exported == ORIGIN
    assert json.loads(record.canonical())["findings"] == json.loads(FAILING.canonical())["findings"]


def test_a_report_says_it_in_one_sentence() -> None:
    assert describe_export(ORIGIN) == (
        "Exported from sklearn.ensemble.RandomForestClassifier (sklearn 1.7.0) by skl2onnx 1.19.0; "
        "decisions agree on 1,449 of 1,450 rows, largest difference of probabilities 1.2e-07 on "
        "1,450 rows"
    )
    values = replace(ORIGIN, difference=ExportDifference(of="values", rows=20, largest=0.5))
    assert describe_export(values).endswith("; largest difference of values 0.5 on 20 rows")


def test_the_page_calls_it_the_owners_word_and_runs_nothing_of_it() -> None:
    loud = replace(ORIGIN, original="<script>alert(1)</script>")
    record = replace(FAILING, request=replace(FAILING.request, exported=loud))
    page = render_html(inputs_of(record))
    assert "Origin, stated by the owner" in page
    assert "decisions agree on 1,449 of 1,450 rows" in page
    assert "<script>alert(1)" not in page


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"original": ""}, "model.exported.original"),
        ({"author": "me"}, "author"),
        ({"opsets": {"ai.onnx": -1}}, "model.exported.opsets"),
        ({"difference": {"of": "faith", "rows": 1, "largest": 0.0}}, "difference.of"),
        ({"difference": {"of": "values", "rows": 0, "largest": 0.0}}, "difference.rows"),
        ({"difference": {"of": "values", "rows": 1, "largest": -1.0}}, "difference.largest"),
        ({"difference": {"of": "values", "rows": 1, "largest": 0.0, "equal": 2}}, "2 of 1 rows"),
    ],
)
def test_a_statement_that_cannot_be_is_refused_with_its_place(
    change: dict[str, Any], said: str, tmp_path: Path
) -> None:
    path = audit_file(tmp_path, {**ORIGIN.to_json(), **change})
    with pytest.raises(AuditFileError, match=rf"audit\.yaml:\d+.*{said}"):
        request_of(path)


def test_a_statement_about_no_artifact_is_refused(tmp_path: Path) -> None:
    path = audit_file(tmp_path, ORIGIN.to_json(), artifact=None)
    with pytest.raises(
        AuditFileError, match=r"model\.exported is set, but model\.artifact is missing"
    ):
        request_of(path)
