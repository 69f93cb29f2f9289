"""Judge a model's signature by a trust policy: whose may it be, and what else is asked of it."""

from collections.abc import Sequence
from dataclasses import replace

from auditor.domain.artifacts import FileDigest
from auditor.domain.trust import Standing
from auditor.signatures.objections import Code, Grade, Objection, Verification, quoted
from auditor.signatures.oms import Measured, Opened, compare, open_signature
from auditor.trusting.asking import Asked, Presented
from auditor.trusting.demands import object_to_claims
from auditor.trusting.papers import alternatives, distance, object_to_papers
from auditor.trusting.policies import ModelRule
from auditor.trusting.stamping import stamp
from auditor.trusting.standings import object_to_end, object_to_standing


def object_to_policy(asked: Asked, standing: Standing) -> tuple[Objection, ...]:
    """Return what speaks against trusting anybody by this policy for this model."""
    found = [
        *object_to_standing(asked.policy.ref, standing),
        *object_to_end(asked.policy, asked.when),
    ]
    if asked.rule is None:
        said = f"{quoted(asked.claimed.name)} {quoted(asked.claimed.version)}"
        text = f"the trust policy {asked.policy} has no rule for {said}, which so is not trusted"
        found.append(Objection(Code.NO_RULE, text))
    return tuple(found)


def open_by_rule(asked: Asked, rule: ModelRule, bundle: bytes) -> Opened:
    """Open a model's signature: whose of the rule's signers holds, before any file is looked at."""
    attempts = [
        open_signature(
            bundle, trusted, moment=asked.moment, profile=rule.profile, keyless=asked.keyless
        )
        for trusted in alternatives(asked.policy, rule, rule.signature)
    ]
    return min(attempts, key=lambda item: distance(item.verification))


def conclude(
    asked: Asked,
    rule: ModelRule,
    compared: Verification,
    presented: Presented,
    files: Sequence[FileDigest],
) -> Verification:
    """Add what the rule asks beyond a signature that holds over these files.

    Statements beside it are judged when they are looked at: a time that is proven of the model's
    signature says nothing of when they were signed.
    """
    if compared.payload is None or not compared.verified:
        return compared
    now = replace(asked, when=None if asked.when is None else asked.when.unstamped)
    found = (
        *compared.objections,
        *object_to_claims(asked, rule, compared.payload, presented),
        *object_to_papers(now, rule, presented.papers, files, compared.payload),
    )
    return replace(compared, objections=found)


def judge(
    asked: Asked, presented: Presented, measured: Measured, files: Sequence[FileDigest]
) -> Verification:
    """Return what comes of a model's signature under a trust policy: an identity, or objections.

    ``measured`` are the files as the signer hashed them, ``files`` by SHA-256.
    """
    against = object_to_policy(asked, presented.standing)
    rule = asked.rule
    if rule is None or any(item.grade is Grade.ERROR for item in against):
        return Verification(against)
    if presented.bundle is None:
        unsigned = Objection(Code.UNSIGNED, "the audit names no signature")
        return Verification((*against, unsigned))
    timed, doubts = stamp(asked, presented)
    opened = open_by_rule(timed, rule, presented.bundle)
    compared = compare(opened, measured)
    found = conclude(timed, rule, compared, presented, files)
    return replace(found, objections=(*against, *doubts, *found.objections))
