"""The one place where parts meet: which edges an audit on this machine uses."""

import platform
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from auditor import __version__
from auditor.checks.discovery import discover
from auditor.datasets.files import Locate
from auditor.domain.canonical import Json
from auditor.domain.checks import Check
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.targets import TargetSpec
from auditor.engines.openers import Openers
from auditor.environments import environment_digest
from auditor.errors import AuditFileError, RecordError, StoreError
from auditor.folders import RecordFolder
from auditor.packs.catalogues import load_catalogues
from auditor.packs.folders import find_policy
from auditor.packs.loading import lint_policy, load_policy
from auditor.packs.remarks import Remark
from auditor.preparing import Readers
from auditor.reproducing import FetchInput, gather
from auditor.shipped import code_digest, shipped
from auditor.signing.keys import load_public_key
from auditor.signing.ledger_keys import load_note_key
from auditor.store.blobs import BlobStore
from auditor.targetfiles import read_targets
from auditor.targets.benches import open_bench
from auditor.targets.cascades import join_cascade
from auditor.targets.certifying import open_certifier
from auditor.targets.generators import open_generator
from auditor.targets.opening import inspect_artifact, open_model
from auditor.targets.recipes import open_recipe
from auditor.targets.resolving import NAMED, resolve_target
from auditor.targets.twins import open_twin
from auditor.verifying import Verifier

PACKAGES = (
    "adversarial-robustness-toolbox", "cryptography", "dtai-veritas", "numpy", "onnx", "onnx-ad",
    "onnxruntime", "polars", "scipy", "torch",
)  # fmt: skip
OPENERS = Openers(
    inspect=inspect_artifact,
    model=open_model,
    twin=open_twin,
    certifier=open_certifier,
    bench=open_bench,
    cascade=join_cascade,
    recipe=open_recipe,
    generator=open_generator,
)


def now() -> str:
    """Return the time in UTC, to the second, as RFC 3339 has it."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def tool() -> Mapping[str, Json]:
    """Return what made a record: versions, and a digest of the package's own code."""
    return {
        "name": "auditor",
        "version": __version__,
        "code": code_digest(),
        "environment": environment_digest(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def readers(base: Path, *, targets: Mapping[str, TargetSpec] | None = None) -> Readers:
    """Return how names become things; relative policies and ``targets.yaml`` lie in ``base``."""
    checks = discover()
    known = read_targets(base) if targets is None else {**NAMED, **targets}
    return Readers(
        resolve_target=partial(resolve_target, known=known),
        load_policy=partial(policy_named, base=base, checks=checks),
        checks=checks,
    )


def policy_named(name: str, base: Path, checks: Mapping[str, type[Check]]) -> Policy:
    """Load a policy by a pack's name or by path. Raises ``PolicyError``."""
    raw, source = policy_bytes(name, base)
    return load_policy(raw, source, checks, load_catalogues(shipped("policies")))


def policy_bytes(name: str, base: Path) -> tuple[bytes, str]:
    """Return a policy's bytes and its name in messages. Raises ``PolicyError``."""
    return find_policy(name, base, shipped("policies"))


def lint_named(name: str, base: Path) -> tuple[Remark, ...]:
    """Return what is wrong or doubtful in a policy. Raises ``PolicyError`` when there is none."""
    raw, source = policy_bytes(name, base)
    return lint_policy(raw, source, discover(), load_catalogues(shipped("policies")))


def readers_of(record: AuditRecord, folder: RecordFolder) -> Readers:
    """Return readers under which names mean what they meant when a record was made."""
    checks = discover()
    catalogues = load_catalogues(shipped("policies"))
    raw = folder.evidence(record.request.policy.digest)
    reference = record.request.reference
    named = (*record.request.targets, *(() if reference is None else (reference,)))
    known = {**NAMED, **{place.name: place for spec in named for place in spec.places}}
    return Readers(
        resolve_target=partial(resolve_target, known=known),
        load_policy=lambda name: load_policy(raw, name, checks, catalogues),
        checks=checks,
    )


def fetch_from(blobs: BlobStore, inputs: Path | None) -> FetchInput:
    """Return how a record's inputs are found: in the folder ``inputs``, or among the blobs."""
    found = {} if inputs is None else gather(inputs)

    def fetch(digest: str) -> bytes:
        if digest in found:
            return found[digest].read_bytes()
        try:
            return blobs.get(digest)
        except StoreError:
            raise RecordError(
                f"the input {digest} is neither in {blobs.root} nor in a folder given",
                cure="Name the folder in which the record's inputs lie with --inputs.",
            ) from None

    return fetch


def verifier(
    key: Path | bytes, ledger: Path | None = None, witnesses: tuple[Path, ...] = ()
) -> Verifier:
    """Return what verifying needs with a public key (a file, or PEM), and those of a ledger."""
    checks = discover()
    catalogues = load_catalogues(shipped("policies"))
    return Verifier(
        checks=checks,
        load_policy=lambda raw, source: load_policy(raw, source, checks, catalogues),
        key=key if isinstance(key, bytes) else load_public_key(key).pem,
        code=code_digest(),
        ledger=None if ledger is None else load_note_key(ledger),
        witnesses=tuple(load_note_key(path) for path in witnesses),
    )


def beside(path: Path) -> Locate:
    """Return how paths in an audit file are found: relative to it; absolute ones hold too."""
    return lambda written: path.parent / written


def read_audit_bytes(path: Path) -> bytes:
    """Return an audit file's bytes. Raises ``AuditFileError``."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise AuditFileError(
            f"{path} cannot be read: {error.strerror}",
            cure="Name an audit file; `auditor init MODEL --data FILE` writes one.",
        ) from None


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
