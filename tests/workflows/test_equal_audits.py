"""Audits that are equal in everything, and begin and end in one second, have a record each."""

import os
from dataclasses import replace
from pathlib import Path

from small_audits import write_example
from watching import Nobody

from auditor.audits import perform
from auditor.preparing import Overrides, prepare, read_asked
from auditor.settings import Settings
from auditor.wiring import beside, readers
from auditor.workplaces import workplace

ONLY = Overrides(only=("quality.accuracy",))


def test_equal_audits_of_one_second_have_a_record_each(tmp_path: Path) -> None:
    write_example(tmp_path)
    path, parts = tmp_path / "audit.yaml", readers(tmp_path)
    file = read_asked(path.read_bytes(), path.name, ONLY, parts)
    settings = Settings.from_environment({**os.environ, "AUDITOR_HOME": str(tmp_path / "home")})
    found = []
    with workplace(settings) as place, prepare(file, beside(path), ONLY, parts) as given:
        place.keep_inputs(given, beside(path))
        prepared = place.informed(given)
        around = replace(place.surroundings(), clock=lambda: "2026-01-01T00:00:00Z")
        found = [perform(prepared, around, Nobody()) for _ in range(3)]
    assert len({record.id for record in found}) == 3
    assert len({record.digest for record in found}) == 3
    assert len({(it.registered, it.request.digest) for it in found}) == 1
