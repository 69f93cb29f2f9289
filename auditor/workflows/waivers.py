"""Verifies the signed waivers of an audit against the keys that may waive."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.auditfiles import AuditFile
from auditor.domain.trust_context import TrustPolicyStatus
from auditor.domain.waivers import SignedWaiver
from auditor.errors import WaiverError
from auditor.inputs.resolve import Locate, resolve_setting_path
from auditor.trust.keys.files import load_public_key
from auditor.trust.policies.auditors import find_auditor
from auditor.trust.policies.query import QueryTime
from auditor.trust.policies.trust_policy import AuditorRole, TrustPolicy
from auditor.trust.policy_files import load_trust_policy
from auditor.trust.signatures.decisions import ANOTHER_KEY, open_waiver, verify_waiver

MOST_BYTES = 2**20
WHO = (
    "Name the public key of the approver (`waiver_keys` in the audit file, or --waiver-key), or "
    "give it the role waiver in the trust policy."
)


@dataclass(frozen=True, slots=True)
class WaiverSources:
    """Files of signed waivers, and the public keys (as PEM) that may waive."""

    files: tuple[Path, ...]
    keys: tuple[bytes, ...]


def verify_waivers(waiving: WaiverSources) -> tuple[SignedWaiver, ...]:
    """Return the waivers whose signatures hold under a key that may waive.

    Raises ``WaiverError`` for a file that is none, that no such key signed, or that stands twice.
    """
    found: dict[str, SignedWaiver] = {}
    for path in waiving.files:
        name = path.name
        try:
            with path.open("rb") as file:
                raw = file.read(MOST_BYTES + 1)
        except OSError as error:
            raise WaiverError(
                f"the waiver {name} cannot be read: {error.strerror}",
                cure="Name a file that `auditor waive --out` wrote.",
            ) from None
        if len(raw) > MOST_BYTES:
            raise WaiverError(f"{name} is too large for a waiver", cure="Name another file.")
        signed = _signed(raw, name, waiving.keys)
        before = found.setdefault(signed.ref.waiver, signed)
        if before is not signed:
            raise WaiverError(
                f"{name} says the same as {before.ref.file}", cure="Name each waiver once."
            )
    return tuple(found.values())


def _locate_each(
    file: AuditFile, setting: str, named: Sequence[str | Path], locate: Locate
) -> tuple[Path, ...]:
    return tuple(
        it
        if isinstance(it, Path)
        else resolve_setting_path(file, (setting, at), it, locate, error=WaiverError)
        for at, it in enumerate(named)
    )


def stage_waivers(file: AuditFile, locate: Locate) -> tuple[SignedWaiver, ...]:
    """Read the waivers that an audit file and its caller name.

    Whether a trust policy's keys count by now, is asked where the time is known.
    """
    # Those of the file itself are refused where it is read
    if file.model.trust is not None and any(isinstance(it, Path) for it in file.waiver_keys):
        raise WaiverError(
            f"{file.source}: keys of waivers are named beside model.trust, and only one of them "
            "can say who may waive",
            cure="Keep one of the two; the trust policy's auditors of the role waiver may.",
        )
    files = _locate_each(file, "waivers", file.waivers, locate)
    if not files:
        return ()
    keys = _locate_each(file, "waiver_keys", file.waiver_keys, locate)
    pems = [load_public_key(path).pem for path in keys]
    if file.model.trust is not None:
        pems += list_waiver_keys(load_trust_policy(locate(file.model.trust)).policy)
    return verify_waivers(WaiverSources(files, tuple(pems)))


def list_waiver_keys(policy: TrustPolicy) -> Iterator[bytes]:
    """Yield the public keys that a trust policy lets sign waivers."""
    yield from (item.key.pem for item in policy.auditors if AuditorRole.WAIVER in item.roles)


def refuse_untrusted_waivers(
    waivers: Iterable[SignedWaiver],
    policy: TrustPolicy,
    when: QueryTime,
    standing: TrustPolicyStatus,
) -> None:
    """Raise ``WaiverError`` for a waiver of a key that a trust policy does not let waive now."""
    for item in waivers:
        found = find_auditor(policy, item.bundle, when, standing=standing, role=AuditorRole.WAIVER)
        if found.auditor is None:
            raise WaiverError(
                f"{item.ref.file} does not count: {'; '.join(found.mistakes)}",
                cure=f"It needs the signature of an auditor with the role {AuditorRole.WAIVER} in "
                f"{policy}.",
            )


def _signed(bundle: bytes, name: str, keys: Sequence[bytes]) -> SignedWaiver:
    refusals = []
    for key in keys:
        try:
            return verify_waiver(bundle, key, name)
        except WaiverError as error:
            refusals.append(error)
    if not keys:
        waiver = open_waiver(bundle, name)
        raise WaiverError(f"{name} is {waiver}, and no key for waivers is named", cure=WHO)
    broken = [item for item in refusals if ANOTHER_KEY not in item.problem]
    if broken:
        raise broken[0]
    raise WaiverError(f"{name} is not signed by any of the {len(keys)} keys for waivers", cure=WHO)
