"""Composition root: the one place that chooses the external effects of an audit on this machine."""

import platform
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import replace
from datetime import date
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from auditor import __version__
from auditor._environment import environment_digest
from auditor._resources import code_digest, find_shipped_folder
from auditor.checks.registry import discover_checks
from auditor.domain.artifacts import Artifact
from auditor.domain.auditfiles import AuditFile
from auditor.domain.checks import Check
from auditor.domain.json import Json
from auditor.domain.models import Model
from auditor.domain.policies import Policy
from auditor.domain.records import AuditRecord
from auditor.domain.source_locations import SourceFile, SourceLocations
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Array, Task
from auditor.errors import AuditFileError, PolicyError, RecordError, StoreError
from auditor.inputs.materialize import FetchInput, index_files_by_digest
from auditor.inputs.resolve import Locate
from auditor.inputs.source_lines import find_repository_root, find_source_locations, locate_policy
from auditor.policy.control_catalogues import load_catalogues
from auditor.policy.diff import PolicyDifference, diff_policies
from auditor.policy.explain import RuleExplanation, explain_policy
from auditor.policy.find import find_policy_path
from auditor.policy.lint_remarks import LintRemark
from auditor.policy.load import (
    find_policy_bytes,
    find_policy_source,
    lint_policy_source,
    load_policy,
    load_policy_source,
    read_policy_draft,
)
from auditor.policy.policy_test_reader import read_policy_tests
from auditor.policy.run_policy_tests import PolicyTests
from auditor.reports.folder import RecordFolder
from auditor.store.blobs import BlobStorage
from auditor.targets.callable_model import ModelFunction
from auditor.targets.cascade import join_cascade
from auditor.targets.certifier import open_certifier
from auditor.targets.config import OperatorTargets, read_targets
from auditor.targets.instrumented_model import open_bench
from auditor.targets.row_generator import open_generator
from auditor.targets.session import (
    inspect_artifact,
    open_function,
    open_local_model,
    open_model,
)
from auditor.targets.target_specs import NAMED, find_known_target, resolve_target
from auditor.targets.training_recipe import open_recipe
from auditor.targets.twin import open_twin
from auditor.workflows.engine.target_factory import TargetFactory
from auditor.workflows.prepare import Resolvers

PACKAGES = (
    "adversarial-robustness-toolbox", "cryptography", "dtai-veritas", "numpy", "onnx", "onnx-ad",
    "onnxruntime", "polars", "scipy", "torch",
)  # fmt: skip
NOBODY = OperatorTargets()
"""No operator: nothing that names code is opened."""
OPENERS = TargetFactory(
    inspect=inspect_artifact,
    model=open_model,
    twin=open_twin,
    certifier=open_certifier,
    bench=open_bench,
    cascade=join_cascade,
    recipe=open_recipe,
    generator=open_generator,
)
PLAN_OPENERS = replace(OPENERS, model=open_local_model, recipe=partial(open_recipe, runs=False))
"""Those of a plan: it fetches nothing, and runs no program that a file names."""


def callable_openers(
    functions: Mapping[str, ModelFunction], openers: TargetFactory = OPENERS
) -> TargetFactory:
    """Return openers that also open targets which are Python functions, by the target's name."""

    def opened(
        spec: TargetSpec, folder: Path, artifact: Artifact | None, task: Task, sample: Array
    ) -> AbstractContextManager[Model]:
        if spec.callable is None:
            return openers.model(spec, folder, artifact, task, sample)
        return open_function(functions, spec, task, sample)

    return replace(openers, model=opened)


def describe_tool() -> Mapping[str, Json]:
    """Return what made a record: versions, and a digest of the package's own code."""
    return {
        "name": "auditor",
        "version": __version__,
        "code": code_digest(),
        "environment": environment_digest(),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
    }


def build_resolvers(
    base: Path,
    operator: OperatorTargets = NOBODY,
    *,
    targets: Mapping[str, TargetSpec] | None = None,
) -> Resolvers:
    """Return how names become things; relative policies and ``targets.yaml`` lie in ``base``.

    A target that is not declared there may be one that the ``operator`` declares. Targets may be
    opened on this machine: those that name code, or send secrets, are refused unless the operator
    lets them.
    """
    checks = discover_checks()
    known = operator.nameable(read_targets(base) if targets is None else targets)

    def resolved(asked: str | Mapping[str, Json]) -> TargetSpec:
        return operator.permit_secrets(operator.permit_code(resolve_target(asked, known)))

    return Resolvers(
        resolve_target=resolved,
        load_policy=partial(load_named_policy, base=base, checks=checks),
        checks=checks,
    )


def load_named_policy(name: str, base: Path, checks: Mapping[str, type[Check]]) -> Policy:
    """Load a policy by a pack's name or by path. Raises ``PolicyError``."""
    folder = find_shipped_folder("policies")
    return load_policy_source(
        find_policy_source(name, base, folder), checks, load_catalogues(folder)
    )


def read_named_policy(name: str, base: Path) -> tuple[bytes, str]:
    """Return a policy's bytes and its name in messages. Raises ``PolicyError``."""
    return find_policy_bytes(name, base, find_shipped_folder("policies"))


def locate_sources(path: Path, file: AuditFile) -> SourceLocations:
    """Return where an audit file, and the policy that it is audited by, stand in a repository."""
    return find_source_locations(
        path, file.raw, find_policy_path(file.policy, path.parent, find_shipped_folder("policies"))
    )


def find_named_policy_file(policy: str, base: Path) -> Path | None:
    """Return the file that a policy's name leads to from a folder; ``None`` for a pack."""
    return find_policy_path(policy, base, find_shipped_folder("policies"))


def locate_policy_source(policy: str, base: Path) -> SourceFile | None:
    """Return where a policy stands in its own repository; ``None`` for a pack."""
    found = find_named_policy_file(policy, base)
    return None if found is None else locate_policy(found, find_repository_root(found.resolve()))


def lint_named_policy(name: str, base: Path, today: date) -> tuple[LintRemark, ...]:
    """Return what is wrong or doubtful in a policy. Raises ``PolicyError`` when there is none."""
    folder = find_shipped_folder("policies")
    return lint_policy_source(
        find_policy_source(name, base, folder), discover_checks(), load_catalogues(folder), today
    )


def read_named_policy_tests(path: Path) -> PolicyTests:
    """Read a file of policy tests; the policy that it names lies beside it, or is a pack.

    Raises ``PolicyError``.
    """
    checks = discover_checks()
    named = partial(load_named_policy, base=path.parent, checks=checks)
    try:
        return read_policy_tests(path.read_bytes(), path.name, named, checks)
    except OSError as error:
        raise PolicyError(
            f"{path} cannot be read: {error.strerror}",
            cure="Name a file of policy tests; docs/policy-tests.md says how to write one.",
        ) from None


def explain_named_policy(name: str, base: Path, rule: str | None) -> tuple[RuleExplanation, ...]:
    """Explain a policy, or one of its rules. Raises ``PolicyError``."""
    checks = discover_checks()
    policy = load_named_policy(name, base, checks)
    return explain_policy(policy, checks, load_catalogues(find_shipped_folder("policies")), rule)


def diff_named_policies(old: str, new: str, base: Path) -> PolicyDifference:
    """Hold a policy against an older one, or one that it was made after. Raises ``PolicyError``."""
    folder = find_shipped_folder("policies")
    checks, catalogues = discover_checks(), load_catalogues(folder)
    was, now = (
        read_policy_draft(find_policy_source(name, base, folder), checks, catalogues)
        for name in (old, new)
    )
    return diff_policies(was, now)


def build_record_resolvers(record: AuditRecord, folder: RecordFolder) -> Resolvers:
    """Return readers under which names mean what they meant when a record was made."""
    checks = discover_checks()
    catalogues = load_catalogues(find_shipped_folder("policies"))
    raw = folder.evidence(record.request.policy.digest)
    reference = record.request.reference
    named = (*record.request.targets, *(() if reference is None else (reference,)))
    known = {**NAMED, **{place.name: place for spec in named for place in spec.places}}
    return Resolvers(
        resolve_target=partial(resolve_target, known=known),
        load_policy=lambda name: load_policy(raw, name, checks, catalogues),
        checks=checks,
    )


def build_service_resolvers(targets: Mapping[str, TargetSpec]) -> Callable[[bytes], Resolvers]:
    """Return readers for the document of a policy, under which targets are the service's own."""
    checks = discover_checks()
    catalogues = load_catalogues(find_shipped_folder("policies"))
    known = {**NAMED, **targets}

    def under(policy: bytes) -> Resolvers:
        return Resolvers(
            resolve_target=partial(find_known_target, known=known),
            load_policy=lambda name: load_policy(policy, name, checks, catalogues),
            checks=checks,
        )

    return under


def build_input_finder(blobs: BlobStorage, inputs: Path | None) -> FetchInput:
    """Return how a record's inputs are found: in the folder ``inputs``, or among the blobs."""
    found = {} if inputs is None else index_files_by_digest(inputs)

    def fetch(digest: str) -> bytes:
        if digest in found:
            return found[digest].read_bytes()
        try:
            return blobs.get(digest)
        except StoreError:
            raise RecordError(
                f"the input {digest} is neither in the store nor in a folder given",
                cure="Name the folder in which the record's inputs lie with --inputs.",
            ) from None

    return fetch


def build_path_resolver(path: Path) -> Locate:
    """Return how paths in an audit file are found: relative to it; absolute ones hold too."""
    return lambda written: path.parent / written


def read_audit_bytes(path: Path) -> bytes:
    """Return an audit file's bytes. Raises ``AuditFileError``."""
    if path.suffix.lower() == ".onnx" and path.is_file():
        raise AuditFileError(
            f"{path} is a model, not an audit file",
            cure=f"Write an audit file for it: auditor init {path} --data FILE.",
        )
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
