"""Judge stored evidence by another policy: a new record, and no model is run."""

from dataclasses import replace

from auditor.attacks.gradient_masking.caveats import FAMILY, MASKING
from auditor.domain.baselines import load_compared_record
from auditor.domain.checks import Need, uses_need
from auditor.domain.observed_checks import ObservedCheck, Result
from auditor.domain.policies import Policy
from auditor.domain.readings import Gap, GapReason
from auditor.domain.records import FIRST_VERDICT, AuditRecord
from auditor.domain.requests import PolicyRef
from auditor.domain.source_locations import SourceFile
from auditor.domain.verification_steps import StepResult
from auditor.domain.waivers import SignedWaiver
from auditor.errors import RecordError
from auditor.reports.folder import RecordFolder
from auditor.workflows.audit import AuditEnvironment, AuditResults, RecordOrigin, conclude_audit
from auditor.workflows.evidence import explain_observation_shortfall, load_results
from auditor.workflows.verify.folder import RecordVerifier, verify_folder
from auditor.workflows.workspace import EPHEMERAL

EVIDENCE_KEY = "evidence_key"


def rejudge_folder(  # noqa: PLR0913, PLR0917 -- what is judged, by what, and in which world
    folder: RecordFolder,
    record: AuditRecord,
    policy: Policy,
    verifier: RecordVerifier,
    around: AuditEnvironment,
    waivers: tuple[SignedWaiver, ...] = (),
    placed: SourceFile | None = None,
    compared: AuditRecord | None = None,
) -> AuditRecord:
    """Return the record that ``policy`` and ``waivers`` make of the evidence in ``folder``.

    ``placed`` says where the policy is written. ``compared`` is the record that limits are taken
    from; without it that of the old record stays. Waivers of the old record count no more unless
    they are given again. What the policy asks for and nobody observed stays unknown. Raises
    ``RecordError`` unless the folder verifies: whoever signs a new record answers for what it is
    derived from.
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
    refs = tuple(item.ref for item in waivers)
    request = replace(record.request.under(asked), waivers=refs)
    if compared is None:
        compared = load_compared_record(request, folder.evidence)
    else:
        request = replace(request, baseline=compared.digest)
    with around.unit_of_work() as work:
        work.register(request, around.clock())
    found = AuditResults(results, record.fingerprints)
    places = None if record.places is None else replace(record.places, policy=placed)
    # The record whose figures these are, however often they were judged: else its verdict is lost.
    first = record.derived_from or record.digest
    origin = RecordOrigin(record.registered, derived_from=first, places=places)
    # Let a new record say by whose keys agents signed what was seen, as the old one does. It also
    # says for good where the key that vouched for the evidence first was one of the moment.
    told = {name: record.tool[name] for name in ("agents", EVIDENCE_KEY) if name in record.tool}
    told[FIRST_VERDICT] = record.tool.get(FIRST_VERDICT, record.verdict.value)
    if record.tool.get("key") == EPHEMERAL:
        told[EVIDENCE_KEY] = EPHEMERAL
    return conclude_audit(
        request, policy, found, replace(around, tool={**around.tool, **told}), origin,
        waivers=waivers, compared=compared,
    )  # fmt: skip


def _as_asked(record: AuditRecord, result: Result, policy: Policy) -> Result:
    """Return an observation that is all that ``policy`` asks for, or a Gap that says why not."""
    short = (
        explain_observation_shortfall(record, result, policy)
        if isinstance(result, ObservedCheck)
        else ""
    )
    if not short or not isinstance(result, ObservedCheck):
        return result
    return Gap(
        reason=GapReason.OTHER_PARAMETERS,
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
        and item.reason is GapReason.OTHER_PARAMETERS
    }
    return tuple(_without_examiner(item) if _rests(item, lost) else item for item in results)


def _rests(item: Result, lost: set[str]) -> bool:
    if not isinstance(item, ObservedCheck) or item.observation.target not in lost:
        return False
    return item.check.id.startswith(FAMILY) and uses_need(item.check, Need.TWIN)


def _without_examiner(item: Result) -> Result:
    if not isinstance(item, ObservedCheck):
        return item
    return Gap(
        reason=GapReason.OTHER_PARAMETERS,
        detail=f"{item.check.id} rests on gradients, and {MASKING}, which says whether they can be "
        "believed, was observed with other parameters than the policy asks for.",
        cure="Run the audit again under this policy.",
        target=item.observation.target,
        check=item.check.id,
    )
