"""Check results of a submission, as a service keeps them until the audit is concluded."""

from collections.abc import Callable
from dataclasses import dataclass

from auditor.domain.checks import Check
from auditor.domain.evidence import decode_evidence
from auditor.domain.json import Json, JsonPart, encode_canonical, parse_json
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.readings import Gap
from auditor.domain.records import CheckObservation
from auditor.domain.targets import Fingerprint
from auditor.errors import RecordError


@dataclass(frozen=True, slots=True)
class ShardResult:
    """A check's result, what its target turned out to be, and the digest of the code that saw."""

    result: Result
    fingerprint: Fingerprint | None
    code: str

    def emit(self) -> bytes:
        """Return it as canonical JSON; evidence is named by digest alone."""
        seen = self.result if isinstance(self.result, ObservedCheck) else None
        return encode_canonical(
            {
                "observation": None if seen is None else seen.observation.to_json(),
                "gap": None if isinstance(self.result, ObservedCheck) else self.result.to_json(),
                "fingerprint": None if self.fingerprint is None else self.fingerprint.to_json(),
                "code": self.code,
            }
        )


@dataclass(frozen=True, slots=True)
class ShardReport:
    """What a shard's bytes say, before its evidence is at hand."""

    told: CheckObservation | Gap
    fingerprint: Fingerprint | None
    code: str

    @property
    def evidence(self) -> tuple[str, ...]:
        """The digest of every blob that it names."""
        return tuple(self.told.evidence.values()) if isinstance(self.told, CheckObservation) else ()


def read_shard_report(raw: bytes, name: str) -> ShardReport:
    """Read what somebody says that a check saw. Raises ``RecordError`` for what is none."""
    try:
        part = JsonPart(parse_json(raw), f"what {name} saw")
    except (ValueError, RecursionError) as error:
        raise RecordError(f"the result of {name} is not JSON", cure="Send it again.") from error
    fingerprint = part.maybe("fingerprint", Fingerprint)
    code = part.get("code", str)
    if part.value.get("observation") is None:
        return ShardReport(part.get("gap", Gap), fingerprint, code)
    return ShardReport(part.get("observation", CheckObservation), fingerprint, code)


def read_shard_result(raw: bytes, check: Check, blob: Callable[[str], bytes]) -> ShardResult:
    """Read it back, with the evidence from ``blob``. Raises ``RecordError`` for what is none.

    Raises ``StoreError`` where a blob is missing or damaged.
    """
    found = read_shard_report(raw, check.id)
    if isinstance(found.told, Gap):
        return ShardResult(found.told, found.fingerprint, found.code)
    evidence = {name: decode_evidence(blob(digest)) for name, digest in found.told.evidence.items()}
    return ShardResult(ObservedCheck(found.told, check, evidence), found.fingerprint, found.code)


def describe_check_end(result: Result | CheckObservation) -> dict[str, Json]:
    """Return what a history says of how a check ended."""
    if isinstance(result, Gap):
        return {"seen": False, "reason": result.reason.value, "detail": result.detail}
    return {"seen": True}
