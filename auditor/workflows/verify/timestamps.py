"""Timestamps of a record and its signatures: requested, renewed, and verified."""

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from auditor._http import NoResponseError, is_http_url, request_bytes
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import AuditorError, TimestampAuthorityLostError, TimestampError, UsageError
from auditor.reports.folder import BUNDLE, TIMESTAMP, RecordFolder
from auditor.trust.encoding.strict_json import MOST_BYTES
from auditor.trust.keys.files import write_key
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.timestamps import (
    SUFFIX,
    TimestampAuthorities,
    TimestampQuery,
    build_renewal_content,
    find_proven_moment,
    refuse_unrelated_answer,
    wrap_token,
)
from auditor.trust.verification_result import VerificationError

NAME = "timestamp"
OK = 200
MOST_ANSWER = 2**18
QUERY = {"Content-Type": "application/timestamp-query"}


@dataclass(frozen=True, slots=True)
class TimestampedBytes:
    """Signed bytes, and the file of their timestamps: of a record, its bundle and
    ``timestamp.tsr``; of any other file, itself and the file of that name with ``.tsr``.
    """

    covered: bytes
    place: Path
    answers: bytes

    @classmethod
    def find(cls, path: Path) -> "TimestampedBytes":
        """Read what lies at a path. Raises ``UsageError`` or ``RecordError``."""
        if path.is_dir():
            return cls.of_record(RecordFolder(path))
        if path.suffix == SUFFIX:
            raise UsageError(
                f"{path} holds timestamps, and does not say of what",
                cure="Name what they are over: the record's folder, or the file beside it.",
            )
        place = path.with_name(path.name + SUFFIX)
        return cls(
            read_signed_bytes(path), place, read_signed_bytes(place) if place.exists() else b""
        )

    @classmethod
    def of_record(cls, folder: RecordFolder) -> "TimestampedBytes":
        """Take the bundle of a record's folder, and its timestamps if there are any."""
        answers = folder.read(TIMESTAMP) if folder.has(TIMESTAMP) else b""
        return cls(folder.read(BUNDLE), folder.place(TIMESTAMP), answers)

    def query(self, nonce: int, kind: str, policy: str | None) -> TimestampQuery:
        """Return what an authority is to be asked: a first timestamp, or one more."""
        covered = build_renewal_content(self.answers, self.covered)
        return TimestampQuery.over(covered, nonce, kind=kind, policy=policy)

    def moment(self, clocks: TimestampAuthorities, now: VerificationTime) -> VerificationTime:
        """Return the time that the timestamps prove. Raises ``TimestampError``."""
        try:
            return find_proven_moment(self.answers, self.covered, clocks, now)
        except VerificationError as refused:
            raise _mended(f"{self.place}: {refused.code}: {refused.problem}") from None

    def add(
        self,
        answer: bytes,
        query: TimestampQuery | None,
        clocks: TimestampAuthorities,
        now: VerificationTime,
    ) -> VerificationTime:
        """Keep an authority's answer, or bare token, if with it all timestamps hold.

        Without the ``query`` nobody can say that the answer is fresh, only that it is right. Raises
        ``TimestampError``, and keeps nothing then.
        """
        try:
            whole = wrap_token(answer)
            if query is not None:
                refuse_unrelated_answer(whole, query)
            moment = find_proven_moment(self.answers + whole, self.covered, clocks, now)
        except VerificationError as refused:
            raise _mended(f"the answer is refused: {refused.code}: {refused.problem}") from None
        try:
            write_key(self.place, self.answers + whole, mode=0o644)
        except OSError as error:
            raise UsageError(
                f"{self.place} cannot be written: {error.strerror}", cure="Fix its permissions."
            ) from None
        return moment


def request_timestamp(url: str, request: bytes) -> bytes:
    """Send a request to the authority at ``url`` (RFC 3161, section 3.4), and return its answer.

    Raises ``UsageError`` for what is no HTTP address, ``TimestampAuthorityLostError`` where nobody
    answers.
    """
    if not is_http_url(url):
        raise UsageError(
            f"{url!r} is not an address of an authority", cure="Write it as http://HOST/."
        )
    cure = "See that the address is right and that the authority runs; then repeat."
    try:
        found = request_bytes("POST", url, body=request, headers=QUERY, most_bytes=MOST_ANSWER)
    except NoResponseError as error:
        raise TimestampAuthorityLostError(
            f"the authority at {url} does not answer: {error}", cure=cure
        ) from None
    if found.status != OK:
        raise TimestampAuthorityLostError(
            f"the authority at {url} answers {found.status}", cure=cure
        )
    return found.body


def check_record_timestamp(
    folder: RecordFolder, clocks: TimestampAuthorities | None, now: VerificationTime | None
) -> tuple[VerificationStep, VerificationTime | None]:
    """Look at the timestamp of a record's signature; who names authorities wants one.

    Returns the step, and the proven time of a timestamp that holds.
    """
    if not folder.has(TIMESTAMP):
        missing = "the folder holds no timestamp"
        if clocks is None:
            return VerificationStep(NAME, StepResult.NOT_PRESENT, missing), None
        return VerificationStep(
            NAME, StepResult.FAILED, f"{missing}, and an authority was named"
        ), None
    if clocks is None or now is None:
        return VerificationStep(
            NAME, StepResult.NOT_CHECKED, "no authority named (--tsa-roots)"
        ), None
    try:
        moment = TimestampedBytes.of_record(folder).moment(clocks, now)
    except AuditorError as error:
        return VerificationStep(NAME, StepResult.FAILED, error.problem), None
    return VerificationStep(NAME, StepResult.HOLDS, f"{BUNDLE} {describe_moment(moment)}"), moment


def check_signature_timestamps(
    signature: Path, place: Path, clocks: TimestampAuthorities, now: VerificationTime
) -> tuple[VerificationStep, VerificationTime | None]:
    """Look at the timestamps of a signature's file, which must be at ``place``.

    Returns the step, and the proven time of a timestamp that holds.
    """
    try:
        moment = TimestampedBytes(
            read_signed_bytes(signature), place, read_signed_bytes(place)
        ).moment(clocks, now)
    except AuditorError as error:
        return VerificationStep(NAME, StepResult.FAILED, error.problem), None
    return VerificationStep(
        NAME, StepResult.HOLDS, f"{signature.name} {describe_moment(moment)}"
    ), moment


def describe_moment(moment: VerificationTime) -> str:
    """Say what a proven time means."""
    return f"was there at {moment} at the latest"


def read_signed_bytes(path: Path) -> bytes:
    """Return a file's bytes. Raises ``UsageError`` where it cannot be read, or is too large."""
    try:
        with path.open("rb") as file:
            found = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{path} cannot be read: {error.strerror}",
            cure="Name a record's folder, a signature file, or a checkpoint.",
        ) from None
    if len(found) > MOST_BYTES:
        raise UsageError(f"{path} is too large", cure="Stamp its signature file instead.")
    return found


def _mended(problem: str) -> TimestampError:
    return TimestampError(
        problem, cure="Get another timestamp, or name the roots of the authority that made it."
    )


def current_moment() -> VerificationTime:
    """Return the time of looking."""
    return VerificationTime(datetime.now(UTC))
