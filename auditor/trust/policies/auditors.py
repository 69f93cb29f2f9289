"""Trusted auditors of a trust policy, and checks of policy succession and expiry."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from auditor._time import format_time
from auditor.domain.trust_context import TrustPolicyStatus, TrustRef
from auditor.trust.policies.query import QueryTime
from auditor.trust.policies.trust_policy import AuditorRole, TrustedAuditor, TrustPolicy
from auditor.trust.signatures.trusted_signers import TrustedSigners
from auditor.trust.signatures.verify import open_bundle
from auditor.trust.verification_result import IssueCode, IssueGrade, VerificationIssue


def compare_policy_versions(policy: TrustRef, accepted: Sequence[TrustRef]) -> TrustPolicyStatus:
    """Return how a policy stands to all of its name that were accepted, in any order."""
    if not accepted:
        return TrustPolicyStatus.UNKNOWN
    newest = max(item.version for item in accepted)
    if policy.version > newest:
        return TrustPolicyStatus.NEWER
    if policy.version < newest:
        return TrustPolicyStatus.OLDER
    digests = {item.digest for item in accepted if item.version == newest}
    return TrustPolicyStatus.ACCEPTED if digests == {policy.digest} else TrustPolicyStatus.CHANGED


def find_succession_issues(
    policy: TrustRef, standing: TrustPolicyStatus
) -> Iterator[VerificationIssue]:
    """Yield what speaks against a policy that stands so."""
    said = f"the trust policy {policy.name} {policy.version}"
    match standing:
        case TrustPolicyStatus.ACCEPTED:
            return
        case TrustPolicyStatus.UNKNOWN:
            text = f"nobody accepted {said} on this machine (auditor trust accept)"
            yield VerificationIssue(IssueCode.POLICY_UNACCEPTED, text, IssueGrade.WARNING)
        case TrustPolicyStatus.NEWER:
            text = f"{said} is newer than the accepted one (auditor trust accept)"
            yield VerificationIssue(IssueCode.POLICY_UNACCEPTED, text)
        case TrustPolicyStatus.OLDER:
            text = f"{said} is older than one that was accepted"
            yield VerificationIssue(IssueCode.POLICY_ROLLBACK, text)
        case TrustPolicyStatus.CHANGED:
            text = f"{said} was accepted with another content; a change needs a higher version"
            yield VerificationIssue(IssueCode.POLICY_CHANGED, text)


def find_expiry_issues(policy: TrustPolicy, when: QueryTime | None) -> Iterator[VerificationIssue]:
    """Yield an objection unless the policy still stands when it is looked at."""
    if when is None:
        text = f"nobody says when the trust policy {policy} was looked at"
        yield VerificationIssue(IssueCode.POLICY_EXPIRED, text)
    elif when.looked >= policy.expires:
        day = format_time(policy.expires)
        text = f"the trust policy {policy} ended at {day}, and trusts nobody since"
        yield VerificationIssue(IssueCode.POLICY_EXPIRED, text)


@dataclass(frozen=True, slots=True)
class AuditorMatch:
    """The auditor whose signature holds, if there is one, and what speaks against it or beside."""

    auditor: TrustedAuditor | None
    objections: tuple[VerificationIssue, ...] = ()

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The objections that are errors, with their codes."""
        return tuple(
            f"{item.code}: {item.text}"
            for item in self.objections
            if item.grade is IssueGrade.ERROR
        )


def find_auditor(
    policy: TrustPolicy,
    bundle: bytes,
    when: QueryTime,
    *,
    standing: TrustPolicyStatus = TrustPolicyStatus.UNKNOWN,
    role: AuditorRole = AuditorRole.RECORD,
) -> AuditorMatch:
    """Return which auditor signed a bundle in a role. What was signed, the caller looks at."""
    against = [*find_succession_issues(policy.ref, standing), *find_expiry_issues(policy, when)]
    if any(item.grade is IssueGrade.ERROR for item in against):
        return AuditorMatch(None, tuple(against))
    refusals: list[VerificationIssue] = []
    for item in policy.auditors:
        trusted = TrustedSigners(keys=(item.key,), revoked=policy.revoked)
        found = open_bundle(bundle, trusted, moment=when.moment)
        if found.verified and role in item.roles:
            return AuditorMatch(item, (*against, *found.objections))
        if found.verified:
            text = f"signed by {item.name}, who does not have the role {role} in the trust policy"
            refusals.append(VerificationIssue(IssueCode.AUDITOR, text))
        elif not set(found.codes) & {IssueCode.KEY, IssueCode.SIGNATURE}:
            refusals += found.objections
    text = f"not signed by an auditor of the trust policy {policy}"
    return AuditorMatch(
        None, (*against, *(refusals or [VerificationIssue(IssueCode.AUDITOR, text)]))
    )
