"""Whom a trust policy believes as an auditor, for what, and how high an assurance of theirs."""

from dataclasses import dataclass

from auditor.domain.trust import Standing
from auditor.signatures.objections import Code, Grade, Objection
from auditor.signatures.opening import open_bundle
from auditor.signatures.trust import Trusted
from auditor.trusting.asking import When
from auditor.trusting.policies import Auditor, Role, TrustPolicy
from auditor.trusting.standings import object_to_end, object_to_standing


@dataclass(frozen=True, slots=True)
class Vouched:
    """The auditor whose signature holds, if there is one, and what speaks against it or beside."""

    auditor: Auditor | None
    objections: tuple[Objection, ...] = ()

    @property
    def mistakes(self) -> tuple[str, ...]:
        """The objections that are errors, with their codes."""
        return tuple(
            f"{item.code}: {item.text}" for item in self.objections if item.grade is Grade.ERROR
        )


def auditor_of(
    policy: TrustPolicy,
    bundle: bytes,
    when: When,
    *,
    standing: Standing = Standing.UNKNOWN,
    role: Role = Role.RECORD,
) -> Vouched:
    """Return which auditor signed a bundle in a role. What was signed, the caller looks at."""
    against = [*object_to_standing(policy.ref, standing), *object_to_end(policy, when)]
    if any(item.grade is Grade.ERROR for item in against):
        return Vouched(None, tuple(against))
    refusals: list[Objection] = []
    for item in policy.auditors:
        trusted = Trusted(keys=(item.key,), revoked=policy.revoked)
        found = open_bundle(bundle, trusted, moment=when.moment)
        if found.verified and role in item.roles:
            return Vouched(item, (*against, *found.objections))
        if found.verified:
            text = f"{item.name} signed it, whom the trust policy does not give the role {role}"
            refusals.append(Objection(Code.AUDITOR, text))
        elif not set(found.codes) & {Code.KEY, Code.SIGNATURE}:
            refusals += found.objections
    text = f"no auditor of the trust policy {policy} signed it"
    return Vouched(None, (*against, *(refusals or [Objection(Code.AUDITOR, text)])))
