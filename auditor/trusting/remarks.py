"""What is doubtful in a trust policy that can be read: what it names and nobody uses, and such."""

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from auditor.signatures.keys import read_public_key
from auditor.signatures.profiles import Profile
from auditor.trusting.policies import ModelRule, TrustPolicy

SOON = timedelta(days=30)
LONG = timedelta(days=800)


def remarks(policy: TrustPolicy, now: datetime) -> Iterator[str]:
    """Yield what its owner should look at again, one sentence each."""
    if policy.expires <= now:
        yield f"it ended at {policy.expires:%Y-%m-%d}, and trusts nobody: renew it"
    elif policy.expires - now < SOON:
        yield f"it ends at {policy.expires:%Y-%m-%d}: renew it"
    elif policy.expires - now > LONG:
        yield f"it ends at {policy.expires:%Y-%m-%d}: what was trusted then is stale by then"
    yield from _unused(policy)
    yield from _spent(policy, now)
    for rule in policy.rules:
        yield from _loose(policy, rule)


def _unused(policy: TrustPolicy) -> Iterator[str]:
    signers = [signer for rule in policy.rules for item in rule.require for signer in item.any_of]
    keys = {item.key for item in signers} | {item.name for item in policy.auditors}
    for name in sorted(policy.keys.keys() - keys):
        yield f"keys.{name} is trusted for nothing: name it in a rule, or remove it"
    roots = {item.root for item in signers} | {*policy.clock_roots}
    for name in sorted(policy.roots.keys() - roots):
        yield f"roots.{name} is trusted for nothing: name it in a rule, or remove it"


def _spent(policy: TrustPolicy, now: datetime) -> Iterator[str]:
    for name, key in sorted(policy.keys.items()):
        digest = hashlib.sha256(read_public_key(key.pem).der).hexdigest()
        if digest in policy.revoked:
            yield f"keys.{name} is revoked: name another"
        elif key.not_after is not None and key.not_after < now:
            yield f"keys.{name} ended at {key.not_after:%Y-%m-%d}: name its successor"


def _loose(policy: TrustPolicy, rule: ModelRule) -> Iterator[str]:
    roots = [item.root for item in rule.signature.any_of]
    logged = all(it is not None and policy.roots[it].trusted_root is not None for it in roots)
    if rule.timed and not logged and policy.clocks is None:
        yield (
            f"{rule} asks for a trusted time, and the policy names no clocks: only keyless "
            "signatures bring one along"
        )
    if rule.profile is Profile.COMPAT:
        yield f"{rule} takes older habits of signers (profile: compat)"
    if not rule.signed_name and not policy.bind_versions:
        yield (
            f"{rule} takes any model that its signers ever signed for any other: set signed_name, "
            "or bind_versions"
        )
    if rule.min_version is None:
        yield f"{rule} has no min_version: every old version is trusted as the newest is"
    elif not rule.signed_name:
        yield f"{rule} has a min_version, and no signed_name that proves which version it is"
