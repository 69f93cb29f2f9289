"""The one place where parts meet: which edges an audit on this machine uses."""

import platform
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from auditor import __version__
from auditor.checks.discovery import discover
from auditor.domain.auditfiles import AuditFile
from auditor.domain.canonical import Json
from auditor.domain.checks import Check
from auditor.domain.places import PlacedFile, Places
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.targets import TargetSpec
from auditor.engines.openers import Openers
from auditor.environments import environment_digest
from auditor.errors import AuditFileError, PolicyError, RecordError, StoreError
from auditor.folders import RecordFolder
from auditor.laying import FetchInput
from auditor.packs.cases.cases import PolicyTests
from auditor.packs.cases.reading import read_tests
from auditor.packs.catalogues import load_catalogues
from auditor.packs.differing import PolicyDifference, differences
from auditor.packs.explaining import Explained, explain
from auditor.packs.folders import find_policy, find_written, policy_path
from auditor.packs.loading import lint_written, load_policy, load_written, read_draft
from auditor.packs.remarks import Remark
from auditor.placing import place_policy, places_of, repository_root
from auditor.pointing import Locate
from auditor.preparing import Readers
from auditor.reproducing import gather
from auditor.shipped import code_digest, shipped
from auditor.store.blob_seam import Blobs
from auditor.targetfiles import OperatorTargets, read_targets
from auditor.targets.benches import open_bench
from auditor.targets.cascades import join_cascade
from auditor.targets.certifying import open_certifier
from auditor.targets.generators import open_generator
from auditor.targets.opening import inspect_artifact, open_model, open_model_at_hand
from auditor.targets.recipes import open_recipe
from auditor.targets.resolving import NAMED, known_target, resolve_target
from auditor.targets.twins import open_twin

PACKAGES = (
    "adversarial-robustness-toolbox", "cryptography", "dtai-veritas", "numpy", "onnx", "onnx-ad",
    "onnxruntime", "polars", "scipy", "torch",
)  # fmt: skip
NOBODY = OperatorTargets()
"""No operator: nothing that names code is opened."""
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
PLAN_OPENERS = replace(OPENERS, model=open_model_at_hand, recipe=partial(open_recipe, runs=False))
"""Those of a plan: it fetches nothing, and runs no program that a file names."""


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


def readers(
    base: Path,
    operator: OperatorTargets = NOBODY,
    *,
    targets: Mapping[str, TargetSpec] | None = None,
) -> Readers:
    """Return how names become things; relative policies and ``targets.yaml`` lie in ``base``.

    A target that is not declared there may be one that the ``operator`` declares. Targets may be
    opened on this machine: those that name code, or send secrets, are refused unless the operator
    lets them.
    """
    checks = discover()
    known = operator.nameable(read_targets(base) if targets is None else targets)

    def resolved(asked: str | Mapping[str, Json]) -> TargetSpec:
        return operator.permit_secrets(operator.permit_code(resolve_target(asked, known)))

    return Readers(
        resolve_target=resolved,
        load_policy=partial(policy_named, base=base, checks=checks),
        checks=checks,
    )


def policy_named(name: str, base: Path, checks: Mapping[str, type[Check]]) -> Policy:
    """Load a policy by a pack's name or by path. Raises ``PolicyError``."""
    folder = shipped("policies")
    return load_written(find_written(name, base, folder), checks, load_catalogues(folder))


def policy_bytes(name: str, base: Path) -> tuple[bytes, str]:
    """Return a policy's bytes and its name in messages. Raises ``PolicyError``."""
    return find_policy(name, base, shipped("policies"))


def written_at(path: Path, file: AuditFile) -> Places:
    """Return where an audit file, and the policy that it is audited by, stand in a repository."""
    return places_of(path, file.raw, policy_path(file.policy, path.parent, shipped("policies")))


def policy_file(policy: str, base: Path) -> Path | None:
    """Return the file that a policy's name leads to from a folder; ``None`` for a pack."""
    return policy_path(policy, base, shipped("policies"))


def policy_written_at(policy: str, base: Path) -> PlacedFile | None:
    """Return where a policy stands in its own repository; ``None`` for a pack."""
    found = policy_file(policy, base)
    return None if found is None else place_policy(found, repository_root(found.resolve()))


def lint_named(name: str, base: Path, today: date) -> tuple[Remark, ...]:
    """Return what is wrong or doubtful in a policy. Raises ``PolicyError`` when there is none."""
    folder = shipped("policies")
    return lint_written(
        find_written(name, base, folder), discover(), load_catalogues(folder), today
    )


def policy_tests(path: Path) -> PolicyTests:
    """Read a file of policy tests; the policy that it names lies beside it, or is a pack.

    Raises ``PolicyError``.
    """
    checks = discover()
    named = partial(policy_named, base=path.parent, checks=checks)
    try:
        return read_tests(path.read_bytes(), path.name, named, checks)
    except OSError as error:
        raise PolicyError(
            f"{path} cannot be read: {error.strerror}",
            cure="Name a file of policy tests; docs/policy-tests.md says how to write one.",
        ) from None


def explained(name: str, base: Path, rule: str | None) -> tuple[Explained, ...]:
    """Explain a policy, or one of its rules. Raises ``PolicyError``."""
    checks = discover()
    policy = policy_named(name, base, checks)
    return explain(policy, checks, load_catalogues(shipped("policies")), rule)


def policy_difference(old: str, new: str, base: Path) -> PolicyDifference:
    """Hold a policy against an older one, or one that it was made after. Raises ``PolicyError``."""
    folder = shipped("policies")
    checks, catalogues = discover(), load_catalogues(folder)
    was, now = (
        read_draft(find_written(name, base, folder), checks, catalogues) for name in (old, new)
    )
    return differences(was, now)


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


def served_readers(targets: Mapping[str, TargetSpec]) -> Callable[[bytes], Readers]:
    """Return readers for the document of a policy, under which targets are the service's own."""
    checks = discover()
    catalogues = load_catalogues(shipped("policies"))
    known = {**NAMED, **targets}

    def under(policy: bytes) -> Readers:
        return Readers(
            resolve_target=partial(known_target, known=known),
            load_policy=lambda name: load_policy(policy, name, checks, catalogues),
            checks=checks,
        )

    return under


def fetch_from(blobs: Blobs, inputs: Path | None) -> FetchInput:
    """Return how a record's inputs are found: in the folder ``inputs``, or among the blobs."""
    found = {} if inputs is None else gather(inputs)

    def fetch(digest: str) -> bytes:
        if digest in found:
            return found[digest].read_bytes()
        try:
            return blobs.get(digest)
        except StoreError:
            raise RecordError(
                f"the input {digest} is neither in {blobs.name} nor in a folder given",
                cure="Name the folder in which the record's inputs lie with --inputs.",
            ) from None

    return fetch


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
