"""Tells a policy pack from another policy that calls itself by the name of the pack."""

from collections.abc import Mapping
from functools import cache
from typing import cast

from auditor._resources import find_shipped_folder
from auditor.domain.confusable_names import fold_name, quote_name
from auditor.domain.json import digest_json
from auditor.domain.requests import PolicyRef
from auditor.policy.find import list_pack_names
from auditor.policy.inherit import merge_policy_chain
from auditor.policy.load import find_policy_source

NOT_THE_PACK = "is not the pack of that name"


def explain_pack_name(policy: PolicyRef) -> str:
    """Say that a policy has the name of a pack and is not the pack that comes with auditor.

    Nothing for a pack, and for a policy of another name. A pack of another version of auditor is
    not at hand, so that a policy of the pack's name and another version may be one.
    """
    alike = fold_name(policy.name)
    name = next((it for it in _list_names() if fold_name(it) == alike), None)
    pack = None if name is None else read_pack_identity(name)
    if pack is None or pack.digest == policy.digest:
        return ""
    calls = f"The policy calls itself {quote_name(f'{policy.name} {policy.version}')}"
    if (policy.name, policy.version) == (pack.name, pack.version):
        return (
            f"{calls} but {NOT_THE_PACK} in this version of auditor: its content differs. "
            "Read its rules before you rely on the name."
        )
    return (
        f"{calls}. This version of auditor has the pack {pack.name} {pack.version}, and cannot "
        "tell whether this policy is another version of the pack or only has its name."
    )


def name_policy(policy: PolicyRef) -> str:
    """Name a policy; a free name is quoted, with the word that it is none of auditor's packs."""
    named, doubt = f"{policy.name} {policy.version}", explain_pack_name(policy)
    if _is_pack(policy):
        return named
    unsure = doubt and NOT_THE_PACK not in doubt
    return quote_name(named) if unsure else f"{quote_name(named)} (not a pack of auditor)"


def _is_pack(policy: PolicyRef) -> bool:
    return policy.name in _list_names() and read_pack_identity(policy.name).digest == policy.digest


@cache
def read_pack_identity(name: str) -> PolicyRef:
    """Return the name, version and digest of a pack, which stands by itself."""
    folder = find_shipped_folder("policies")
    content = merge_policy_chain(find_policy_source(name, folder, folder)).document.content
    about = cast("Mapping[str, str]", content["metadata"])
    return PolicyRef(about["name"], about["version"], digest_json(content))


@cache
def _list_names() -> tuple[str, ...]:
    return tuple(list_pack_names(find_shipped_folder("policies")))
