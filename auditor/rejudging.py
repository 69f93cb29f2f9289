"""Judge stored evidence by another policy: a new record, and no model is run."""

from dataclasses import dataclass, replace

from auditor.attacks.masking.doubts import FAMILY, MASKING
from auditor.audits import Found, Origin, Surroundings, conclude
from auditor.domain.checks import Need, would_use
from auditor.domain.policies import Policy
from auditor.domain.readings import Gap, Reason
from auditor.domain.records import AuditRecord
from auditor.domain.requests import AuditRequest, PolicyRef
from auditor.domain.steps import StepResult
from auditor.errors import RecordError
from auditor.folders import RecordFolder
from auditor.measuring import Result, Seen
from auditor.recalling import falls_short, load_results
from auditor.verifying import Verifier, verify_folder


@dataclass(frozen=True, slots=True)
class Rejudged:
    """An earlier request under another policy."""

    request: AuditRequest
    policy: Policy


def rejudge(
    folder: RecordFolder,
    record: AuditRecord,
    policy: Policy,
    verifier: Verifier,
    around: Surroundings,
) -> AuditRecord:
    """Return the record that ``policy`` makes of the evidence in ``folder``.

    What the policy asks for and nobody observed stays unknown. Raises ``RecordError`` unless the
    folder verifies: whoever signs a new record answers for what it is derived from.
    """
    failed = [step for step in verify_folder(folder, verifier) if step.result is StepResult.FAILED]
    if failed:
        raise RecordError(
            f"{folder.path} does not verify: {failed[0].name}: {failed[0].detail}",
            cure="Take the folder as auditor wrote it, unchanged.",
        )
    recalled = load_results(folder, record, verifier.checks)
    results = _unexamined(tuple(_as_asked(record, item, policy) for item in recalled))
    asked = PolicyRef(policy.name, policy.version, policy.digest)
    request = replace(record.request, policy=asked)
    with around.unit_of_work() as work:
        work.register(request, around.clock())
    found = Found(results, record.fingerprints)
    return conclude(
        Rejudged(request, policy),
        found,
        around,
        Origin(record.registered, derived_from=record.digest),
    )


def _as_asked(record: AuditRecord, result: Result, policy: Policy) -> Result:
    """Return an observation that is all that ``policy`` asks for, or a Gap that says why not."""
    short = falls_short(record, result, policy) if isinstance(result, Seen) else ""
    if not short or not isinstance(result, Seen):
        return result
    return Gap(
        reason=Reason.OTHER_PARAMETERS,
        detail=short,
        cure="Run the audit again under this policy.",
        target=result.observation.target,
        check=result.observation.check,
    )


def _unexamined(results: tuple[Result, ...]) -> tuple[Result, ...]:
    """Drop what rests on gradients where what examined them is dropped: doubt must not get lost."""
    lost = {
        item.target
        for item in results
        if isinstance(item, Gap)
        and item.check == MASKING
        and item.reason is Reason.OTHER_PARAMETERS
    }
    return tuple(_without_examiner(item) if _rests(item, lost) else item for item in results)


def _rests(item: Result, lost: set[str]) -> bool:
    if not isinstance(item, Seen) or item.observation.target not in lost:
        return False
    return item.check.id.startswith(FAMILY) and would_use(item.check, Need.TWIN)


def _without_examiner(item: Result) -> Result:
    if not isinstance(item, Seen):
        return item
    return Gap(
        reason=Reason.OTHER_PARAMETERS,
        detail=f"{item.check.id} rests on gradients, and {MASKING}, which says whether they can be "
        "believed, was observed with other parameters than the policy asks for.",
        cure="Run the audit again under this policy.",
        target=item.observation.target,
        check=item.check.id,
    )
