"""Records that were signed once verify for ever, whatever version looks at them.

For each schema there is one golden record under `tests/golden/records`, made when the schema was
new. Where this test fails, mend the code and not the file: somebody has records like it.

A new schema gets its own, beside the old ones:

    python tests/workflows/verify/make_golden_record.py tests/golden/records/v2.zip
"""

import zipfile
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.domain.records import RECORD_SCHEMA
from auditor.domain.verification_steps import StepResult, VerificationStep, all_hold
from auditor.errors import KeyFileError, RecordError
from auditor.reports.folder import RecordFolder
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.timestamps import TimestampAuthorities
from auditor.workflows.verify.folder import verify_folder
from auditor.workflows.verify.verifiers import build_verifier

RECORDS = Path(__file__).parents[2] / "golden" / "records"
NAMES = sorted(path.name for path in RECORDS.glob("*.zip"))
MOST_BYTES = 60_000
FAR = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture(params=NAMES)
def laid(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    """A golden record, with the keys that its reader trusts beside it."""
    with zipfile.ZipFile(RECORDS / request.param) as packed:
        packed.extractall(tmp_path)
    return tmp_path


def looked_at(laid: Path, at: datetime) -> Iterator[VerificationStep]:
    known = build_verifier(laid / "signer.pub", laid / "ledger.pub")
    clocks = TimestampAuthorities(((laid / "clock.pem").read_bytes(),))
    yield from verify_folder(
        RecordFolder(laid / "out"), replace(known, clocks=clocks, now=VerificationTime(at))
    )


def holds(laid: Path) -> bool:
    try:
        return all_hold(looked_at(laid, FAR))
    except (RecordError, KeyFileError):
        return False  # refused as soon as it is read


def test_the_present_schema_has_a_golden_record() -> None:
    name = f"{RECORD_SCHEMA.rpartition('/')[2]}.zip"
    assert name in NAMES, (
        f"make it: python tests/workflows/verify/make_golden_record.py {RECORDS / name}"
    )


@pytest.mark.parametrize("name", NAMES)
def test_a_golden_record_is_small(name: str) -> None:
    assert (RECORDS / name).stat().st_size <= MOST_BYTES


@pytest.mark.parametrize("at", [None, FAR], ids=["today", "in a thousand years"])
def test_a_golden_record_verifies_for_ever(laid: Path, at: datetime | None) -> None:
    steps = list(looked_at(laid, at or datetime.now(UTC)))
    assert all_hold(steps), steps
    # Only what shows the record may look otherwise in another version; it is signed all the same.
    others = {step.name: step for step in steps if step.result is not StepResult.HOLDS}
    assert others.keys() <= {"renderings", "texts", "verdict", "properties", "test result"}, others
    assert {"signature", "figures", "inclusion proof", "timestamp", "key's life"} <= {
        step.name for step in steps
    }


def test_a_golden_record_that_was_touched_does_not(laid: Path) -> None:
    files = sorted(path for path in (laid / "out").rglob("*") if path.is_file())
    assert len(files) > 10
    for path in files:
        whole = path.read_bytes()
        path.write_bytes(whole[:-2] + bytes([whole[-2] ^ 1]) + whole[-1:])
        assert not holds(laid), path
        path.write_bytes(whole)
