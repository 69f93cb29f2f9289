"""Audits that are equal in everything, and begin and end in one second, have a record each."""

import os
from dataclasses import replace
from pathlib import Path

from small_audits import write_example
from watching import Nobody

from auditor.workflows.audit import run_audit
from auditor.workflows.prepare import prepare_audit, read_overridden_audit_file
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.wiring import build_path_resolver, build_resolvers
from auditor.workflows.workspace import open_workspace

ONLY = ("quality.accuracy",)


def test_equal_audits_of_one_second_have_a_record_each(tmp_path: Path) -> None:
    write_example(tmp_path)
    path, parts = tmp_path / "audit.yaml", build_resolvers(tmp_path)
    file = read_overridden_audit_file(path.read_bytes(), path.name, parts, only=ONLY)
    settings = AuditorSettings.from_environment(
        {**os.environ, "AUDITOR_HOME": str(tmp_path / "home")}
    )
    found = []
    with (
        open_workspace(settings) as place,
        prepare_audit(file, build_path_resolver(path), parts) as given,
    ):
        place.keep_inputs(given, build_path_resolver(path))
        prepared = place.informed(given)
        around = replace(place.surroundings(), clock=lambda: "2026-01-01T00:00:00Z")
        found = [run_audit(prepared, around, Nobody()) for _ in range(3)]
    assert len({record.id for record in found}) == 3
    assert len({record.digest for record in found}) == 3
    assert len({(it.registered, it.request.digest) for it in found}) == 1
