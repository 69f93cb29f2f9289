"""The page of commands: it holds the record's own digests, and no name that anybody chose."""

import hashlib
import re
from dataclasses import replace

import pytest
from rendering_records import (
    EVERY_RECORD,
    FAILING,
    HOSTILE,
    HOSTILE_RECORD,
    MODEL_FILE,
    PREDICTIONS_ONLY,
    inputs_of,
)

from auditor.domain.artifacts import Artifact
from auditor.domain.policies import AssuranceLevel
from auditor.domain.records import AuditRecord
from auditor.reports.report_formats import render_all

HEX = re.compile(r"[0-9a-f]{64}")


def guide(record: AuditRecord) -> str:
    return render_all(inputs_of(record))["VERIFY.md"].decode()


def commands(record: AuditRecord) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", guide(record), re.DOTALL | re.MULTILINE)


def named(name: str) -> AuditRecord:
    """A record of a model whose file has a name."""
    file = replace(MODEL_FILE, name=name)
    return replace(FAILING, request=replace(FAILING.request, artifact=Artifact("m", "1", (file,))))


@pytest.mark.parametrize("name", [HOSTILE, "a`\n```\nrm -rf ~", "$(reboot)", "--key", "a|b\n# c"])
def test_nothing_that_somebody_chose_gets_into_a_command(name: str) -> None:
    plain = [HEX.sub("", text) for text in commands(FAILING)]
    assert [HEX.sub("", text) for text in commands(named(name))] == plain
    assert [HEX.sub("", text) for text in commands(HOSTILE_RECORD)] == plain
    (row,) = [line for line in guide(named(name)).splitlines() if MODEL_FILE.sha256 in line]
    assert row.replace("\\|", "").count("|") == 3


@pytest.mark.parametrize("record", EVERY_RECORD.values(), ids=EVERY_RECORD)
def test_every_digest_on_the_page_is_of_something_that_is_there(record: AuditRecord) -> None:
    files = render_all(inputs_of(record))
    artifact = record.request.artifact
    known = {record.digest, record.request.policy.digest, f"sha256:{'0' * 64}"}
    known |= {edge.destination.removeprefix("key:") for edge in record.lineage}
    known |= {f"sha256:{item.sha256}" for item in (artifact.files if artifact else ())}
    known.add(f"sha256:{hashlib.sha256(files['verify.py']).hexdigest()}")
    assert {f"sha256:{item}" for item in HEX.findall(files["VERIFY.md"].decode())} <= known


def test_an_audit_of_predictions_alone_is_verified_by_the_record_itself() -> None:
    told = "\n".join(commands(PREDICTIONS_ONLY))
    assert "$MODEL" not in told
    assert '--type "${statement#*=}" record.json' in told
    assert "(.subject[])" in told
    assert '"$MODEL"' in "\n".join(commands(FAILING))


@pytest.mark.parametrize(
    ("level", "more"),
    [(AssuranceLevel.A0, ""), (AssuranceLevel.A1, " --assurance A1")],
    ids=["A0", "A1"],
)
def test_every_page_prints_the_command_that_verifies_what_the_record_claims(
    level: AssuranceLevel, more: str
) -> None:
    files = render_all(inputs_of(replace(FAILING, assurance=level)))
    assert f'`auditor verify . --key "$KEY"{more}`' in files["VERIFY.md"].decode()
    said = f"auditor verify DIR --key signer.pub{more}"
    assert f"<code>{said}</code>" in files["report.html"].decode()
    assert f"    {said}\n" in files["summary.md"].decode()
    assert f"`{said}`" in files["annex-iv.md"].decode()


def test_the_report_takes_the_verifier_from_where_no_forger_put_it() -> None:
    report = render_all(inputs_of(FAILING))["report.html"].decode()
    assert "DIR/verify.py" not in report
    assert "python3 -I verify.py DIR --key signer.pub" in report
    for page in (report, guide(FAILING)):
        assert "a forger can put another one" in page
        assert "reports/bundle/verify.py" in page
