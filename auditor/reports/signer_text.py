"""Wording of a model's signer: which key signed, and who besides the audit file vouches for it."""

import re
from collections.abc import Iterator, Mapping

from auditor.domain.findings import Outcome
from auditor.domain.policies import Policy
from auditor.domain.readings import Measurement
from auditor.domain.records import AuditRecord
from auditor.domain.trust_context import TrustPolicyStatus

SIGNATURE = "provenance.signature"
KEY = "key:"
"""Begins the identity of a key; of other signers only a trust policy says who they are."""
SHORT = 12
SELF_NAMED = "which only the audit file names as trusted"
BY_AUDIT_FILE = "the audit file"


def describe_model_signer(record: AuditRecord, policy: Policy, found: Measurement) -> str:
    """Say which key signed the model and who vouches for it; nothing of another measurement."""
    identity = found.details.get("identity")
    if found.check != SIGNATURE or not isinstance(identity, str):
        return ""
    of_key = identity.startswith(KEY)
    signer = f"Model file signed by {f'key {shorten_key(identity)}…' if of_key else identity}"
    if any(_is_named_by_policy(record, policy, identity)):
        return f"{signer}, which the policy {policy.name} {policy.version} names"
    trust = found.details.get("trust")
    if not isinstance(trust, Mapping):
        return f"{signer}, {SELF_NAMED}" if of_key else ""
    named = f"{signer}, as the trust policy {trust.get('name')} {trust.get('version')} allows"
    if trust.get("standing") == TrustPolicyStatus.ACCEPTED:
        return f"{named}, which was accepted where the audit ran"
    return f"{named}; the audit file names that policy, and it was not accepted where the audit ran"


def is_self_named(record: AuditRecord, policy: Policy, found: Measurement) -> bool:
    """Whether only the audit file says that the model's signer is to be trusted."""
    return BY_AUDIT_FILE in describe_model_signer(record, policy, found)


def list_self_named_signers(record: AuditRecord, policy: Policy) -> Mapping[str, tuple[str, ...]]:
    """Return what is said of signers for whom only the audit file vouches, with rules that pass."""
    said: dict[str, dict[str, None]] = {}
    for finding in record.findings:
        if finding.outcome is not Outcome.PASSED:
            continue
        for found in (record.readings[place] for place in finding.readings):
            words = (
                describe_model_signer(record, policy, found)
                if isinstance(found, Measurement)
                else ""
            )
            if BY_AUDIT_FILE in words:
                said.setdefault(words, {})[finding.title] = None
    return {words: tuple(titles) for words, titles in said.items()}


NAMED = re.compile(r"""identity\s*(?:==|in)\s*(params\.\w+|"[^"]*"|'[^']*')""")
"""What a rule holds the signer against: a param, or a text."""


def shorten_key(identity: str) -> str:
    """Return the first digits of a key's id, as far as one compares by eye."""
    return identity.removeprefix(KEY).removeprefix("sha256:")[:SHORT]


def _is_named_by_policy(record: AuditRecord, policy: Policy, identity: str) -> Iterator[bool]:
    """Yield whether each rule on the signature that passed asks for this very signer."""
    passed = {item.rule for item in record.findings if item.outcome is Outcome.PASSED}
    for rule in policy.rules:
        asked = rule.require or ""
        if rule.id not in passed or rule.check != SIGNATURE or "!" in asked:
            continue
        for compared in NAMED.findall(asked):
            value = policy.params.get(compared.removeprefix("params."), compared.strip("\"'"))
            yield identity == value or (isinstance(value, list | tuple) and identity in value)
