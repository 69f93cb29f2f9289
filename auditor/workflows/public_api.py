"""The functions of the Python API; ``auditor`` offers them under the same names."""

from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from typing import Any
from weakref import finalize

from auditor.domain.checks import Check
from auditor.domain.policies import AssuranceLevel
from auditor.errors import UsageError
from auditor.inputs.api_arguments import (
    Paths,
    StrPath,
    describe_value,
    read_flag,
    read_name,
    read_optional_path,
    read_optional_path_name,
    read_path,
    read_path_name,
    read_paths,
    speak_python,
)
from auditor.inputs.datasets.in_memory import Dataset
from auditor.reports.folder import RecordFolder, refuse_foreign_files
from auditor.reports.formats.bundle_zip import unpack_bundle
from auditor.targets.config import load_operator_targets
from auditor.trust.artifacts.verify import VerificationRequest, verify_artifact
from auditor.trust.keys.files import load_public_key
from auditor.trust.signatures.trusted_signers import TrustedSigners
from auditor.workflows.audit_report import AuditReport, ComparisonReport, PlanReport, StepReport
from auditor.workflows.audit_spec import AuditSpec
from auditor.workflows.compare import compare_verified_folders
from auditor.workflows.decision_rights import DecisionOptions
from auditor.workflows.judge import JudgeOptions, judge_record_folder
from auditor.workflows.progress import AuditProgress, ProgressCallback, choose_progress
from auditor.workflows.record_gate import (
    build_gate_question,
    digest_evaluation_data,
    inspect_record_folder,
    read_baseline_digest,
)
from auditor.workflows.reproduce import reproduce_record_folder
from auditor.workflows.settings import AuditorSettings
from auditor.workflows.verify.timestamps import current_moment
from auditor.workflows.verify.trusted_record import (
    RecordTrustOptions,
    VerifierOptions,
    read_trust_policy_option,
    verify_record_folder,
)
from auditor.workflows.workspace import SigningKey, open_workspace_for


@speak_python
def audit(  # noqa: PLR0913 -- one argument a part of the request
    model: object,
    data: Dataset | StrPath | None = None,
    *,
    training: Dataset | StrPath | None = None,
    policy: StrPath = "baseline",
    budget: str = "ci",
    targets: str | Mapping[str, Any] | Sequence[str | Mapping[str, Any]] = ("cpu",),
    only: str | Sequence[str] = (),
    checks: type[Check] | Sequence[type[Check]] = (),
    seed: int = 7,
    key: SigningKey | None = None,
    progress: bool | ProgressCallback | AuditProgress = True,
    out: StrPath | None = None,
    **settings: Any,  # noqa: ANN401 -- those of ``AuditSpec.build``
) -> AuditReport:
    """Audit a model on this machine, and return the signed report.

    ``model``, ``data`` and all other parts of the request are as ``AuditSpec.build`` takes them;
    ``key``, ``progress`` and ``out`` as ``AuditSpec.audit`` does. Raises an ``AuditorError`` for
    what cannot be used; a check that cannot run or crashes becomes a Gap, which never passes.
    """
    spec = AuditSpec.build(
        model,
        data,
        training=training,
        policy=policy,
        budget=budget,
        targets=targets,
        only=only,
        checks=checks,
        seed=seed,
        **settings,
    )
    return spec.audit(key=key, progress=progress, out=out)


@speak_python
def plan(
    model: object,
    data: Dataset | StrPath | None = None,
    **request: Any,  # noqa: ANN401 -- those of ``AuditSpec.build``
) -> PlanReport:
    """Return by target what an audit costs, what is missing, and which rules it can decide.

    Takes what ``audit`` takes of the request. Opens the model and times a few rows; measures
    nothing, and writes nothing.
    """
    return AuditSpec.build(model, data, **request).plan()


@speak_python
def verify(  # noqa: PLR0913 -- whom to believe, and how far
    path: StrPath,
    *,
    key: StrPath | None = None,
    trust: StrPath | None = None,
    signature: StrPath | None = None,
    ledger_key: StrPath | None = None,
    witness_keys: Paths = (),
    assurance: str = "A0",
) -> StepReport:
    """Verify a record's folder or bundle, or with ``signature`` an artifact, offline.

    ``key`` is the public key (a file) that you trust, ``trust`` a trust policy instead; a record
    must be in the ledger of ``ledger_key`` where that is given, cosigned by ``witness_keys``.
    ``assurance`` is the most that records of ``key`` may claim. The result is true only where every
    step holds. Raises ``UsageError``, ``KeyFileError``, and ``RecordError`` where there is no
    record to look at.
    """
    place, believed = read_path(path, "path"), read_optional_path(key, "key")
    signed, policy = read_optional_path(signature, "signature"), read_optional_path(trust, "trust")
    if signed is not None:
        if believed is None or policy is not None:
            raise UsageError(
                "an artifact is verified here by a public key",
                cure="Give key=… alone; `auditor verify` takes trust policies and certificates.",
            )
        trusted = TrustedSigners.key(load_public_key(believed).pem)
        question = VerificationRequest(trusted, current_moment())
        return StepReport(verify_artifact(place, signed, question))
    asides = VerifierOptions(
        read_optional_path(ledger_key, "ledger_key"),
        read_paths(witness_keys, "witness_keys"),
        highest=_read_assurance(assurance),
    )
    whose = believed, read_trust_policy_option(policy), asides
    with ExitStack() as stack:
        if place.is_file() and place.suffix == ".zip":
            folder = stack.enter_context(unpack_bundle(place))
        elif place.is_dir():
            folder = RecordFolder(place)
        else:
            raise UsageError(
                f"{place} is not a record's folder, nor a bundle.zip of one",
                cure="Name the folder that an audit wrote, or give signature=… for an artifact.",
            )
        return StepReport(verify_record_folder(folder, *whose))


@speak_python
def judge(  # noqa: PLR0913 -- by what, and whom to believe
    folder: StrPath,
    *,
    policy: StrPath | None = None,
    key: StrPath | None = None,
    waivers: Paths = (),
    waiver_keys: Paths = (),
    trust: StrPath | None = None,
    baseline: StrPath | None = None,
    baseline_key: StrPath | None = None,
    signing_key: SigningKey | None = None,
    out: StrPath | None = None,
) -> AuditReport:
    """Judge the record in a folder by another policy or with waivers, into a new signed record.

    Runs no model. The record must verify under the public ``key``, by default your own;
    ``signing_key`` signs the new one. The others are as in ``auditor judge``; ``out`` is a folder
    to save to. Raises ``RecordError``, ``PolicyError``, ``WaiverError`` and ``UsageError``.
    """
    options = JudgeOptions(
        policy=read_optional_path_name(policy, "policy"),
        key=read_optional_path(key, "key"),
        waivers=read_paths(waivers, "waivers"),
        waiver_keys=read_paths(waiver_keys, "waiver_keys"),
        trust=read_optional_path(trust, "trust"),
        baseline=read_optional_path_name(baseline, "baseline"),
        baseline_key=read_optional_path(baseline_key, "baseline_key"),
    )
    old, new = RecordFolder(read_path(folder, "folder")), read_optional_path(out, "out")
    if new is not None:
        refuse_foreign_files(new)
    with ExitStack() as held:
        place = held.enter_context(open_workspace_for(signing_key, "signing_key"))
        done = judge_record_folder(old, options, place)
        report = AuditReport(done.record, done.policy, done.files)
        if place.ephemeral:
            finalize(report, held.pop_all().close)
    if new is not None:
        report.save(new)
    return report


@speak_python
def compare(
    before: StrPath,
    after: StrPath,
    *,
    keys: Paths = (),
    trust: StrPath | None = None,
    assurance: str = "A0",
) -> ComparisonReport:
    """Put two record folders side by side: what moved beyond its interval.

    Both are verified first, by one of the public ``keys`` or by a ``trust`` policy; without either
    the result says that nobody vouches for them. Raises ``RecordError`` where one does not verify,
    or where nothing compares.
    """
    old, new = RecordFolder(read_path(before, "before")), RecordFolder(read_path(after, "after"))
    whose = read_paths(keys, "keys"), read_optional_path(trust, "trust"), _read_assurance(assurance)
    return ComparisonReport(compare_verified_folders(old, new, *whose))


@speak_python
def gate(  # noqa: PLR0913 -- what a gate may be asked
    artifact: StrPath,
    policy: StrPath,
    record: StrPath,
    *,
    key: StrPath | None = None,
    trust: StrPath | None = None,
    assurance: str = "A0",
    ledger_key: StrPath | None = None,
    witness_keys: Paths = (),
    target: str | None = None,
    fingerprint: StrPath | None = None,
    data: StrPath | None = None,
    baseline: StrPath | None = None,
    max_age: str | None = None,
    strict: bool = False,
    require_approval: bool = False,
    approval_keys: Paths = (),
    waiver_keys: Paths = (),
) -> StepReport:
    """Ask whether the folder ``record`` holds a valid, fresh, passing record for exactly these
    bytes of ``artifact`` under exactly this ``policy``.

    The result is true only where the gate opens. Arguments are those of ``auditor gate``:
    ``baseline`` is the record that limits may be taken from, by its folder or its digest,
    ``max_age`` is such as ``30d``. Raises ``UsageError``, ``ArtifactError``, ``PolicyError``,
    ``KeyFileError``, and ``RecordError`` where there is no record to look at.
    """
    whose = RecordTrustOptions(
        read_optional_path(key, "key"),
        read_optional_path(trust, "trust"),
        _read_assurance(assurance),
        read_optional_path(ledger_key, "ledger_key"),
        read_paths(witness_keys, "witness_keys"),
    )
    options = DecisionOptions(
        read_paths(waiver_keys, "waiver_keys"),
        read_paths(approval_keys, "approval_keys"),
        read_flag(require_approval, "require_approval"),
    )
    judged = read_optional_path_name(data, "data")
    folder, shut = RecordFolder(read_path(record, "record")), read_flag(strict, "strict")
    question = build_gate_question(
        read_path(artifact, "artifact"),
        read_path_name(policy, "policy"),
        target=None if target is None else read_name(target, "target", "a target's name"),
        fingerprint=read_optional_path(fingerprint, "fingerprint"),
        max_age=None if max_age is None else read_name(max_age, "max_age", "an age such as '30d'"),
        baseline=read_baseline_digest(read_optional_path_name(baseline, "baseline")),
    )
    looked = inspect_record_folder(folder, question, whose, options, strict=shut)
    if judged is not None:
        looked = looked.held_to(digest_evaluation_data(judged))
    return StepReport(looked.steps)


@speak_python
def reproduce(
    folder: StrPath,
    *,
    inputs: StrPath | None = None,
    allow_recipe: bool = False,
    allow_target_code: bool = False,
    progress: bool | ProgressCallback | AuditProgress = True,
) -> StepReport:
    """Run the request of the record in a folder again, and compare the readings.

    Inputs are found by digest in the folder ``inputs``, else in ``AUDITOR_HOME``. The result is
    true only where all that can be compared agrees; its ``reproduction`` lists what is not
    compared, such as timings, with the figures of both runs. Raises ``RecordError`` for an input
    that is not to be had.
    """
    place, given = read_path(folder, "folder"), read_optional_path(inputs, "inputs")
    shown, recipe = choose_progress(progress), read_flag(allow_recipe, "allow_recipe")
    code = read_flag(allow_target_code, "allow_target_code")
    if given is not None and not given.is_dir():
        raise UsageError(
            f"inputs is {given}, which is not a folder",
            cure="Name the folder in which the record's inputs lie, or remove it.",
        )
    operator = load_operator_targets(place, allow_code=code)
    # Where there is no store, none is made: nothing that this writes would ever be read there.
    own = None if AuditorSettings.from_environment().place.kept else SigningKey.ephemeral()
    with open_workspace_for(own) as workspace:
        found = reproduce_record_folder(
            RecordFolder(place),
            workspace,
            shown,
            operator,
            inputs=given,
            allow_recipe=recipe,
        )
    return StepReport(found.steps, found)


def _read_assurance(name: object) -> AssuranceLevel:
    found = next((it for it in AssuranceLevel if isinstance(name, str) and it.name == name), None)
    if found is None:
        names = ", ".join(it.name for it in AssuranceLevel)
        problem = f"{describe_value(name)} is not an assurance level"
        raise UsageError(problem, cure=f"Name one of {names}.")
    return found
