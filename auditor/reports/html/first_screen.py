"""First screen of the report beside the verdict: the signer's name, declarations, open questions.

A name comes from the trust policy of the audit, never from the signer alone: anyone can call a key
by any name.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from types import MappingProxyType

from auditor.attacks.gradient_masking.caveats import MASKING
from auditor.domain.ai_system import SystemTopic
from auditor.domain.confusable_names import quote_name, quote_unclear_name
from auditor.domain.findings import KEPT, Outcome, Verdict
from auditor.domain.json import read_json
from auditor.domain.policies import Policy, StrictnessChange
from auditor.domain.trust_context import TrustContext
from auditor.domain.waivers import Waiver
from auditor.errors import AuditorError
from auditor.reports.declarations import (
    ListedStatement,
    describe_declarations,
    list_switched_off,
)
from auditor.reports.html.judged_data import (
    FAIRNESS,
    UNCOMPARED_BUT_KEPT,
    describe_contradiction,
    list_left_out_groups,
    list_uncompared_columns,
)
from auditor.reports.html.run_details import shorten_digest
from auditor.reports.rendering_inputs import ReportInputs
from auditor.reports.signer_text import shorten_key
from auditor.reports.waiver_text import format_waiver_day, list_approvers, list_waived
from auditor.trust.policies.evidence import read_given_policy
from auditor.trust.policies.trust_policy import AuditorRole, TrustPolicy
from auditor.trust.signatures.keys import read_public_key

FAMILIES: Mapping[str, str] = MappingProxyType(
    {
        "quality": "accuracy and calibration",
        "evasion": "attacks on inputs",
        "poisoning": "poisoned training data and backdoors",
        "privacy": "privacy of the training data",
        "fairness": "fairness between groups",
        "data": "quality of the data",
        "hardware": "the hardware",
        "provenance": "the origin of the artifact",
    }
)
"""What each family of checks is about; packages may bring others."""
SIGNATURE = "provenance.signature"
MOST_LOOSENED = MOST_DEFAULTS = 6
UNPROVEN = (
    "A waiver's signature proves which key signed it, not the names that the waiver holds: the "
    "signer writes them."
)
"""Said once of waivers, unless the trust policy of the audit names every key that signed one."""


def find_signer_name(inputs: ReportInputs) -> str:
    """Name the signing key as the trust policy of the audit does, or return nothing.

    The audit's signature check stores the trust policy in its evidence. A key that the policy does
    not allow to sign records has no name here.
    """
    return _find_trusted_name(inputs, f"key:{inputs.signer}", AuditorRole.RECORD)


def describe_waivers(inputs: ReportInputs) -> tuple[str, ...]:
    """Say of each waiver of required rules who signed it, who accepts the key, and its scope."""
    titles: dict[str, dict[str, None]] = {}
    for finding in list_waived(inputs.record.findings):
        titles.setdefault(finding.waiver, {})[finding.title] = None
    used = [(item, key) for item, key in inputs.signed_waivers if item.digest in titles]
    said = [_describe_waiver(inputs, item, tuple(titles[item.digest])) for item, _ in used]
    for key in dict.fromkeys(key for _, key in used if key):
        names = list_approvers(used, key)
        if len(names) > 1:
            said.append(
                f"Key {shorten_key(key)} signed waivers in {len(names)} different names: "
                f"{'; '.join(map(quote_name, names))}."
            )
    known = (_find_trusted_name(inputs, key, AuditorRole.WAIVER) for _, key in used)
    return (*said, *([] if all(known) else [UNPROVEN]))


def _describe_waiver(inputs: ReportInputs, waiver: Waiver, titles: tuple[str, ...]) -> str:
    key = inputs.waiver_key(waiver)
    trusted = _find_trusted_name(inputs, key, AuditorRole.WAIVER)
    accepted = (
        f"the key is that of {trusted}"
        if trusted
        else "only the audit file or the command line of the audit accepts the key"
    )
    request = inputs.record.request
    versions = (
        f"every version of {request.name}"
        if waiver.artifact is None
        else f"{request.name} {request.version} only"
    )
    signed = f"key {shorten_key(key)}" if key else "a key that is not at hand"
    return (
        f"Waived until {format_waiver_day(waiver.expires)}: {'; '.join(titles)}. The waiver "
        f"{waiver.ticket} covers {versions}. It is signed by {signed}; {accepted}. The signer "
        f"names {quote_name(waiver.approver)} as the approver and {quote_name(waiver.owner)} as "
        "the owner of the risk."
    )


def _find_trusted_name(inputs: ReportInputs, identity: str, role: AuditorRole) -> str:
    """Name a key as the trust policy of the audit does, where it gives the key that role."""
    for policy in _list_trust_policies(inputs):
        for auditor in policy.auditors:
            if role in auditor.roles and read_public_key(auditor.key.pem).identity == identity:
                return f"{auditor.name} (by trust policy {policy})"
    return ""


def _list_trust_policies(inputs: ReportInputs) -> Iterator[TrustPolicy]:
    for seen in inputs.record.observations:
        item = inputs.evidence(seen, "signature") if seen.check == SIGNATURE else None
        if not isinstance(item, Mapping) or item.get("trust") is None:
            continue
        # Verifying the record shows what is wrong with its evidence
        with suppress(AuditorError):
            yield read_given_policy(read_json(TrustContext, item["trust"], "trust"))


def describe_declared(inputs: ReportInputs) -> tuple[ListedStatement, ...]:
    """Say which declarations of the audit file ease the verdict and who made them, if any do."""
    said = describe_declarations(inputs.record, inputs.policy)
    contradicted = describe_contradiction(inputs)
    more = (ListedStatement(contradicted),) if contradicted else ()
    everything = (*_describe_chosen_checks(inputs), *said, *more, *_describe_uncompared(inputs))
    return (*everything, ListedStatement(_name_author(inputs))) if everything else ()


def _describe_chosen_checks(inputs: ReportInputs) -> Iterator[ListedStatement]:
    """Say which checks alone ran, how many were left out, and of which families all were."""
    only = inputs.record.request.only
    if not only:
        return
    # An attack that a rule rests on is examined, whoever names it
    examined = {MASKING} & {reading.check for reading in inputs.record.readings}
    told = dict.fromkeys((*only, *examined))
    left = len(inputs.checks.keys() - told.keys())
    ran = {check.partition(".")[0] for check in told}
    silent = [about for family, about in FAMILIES.items() if family not in ran]
    checks = "1 check was" if left == 1 else f"{left} checks were"
    families = f", among them all about {', '.join(silent)}" if silent else ""
    yield ListedStatement(f"Only these checks ran: {', '.join(told)}.")
    yield ListedStatement(f"{checks} left out{families}.")


def _describe_uncompared(inputs: ReportInputs) -> Iterator[ListedStatement]:
    """Name columns that look like groups, and groups, that a kept rule on groups leaves out."""
    kept = any(
        item.measure.startswith(FAIRNESS) and item.outcome in KEPT
        for item in inputs.record.findings
    )
    columns = tuple(map(quote_unclear_name, list_uncompared_columns(inputs))) if kept else ()
    if columns:
        yield ListedStatement(UNCOMPARED_BUT_KEPT, columns)
    left = tuple(
        f"{quote_unclear_name(column)} = {quote_unclear_name(name)}{f': {said}' if said else ''}"
        for column, groups in list_left_out_groups(inputs.record).items()
        for name, said in groups.items()
    )
    if kept and left:
        yield ListedStatement("Rules about groups passed, and leave out these groups", left)


def _name_author(inputs: ReportInputs) -> str:
    system = inputs.dossier.system
    told = () if system is None else system.system.told.get(SystemTopic.PROVIDER_NAME, ())
    owner = f" of {told[0]}" if told else ""
    file = shorten_digest(inputs.record.request.audit_file)
    return f"The audit file{owner} ({file}) declares this; the audit does not check it."


def describe_unasked(inputs: ReportInputs) -> tuple[ListedStatement, ...]:
    """Say what the verdict does not answer: rules that do not apply, families without a rule."""
    said = (*describe_loosened(inputs.policy), *_list_unread(inputs), *_list_unasked(inputs))
    return (*said, *_list_people(inputs))


def _list_unread(inputs: ReportInputs) -> Iterator[ListedStatement]:
    """Name outputs of the model that no figure is of, and inputs that a caller could set."""
    found = [it.interface for it in inputs.record.fingerprints.values() if it.interface is not None]
    outputs = dict.fromkeys(name for face in found for name in face.unread)
    defaults = dict.fromkeys(name for face in found for name in face.defaults)
    if outputs:
        lead = "Outputs of the model that nothing was asked about"
        yield ListedStatement(lead, tuple(map(quote_name, outputs)))
    if defaults:
        lead = (
            "Inputs of the model that have a default value, which the audit did not change: at "
            "other values the model may decide otherwise"
        )
        yield ListedStatement.of_some(lead, tuple(map(quote_name, defaults)), MOST_DEFAULTS)


def _list_people(inputs: ReportInputs) -> Iterator[ListedStatement]:
    """Say of a pass that the policy asks for the approval of no person."""
    if inputs.record.verdict is Verdict.PASS and not inputs.policy.approvals:
        yield ListedStatement("The policy requires no approval by a person.")


def describe_loosened(policy: Policy) -> tuple[ListedStatement, ...]:
    """Say where a policy asks less than those that it extends.

    A change that cannot be shown to ask more counts as one that asks less.
    """
    said = [
        *(f"not asked: {item.title}" for item in policy.dropped),
        *(
            f"{it.title}: {change}"
            for it in policy.rules
            if it.origin
            for change in it.origin.loosened
        ),
        *(
            str(change)
            for parent in policy.inherits
            for change in parent.changes
            if change.way is StrictnessChange.LOOSENED
        ),
    ]
    if not said:
        return ()
    names = ", ".join(dict.fromkeys(f"{it.name} {it.version}" for it in policy.inherits))
    more = [f"{len(said) - MOST_LOOSENED} more"] if len(said) > MOST_LOOSENED + 1 else []
    shown = said[:MOST_LOOSENED] if more else said
    return (
        ListedStatement(f"The policy asks less than {names}, which it extends", (*shown, *more)),
    )


def _list_unasked(inputs: ReportInputs) -> Iterator[ListedStatement]:
    findings = inputs.record.findings
    declared = list_switched_off(inputs.record, inputs.policy)
    idle = dict.fromkeys(
        item.title
        for item in findings
        if item.outcome is Outcome.NOT_APPLICABLE and item.rule not in declared
    )
    if idle:
        rules = "1 rule does" if len(idle) == 1 else f"{len(idle)} rules do"
        yield ListedStatement(f"{rules} not apply to this model or its data", tuple(idle))
    asked = {
        item.measure.partition(".")[0]
        for item in findings
        if item.outcome is not Outcome.NOT_APPLICABLE
    }
    silent = [about for family, about in FAMILIES.items() if family not in asked]
    if silent and findings:
        *first, last = silent
        about = f"{', '.join(first)} or {last}" if first else last
        yield ListedStatement(f"No rule that applies is about {about}.")
