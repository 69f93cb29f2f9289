"""What contradicts itself in a trust policy: two rules for one model, two uses of one key."""

from itertools import combinations, product

from auditor.trusting.fields import Fields
from auditor.trusting.globs import common
from auditor.trusting.policies import ModelRule, TrustPolicy


def refuse_conflicts(policy: TrustPolicy, top: Fields) -> None:
    """Raise ``TrustPolicyError`` where two parts of a policy cannot both be meant."""
    _refuse_two_rules(policy, top)
    _refuse_two_roles(policy, top)


def _refuse_two_rules(policy: TrustPolicy, top: Fields) -> None:
    for one, other in combinations(policy.rules, 2):
        model, version = _both(one, other)
        if model is not None and version is not None:
            top.refuse(
                f"is for a model such as {model!r} {version!r} too, for which {one} is",
                "Let no two rules be for one model: narrow models or versions, or join the rules.",
                *("rules", other.place),
            )


def _both(one: ModelRule, other: ModelRule) -> tuple[str | None, str | None]:
    """Return a name and a version for which both rules are. Tags narrow, and tell no two apart:
    they are the word of who hands the model over, and leaving one out must lead to no other rule.
    """
    models = (common(*pair) for pair in product(one.models, other.models))
    versions = (common(*pair) for pair in product(one.versions, other.versions))
    return (
        next((item for item in models if item is not None), None),
        next((item for item in versions if item is not None), None),
    )


def _refuse_two_roles(policy: TrustPolicy, top: Fields) -> None:
    """Refuse a key under two names, and one that signs models and the audits of them."""
    owners: dict[bytes, str] = {}
    for name, key in policy.keys.items():
        if key.pem in owners:
            top.refuse(
                f"is the same key as {owners[key.pem]}", "Name each key once.", *("keys", name)
            )
        owners[key.pem] = name
    if policy.next_owner in owners:
        top.refuse(
            f"is {owners[policy.next_owner]}, which the policy lets sign what it judges",
            "Give the next owner a pair of its own.",
            *("metadata", "next_owner"),
        )
    named = [item.name for item in policy.auditors]
    signers = {
        signer.key for rule in policy.rules for item in rule.require for signer in item.any_of
    }
    for place, name in enumerate(named):
        if name in named[:place]:
            top.refuse(f"names {name} a second time", "Join its roles.", "auditors", place)
        if name in signers:
            top.refuse(
                f"lets {name} sign records, and a rule lets it sign models",
                "Give each its own key: who signs the model must not vouch for its audit.",
                *("auditors", place),
            )
