"""Take the signed waivers that an audit is given, and hold each against the keys that may waive."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.auditfiles import AuditFile
from auditor.domain.trust import Standing
from auditor.domain.waivers import SignedWaiver
from auditor.errors import WaiverError
from auditor.pointing import Locate, there
from auditor.signatures.decisions import ANOTHER_KEY, open_waiver, verify_waiver
from auditor.signing.keys import load_public_key
from auditor.trustfiles import load_trust_policy
from auditor.trusting.asking import When
from auditor.trusting.auditors import auditor_of
from auditor.trusting.policies import Role, TrustPolicy

MOST_BYTES = 2**20
WHO = (
    "Name the public key of who may waive (`waiver_keys` in the audit file, or --waiver-key), or "
    "give it the role waiver in the trust policy."
)


@dataclass(frozen=True, slots=True)
class Waiving:
    """Files of signed waivers, and the public keys (as PEM) that may waive."""

    files: tuple[Path, ...]
    keys: tuple[bytes, ...]


def granted(waiving: Waiving) -> tuple[SignedWaiver, ...]:
    """Return the waivers whose signatures hold under a key that may waive.

    Raises ``WaiverError`` for a file that is none, that no such key signed, or that stands twice.
    """
    found: dict[str, SignedWaiver] = {}
    for path in waiving.files:
        name = path.name
        signed = _signed(_read(path, name), name, waiving.keys)
        before = found.setdefault(signed.ref.waiver, signed)
        if before is not signed:
            raise WaiverError(
                f"{name} says the same as {before.ref.file}", cure="Name each waiver once."
            )
    return tuple(found.values())


def stage_waivers(
    file: AuditFile, locate: Locate, files: Sequence[Path] = (), keys: Sequence[Path] = ()
) -> tuple[SignedWaiver, ...]:
    """Read the waivers that an audit file names, and those of the command line (``files``).

    Whether a trust policy's keys count by now, is asked where the time is known.
    """
    if file.model.trust is not None and keys:  # its own are refused where it is read
        raise WaiverError(
            f"{file.source}: keys of waivers are named beside model.trust, and only one of them "
            "can say who may waive",
            cure="Keep one of the two; the trust policy's auditors of the role waiver may.",
        )
    own = (
        there(file, ("waivers", at), written, locate, error=WaiverError)
        for at, written in enumerate(file.waivers)
    )
    every = (*own, *files)
    if not every:
        return ()
    named = (
        there(file, ("waiver_keys", at), written, locate, error=WaiverError)
        for at, written in enumerate(file.waiver_keys)
    )
    paths = [*named, *keys]
    pems = [load_public_key(path).pem for path in paths]
    if file.model.trust is not None:
        pems += waiver_keys_of(load_trust_policy(locate(file.model.trust)).policy)
    return granted(Waiving(every, tuple(pems)))


def waiver_keys_of(policy: TrustPolicy) -> Iterator[bytes]:
    """Yield the public keys that a trust policy lets sign waivers."""
    yield from (item.key.pem for item in policy.auditors if Role.WAIVER in item.roles)


def refuse_untrusted(
    waivers: Iterable[SignedWaiver], policy: TrustPolicy, when: When, standing: Standing
) -> None:
    """Raise ``WaiverError`` for a waiver of a key that a trust policy does not let waive now."""
    for item in waivers:
        found = auditor_of(policy, item.bundle, when, standing=standing, role=Role.WAIVER)
        if found.auditor is None:
            raise WaiverError(
                f"{item.ref.file} does not count: {'; '.join(found.mistakes)}",
                cure=f"Let an auditor sign it whom {policy} gives the role {Role.WAIVER}.",
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
        raise WaiverError(f"{name} is {waiver}, and nobody says who may waive", cure=WHO)
    broken = [item for item in refusals if ANOTHER_KEY not in item.problem]
    if broken:
        raise broken[0]
    raise WaiverError(f"{name} is signed by none of the {len(keys)} keys that may waive", cure=WHO)


def _read(path: Path, name: str) -> bytes:
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
    return raw
