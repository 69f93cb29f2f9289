"""How a trust policy stands to those that were accepted before, and when it ends."""

from collections.abc import Iterator, Sequence

from auditor.clock import written
from auditor.domain.trust import Standing, TrustRef
from auditor.signatures.objections import Code, Grade, Objection
from auditor.trusting.asking import When
from auditor.trusting.policies import TrustPolicy


def standing_of(policy: TrustRef, accepted: Sequence[TrustRef]) -> Standing:
    """Return how a policy stands to all of its name that were accepted, in any order."""
    if not accepted:
        return Standing.UNKNOWN
    newest = max(item.version for item in accepted)
    if policy.version > newest:
        return Standing.NEWER
    if policy.version < newest:
        return Standing.OLDER
    digests = {item.digest for item in accepted if item.version == newest}
    return Standing.ACCEPTED if digests == {policy.digest} else Standing.CHANGED


def object_to_standing(policy: TrustRef, standing: Standing) -> Iterator[Objection]:
    """Yield what speaks against a policy that stands so."""
    said = f"the trust policy {policy.name} {policy.version}"
    match standing:
        case Standing.ACCEPTED:
            return
        case Standing.UNKNOWN:
            text = f"nobody accepted {said} on this machine (auditor trust accept)"
            yield Objection(Code.POLICY_UNACCEPTED, text, Grade.WARNING)
        case Standing.NEWER:
            text = f"{said} is newer than the accepted one (auditor trust accept)"
            yield Objection(Code.POLICY_UNACCEPTED, text)
        case Standing.OLDER:
            text = f"{said} is older than one that was accepted"
            yield Objection(Code.POLICY_ROLLBACK, text)
        case Standing.CHANGED:
            text = f"{said} was accepted with another content; a change needs a higher version"
            yield Objection(Code.POLICY_CHANGED, text)


def object_to_end(policy: TrustPolicy, when: When | None) -> Iterator[Objection]:
    """Yield an objection unless the policy still stands when it is looked at."""
    if when is None:
        text = f"nobody says when the trust policy {policy} was looked at"
        yield Objection(Code.POLICY_EXPIRED, text)
    elif when.looked >= policy.expires:
        day = written(policy.expires)
        text = f"the trust policy {policy} ended at {day}, and trusts nobody since"
        yield Objection(Code.POLICY_EXPIRED, text)
