"""Verifies an artifact offline by its signature or a trust policy, and reports each step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from auditor.domain.artifacts import FileDigest
from auditor.domain.verification_steps import StepResult, VerificationStep
from auditor.errors import SignatureFormatError
from auditor.trust.artifacts.files import (
    ArtifactFiles,
    find_artifact_files,
    hash_parts,
    refuse_changed_files,
)
from auditor.trust.artifacts.hash import Advance
from auditor.trust.encoding.strict_json import MOST_BYTES
from auditor.trust.policies.evaluate_signature import (
    apply_rule_demands,
    apply_timestamps,
    find_policy_issues,
    open_model_signature,
)
from auditor.trust.policies.query import ModelAttestations, TrustQuery
from auditor.trust.signatures.model_signing import (
    WHOLE,
    ModelFileDigests,
    ModelSignature,
    compare_manifest,
    open_signature,
)
from auditor.trust.signatures.trusted_signers import TrustedSigners, VerificationTime
from auditor.trust.signatures.verify import verify_keyless
from auditor.trust.verification_result import (
    IssueCode,
    IssueGrade,
    SignatureVerification,
    VerificationIssue,
    VerificationProfile,
)

_BUNDLE, _SIGNATURE, _STATEMENT, _FILES = "bundle", "signature", "statement", "files"
STEPS: Mapping[str, str] = {
    _BUNDLE: "one Sigstore bundle v0.3 with one signature",
    _SIGNATURE: "the signature holds under {identity}",
    _STATEMENT: "a model signature (OpenSSF Model Signing 1.0) whose manifest is sound",
    _FILES: "byte for byte, {count} and no other: {names}",
}
_OF_BUNDLE = frozenset(
    {
        IssueCode.FORMAT,
        IssueCode.TOO_LARGE,
        IssueCode.DUPLICATE_KEY,
        IssueCode.BASE64,
        IssueCode.MEDIA_TYPE,
        IssueCode.PAYLOAD_TYPE,
        IssueCode.UNSUPPORTED,
        IssueCode.SIGNATURE_COUNT,
        IssueCode.CERT_FORMAT,
        IssueCode.LEGACY_KEY,
    }
)
_OF_SIGNATURE = frozenset(
    {
        IssueCode.METHOD_UNTRUSTED,
        IssueCode.KEY,
        IssueCode.KEY_HINT,
        IssueCode.KEY_TIME,
        IssueCode.SIGNATURE,
        IssueCode.LEGACY_PAE,
        IssueCode.REVOKED,
        IssueCode.CERT_ALGORITHM,
        IssueCode.CERT_EXTENSION,
        IssueCode.CERT_CHAIN,
        IssueCode.CERT_ROOT,
        IssueCode.CERT_TIME,
        IssueCode.CERT_ISSUER,
        IssueCode.CERT_CA,
        IssueCode.CERT_KEY_USAGE,
        IssueCode.CERT_EKU,
        IssueCode.CERT_TLS,
        IssueCode.NO_IDENTITY,
        IssueCode.IDENTITY,
        IssueCode.KEYLESS,
    }
)
_OF_FILES = frozenset(
    {
        IssueCode.MISSING_FILE,
        IssueCode.EXTRA_FILE,
        IssueCode.GIT_FILE,
        IssueCode.GIT_ATTRIBUTES,
        IssueCode.DIGEST_MISMATCH,
        IssueCode.UNMEASURED,
    }
)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class VerificationRequest:
    """What to verify by: whom to trust, at which time, how strictly.

    ``beside`` are files that lie with the artifact and were looked at apart, as its timestamps.
    """

    trusted: TrustedSigners
    moment: VerificationTime | None = None
    profile: VerificationProfile = VerificationProfile.STRICT
    beside: tuple[Path, ...] = ()


def verify_artifact(
    artifact: Path, signature: Path, question: VerificationRequest, advance: Advance | None = None
) -> tuple[VerificationStep, ...]:
    """Verify a file or folder against a signature file.

    Raises ``KeyFileError``, ``SignatureFormatError`` or ``ArtifactError`` where something cannot
    be read at all, or a file changes while it is read.
    """
    return describe_verification(
        *inspect_artifact_signature(artifact, signature, question, advance)
    )


def describe_verification(
    found: SignatureVerification, tree: ArtifactFiles
) -> tuple[VerificationStep, ...]:
    """Say what came of verifying these files, step by step."""
    names = ", ".join(list(tree.sizes)[:_SHOWN])
    facts = {
        "identity": found.identity,
        "count": f"{len(tree.sizes)} file" + "s" * (len(tree.sizes) != 1),
        "names": names + ", ..." * (len(tree.sizes) > _SHOWN),
    }
    mistakes: dict[str, list[str]] = {name: [] for name in STEPS}
    doubts: dict[str, list[str]] = {name: [] for name in STEPS}
    for objection in found.objections:
        listed = mistakes if objection.grade is IssueGrade.ERROR else doubts
        if objection.code in _OF_SIGNATURE:
            place = _SIGNATURE
        elif objection.code in _OF_BUNDLE and (
            found.payload is None or objection.code is IssueCode.LEGACY_KEY
        ):
            place = _BUNDLE
        else:
            place = _FILES if objection.code in _OF_FILES else _STATEMENT
        listed[place].append(f"{objection.code.value}: {objection.text}")
    steps: list[VerificationStep] = []
    for name, words in STEPS.items():
        if any(step.result is StepResult.FAILED for step in steps):
            # What an unproven part says is not repeated as if it counted.
            result = VerificationStep(name, StepResult.NOT_CHECKED, "a step before this one failed")
            steps.append(
                result if not mistakes[name] else VerificationStep.of(name, mistakes[name], "")
            )
            continue
        detail = "; ".join([words.format_map(facts), *doubts[name]])
        steps.append(VerificationStep.of(name, mistakes[name], detail))
    return tuple(steps)


def inspect_artifact_signature(
    artifact: Path, signature: Path, question: VerificationRequest, advance: Advance | None = None
) -> tuple[SignatureVerification, ArtifactFiles]:
    """Return what came of verifying, and the files that were looked at.

    Files are hashed only for a signature that holds, and then as its manifest says.
    """
    bundle = read_signature_file(signature)
    opened = open_signature(
        bundle,
        question.trusted,
        moment=question.moment,
        profile=question.profile,
        keyless=verify_keyless,
    )
    return compare_files(artifact, (signature, *question.beside), opened, advance)


def compare_files(
    artifact: Path, apart: Sequence[Path], opened: ModelSignature, advance: Advance | None = None
) -> tuple[SignatureVerification, ArtifactFiles]:
    """Compare the files that are there with what an opened signature says, and hash no others.

    ``apart`` are the signature and what lies beside it that it cannot speak of.
    """
    tree = find_artifact_files(artifact, apart)
    if not opened.verification.verified:
        return opened.verification, tree
    digests = hash_parts(tree, opened.wanted(tree.sizes), opened.how.hash, advance)
    refuse_changed_files(tree)
    return compare_manifest(opened, ModelFileDigests(tree.sizes, digests, opened.how)), tree


def read_signature_file(path: Path) -> bytes:
    """Read a signature file. Raises ``SignatureFormatError`` where there is none to read."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SignatureFormatError(
            f"The signature file {path} cannot be read: {error.strerror}",
            cure="Name the signature file; `auditor sign` makes one, of a trust policy "
            "`auditor trust sign`.",
        ) from None


TRUST, TIMESTAMP, DEMANDS = "trust", "timestamp", "demands"


def verify_by_policy(
    artifact: Path,
    apart: tuple[Path, ...],
    asked: TrustQuery,
    presented: ModelAttestations,
    advance: Advance | None = None,
) -> tuple[VerificationStep, ...]:
    """Verify a file or folder as the rule of a trust policy for its model asks.

    ``apart`` is the signature, and what lies beside it that it cannot speak of. Of ``presented``,
    the bundle is the signature file's. Nothing is looked at where the policy
    trusts nobody for the model. Raises like ``verify_artifact``.
    """
    asked = replace(asked, keyless=verify_keyless)
    against = find_policy_issues(asked, presented.standing)
    trust = _step(TRUST, against, f"{asked.policy}: {asked.rule}")
    rule = asked.rule
    if rule is None or any(item.grade is IssueGrade.ERROR for item in against):
        return (trust,)
    bundle = read_signature_file(apart[0])
    presented = replace(presented, bundle=bundle)
    asked, doubts = apply_timestamps(asked, presented)
    opened = open_model_signature(asked, rule, bundle)
    compared, tree = compare_files(artifact, apart, opened, advance)
    steps = (trust, *_timestamp(asked, presented, doubts), *describe_verification(compared, tree))
    if not compared.verified:
        return steps
    if rule.beside:
        # The files by SHA-256, by which other statements speak of them
        digests = hash_parts(tree, WHOLE.parts(tree.sizes), WHOLE.hash)
        refuse_changed_files(tree)
        files = tuple(FileDigest(name, size, digests[name]) for name, size in tree.sizes.items())
    else:
        files = ()
    found = apply_rule_demands(asked, rule, compared, presented, files)
    beyond = found.objections[len(compared.objections) :]
    asks = ", ".join(rule.asks) or "nothing more"
    return (*steps, _step(DEMANDS, beyond, f"the rule asks for {asks}"))


def _timestamp(
    asked: TrustQuery, presented: ModelAttestations, doubts: Sequence[VerificationIssue]
) -> tuple[VerificationStep, ...]:
    """Say what the timestamps prove; where nobody asked, those that prove nothing fail nothing."""
    if presented.timestamps is None:
        return ()
    if doubts and all(item.grade is not IssueGrade.ERROR for item in doubts):
        said = "; ".join(f"{it.code}: {it.text}" for it in doubts)
        return (
            VerificationStep(
                TIMESTAMP, StepResult.NOT_CHECKED, f"the rule asks for no time, and {said}"
            ),
        )
    stamped = None if asked.when is None else asked.when.stamped
    words = "" if stamped is None else f"the signature was there at {stamped} at the latest"
    return (_step(TIMESTAMP, doubts, words),)


def _step(name: str, objections: Sequence[VerificationIssue], detail: str) -> VerificationStep:
    mistakes = [f"{it.code}: {it.text}" for it in objections if it.grade is IssueGrade.ERROR]
    doubts = [f"{it.code}: {it.text}" for it in objections if it.grade is IssueGrade.WARNING]
    return VerificationStep.of(name, mistakes, "; ".join([detail, *doubts]))
