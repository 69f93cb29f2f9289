"""Timestamps beside what they are over: obtained, renewed, and held against it."""

from dataclasses import dataclass
from pathlib import Path

from auditor.domain.steps import Step, StepResult
from auditor.errors import AuditorError, ClockLostError, TimestampError, UsageError
from auditor.folders import BUNDLE, TIMESTAMP, RecordFolder
from auditor.posting import NoAnswerError, is_address, post
from auditor.signatures.clocks import Clocks, covered_by_next, proven_moment, refuse_other
from auditor.signatures.objections import Refused
from auditor.signatures.strict import MOST_BYTES
from auditor.signatures.timestamps import SUFFIX, Query, as_answer
from auditor.signatures.trust import Moment
from auditor.signing.keys import write_key

NAME = "timestamp"
OK = 200
MOST_ANSWER = 2**18
QUERY_TYPE = "application/timestamp-query"


@dataclass(frozen=True, slots=True)
class Stampable:
    """Signed bytes, and the file of their timestamps: of a record, its bundle and
    ``timestamp.tsr``; of any other file, itself and the file of that name with ``.tsr``.
    """

    covered: bytes
    place: Path
    answers: bytes

    @classmethod
    def find(cls, path: Path) -> "Stampable":
        """Read what lies at a path. Raises ``UsageError`` or ``RecordError``."""
        if path.is_dir():
            return cls.of_record(RecordFolder(path))
        if path.suffix == SUFFIX:
            raise UsageError(
                f"{path} holds timestamps, and does not say of what",
                cure="Name what they are over: the record's folder, or the file beside it.",
            )
        place = path.with_name(path.name + SUFFIX)
        return cls(read_stampable(path), place, read_stampable(place) if place.exists() else b"")

    @classmethod
    def of_record(cls, folder: RecordFolder) -> "Stampable":
        """Take the bundle of a record's folder, and its timestamps if there are any."""
        answers = folder.read(TIMESTAMP) if folder.has(TIMESTAMP) else b""
        return cls(folder.read(BUNDLE), folder.place(TIMESTAMP), answers)

    def query(self, nonce: int, kind: str, policy: str | None) -> Query:
        """Return what an authority is to be asked: a first timestamp, or one more."""
        covered = covered_by_next(self.answers, self.covered)
        return Query.over(covered, nonce, kind=kind, policy=policy)

    def moment(self, clocks: Clocks, now: Moment) -> Moment:
        """Return the time that the timestamps prove. Raises ``TimestampError``."""
        try:
            return proven_moment(self.answers, self.covered, clocks, now)
        except Refused as refused:
            raise _mended(f"{self.place}: {refused.code}: {refused.problem}") from None

    def add(self, answer: bytes, query: Query | None, clocks: Clocks, now: Moment) -> Moment:
        """Keep an authority's answer, or bare token, if with it all timestamps hold.

        Without the ``query`` nobody can say that the answer is fresh, only that it is right. Raises
        ``TimestampError``, and keeps nothing then.
        """
        try:
            whole = as_answer(answer)
            if query is not None:
                refuse_other(whole, query)
            moment = proven_moment(self.answers + whole, self.covered, clocks, now)
        except Refused as refused:
            raise _mended(f"the answer is refused: {refused.code}: {refused.problem}") from None
        try:
            write_key(self.place, self.answers + whole, mode=0o644)
        except OSError as error:
            raise UsageError(
                f"{self.place} cannot be written: {error.strerror}", cure="Mend its permissions."
            ) from None
        return moment


def ask_authority(url: str, request: bytes) -> bytes:
    """Send a request to the authority at ``url`` (RFC 3161, section 3.4), and return its answer.

    Raises ``UsageError`` for what is no HTTP address, ``ClockLostError`` where nobody answers.
    """
    if not is_address(url):
        raise UsageError(f"{url!r} is no address of an authority", cure="Write it as http://HOST/.")
    cure = "See that the address is right and that the authority runs; then repeat."
    try:
        found = post(url, request, QUERY_TYPE, MOST_ANSWER)
    except NoAnswerError as error:
        raise ClockLostError(
            f"the authority at {url} does not answer: {error}", cure=cure
        ) from None
    if found.status != OK:
        raise ClockLostError(f"the authority at {url} answers {found.status}", cure=cure)
    return found.body


def look_at_time(
    folder: RecordFolder, clocks: Clocks | None, now: Moment | None
) -> tuple[Step, Moment | None]:
    """Look at the timestamp of a record's signature; who names authorities wants one.

    Returns the step, and the proven time of a timestamp that holds.
    """
    if not folder.has(TIMESTAMP):
        missing = "the folder holds no timestamp"
        if clocks is None:
            return Step(NAME, StepResult.NOT_PRESENT, missing), None
        return Step(NAME, StepResult.FAILED, f"{missing}, and an authority was named"), None
    if clocks is None or now is None:
        return Step(NAME, StepResult.NOT_CHECKED, "no authority named (--tsa-roots)"), None
    try:
        moment = Stampable.of_record(folder).moment(clocks, now)
    except AuditorError as error:
        return Step(NAME, StepResult.FAILED, error.problem), None
    return Step(NAME, StepResult.HOLDS, f"{BUNDLE} {words_of(moment)}"), moment


def look_at_signature(
    signature: Path, place: Path, clocks: Clocks, now: Moment
) -> tuple[Step, Moment | None]:
    """Look at the timestamps of a signature's file, which must be at ``place``.

    Returns the step, and the proven time of a timestamp that holds.
    """
    try:
        moment = Stampable(read_stampable(signature), place, read_stampable(place)).moment(
            clocks, now
        )
    except AuditorError as error:
        return Step(NAME, StepResult.FAILED, error.problem), None
    return Step(NAME, StepResult.HOLDS, f"{signature.name} {words_of(moment)}"), moment


def words_of(moment: Moment) -> str:
    """Say what a proven time means."""
    return f"was there at {moment} at the latest"


def read_stampable(path: Path) -> bytes:
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
