"""What `auditor waive` and `auditor approve` share: a sound record, a decider's key, and a time."""

from datetime import UTC, date, datetime, timedelta
from pathlib import Path

from auditor.cli.asking import passwords
from auditor.cli.key_choices import time_option
from auditor.clock import written
from auditor.domain.records import AuditRecord
from auditor.domain.steps import StepResult
from auditor.errors import KeyFileError, RecordError, UsageError
from auditor.folders import RecordFolder
from auditor.gates import UNITS, parse_age
from auditor.ledgers.key_events import KeyRole
from auditor.settings import Settings
from auditor.signatures.keys import Signer
from auditor.signing.key_roles import refuse_second_role
from auditor.signing.keys import STEMS
from auditor.signing.opening import open_signer
from auditor.verifiers import own_verifier, served_verifier
from auditor.verifying import verify_folder


def sound_record(
    folder: RecordFolder, key: Path | None, served: bytes | None = None
) -> AuditRecord:
    """Return a record whose folder verifies: nobody should decide on what does not.

    ``served`` is the key (PEM) of the service that made it, which ``key`` replaces where one has it
    apart. Raises ``RecordError``.
    """
    checker = own_verifier(folder, key)
    if served is not None and key is None:
        checker = served_verifier(served)
    steps = verify_folder(folder, checker)
    failed = [step for step in steps if step.result is StepResult.FAILED]
    if failed:
        raise RecordError(
            f"{folder.path} does not verify: {failed[0].name}: {failed[0].detail}",
            cure="Take the folder as auditor wrote it, and the key of its signer.",
        )
    return folder.record


def decider(key: str | None, record_signer: bytes | None) -> Signer:
    """Open the key of who decides, which may be that of no other role.

    Raises ``KeyFileError``, also for the key that signed the record.
    """
    settings = Settings.from_environment()
    own = settings.home / f"{STEMS[KeyRole.DECISION]}.key"
    if key is None and not own.exists():
        raise KeyFileError(
            f"there is no key for decisions, {own}",
            cure="Make one with `auditor keys new --role decision`, or name it with --key.",
        )
    signer = open_signer(key or str(own), passwords(settings))
    public = signer.public_pem()
    refuse_second_role(settings.home, KeyRole.DECISION, public)
    if record_signer is not None and record_signer.strip() == public.strip():
        raise KeyFileError(
            "the key is the one that signed the record, and who audits may not decide",
            cure="Use a key of its own: `auditor keys new --role decision`.",
        )
    return signer


def until(text: str, begins: str) -> str:
    """Return when something ends: after an age such as 90d, or at a day or time.

    Raises ``UsageError``.
    """
    if text[-1:] in UNITS:
        return _later(begins, parse_age(text))
    if "T" in text:
        return time_option("--expires", text) or ""
    try:
        return f"{date.fromisoformat(text)}T00:00:00Z"
    except ValueError:
        raise UsageError(
            f"--expires {text} is no age and no day", cure="Write it as 30d, or as 2026-01-31."
        ) from None


def _later(begins: str, age: timedelta) -> str:
    at = datetime.fromisoformat(begins).astimezone(UTC) + age
    return written(at)
