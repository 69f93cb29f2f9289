"""Verify an artifact against its signature, offline, and say what was looked at step by step."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from auditor.domain.steps import Step, StepResult
from auditor.errors import SignatureFormatError
from auditor.signatures.keyless import verify_keyless
from auditor.signatures.objections import Code, Grade, Verification
from auditor.signatures.oms import Measured, Opened, compare, open_signature
from auditor.signatures.profiles import Profile
from auditor.signatures.strict import MOST_BYTES
from auditor.signatures.trust import Moment, Trusted
from auditor.signing.artifacts import hash_parts
from auditor.signing.hashing import Advance
from auditor.signing.trees import Tree, find_files, refuse_moved

_BUNDLE, _SIGNATURE, _STATEMENT, _FILES = "bundle", "signature", "statement", "files"
STEPS: Mapping[str, str] = {
    _BUNDLE: "one Sigstore bundle v0.3 with one signature",
    _SIGNATURE: "the signature holds under {identity}",
    _STATEMENT: "a model signature (OpenSSF Model Signing 1.0) whose manifest is sound",
    _FILES: "byte for byte, {count} and no other: {names}",
}
_OF_BUNDLE = frozenset(
    {
        Code.FORMAT,
        Code.TOO_LARGE,
        Code.DUPLICATE_KEY,
        Code.BASE64,
        Code.MEDIA_TYPE,
        Code.PAYLOAD_TYPE,
        Code.UNSUPPORTED,
        Code.SIGNATURE_COUNT,
        Code.CERT_FORMAT,
        Code.LEGACY_KEY,
    }
)
_OF_SIGNATURE = frozenset(
    {
        Code.METHOD_UNTRUSTED,
        Code.KEY,
        Code.KEY_HINT,
        Code.KEY_TIME,
        Code.SIGNATURE,
        Code.LEGACY_PAE,
        Code.REVOKED,
        Code.CERT_ALGORITHM,
        Code.CERT_EXTENSION,
        Code.CERT_CHAIN,
        Code.CERT_ROOT,
        Code.CERT_TIME,
        Code.CERT_ISSUER,
        Code.CERT_CA,
        Code.CERT_KEY_USAGE,
        Code.CERT_EKU,
        Code.CERT_TLS,
        Code.NO_IDENTITY,
        Code.IDENTITY,
        Code.KEYLESS,
    }
)
_OF_FILES = frozenset(
    {
        Code.MISSING_FILE,
        Code.EXTRA_FILE,
        Code.GIT_FILE,
        Code.GIT_ATTRIBUTES,
        Code.DIGEST_MISMATCH,
        Code.UNMEASURED,
    }
)
_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Question:
    """What to verify by: whom to trust, at which time, how strictly.

    ``beside`` are files that lie with the artifact and were looked at apart, as its timestamps.
    """

    trusted: Trusted
    moment: Moment | None = None
    profile: Profile = Profile.STRICT
    beside: tuple[Path, ...] = ()


def verify_artifact(
    artifact: Path, signature: Path, question: Question, advance: Advance | None = None
) -> tuple[Step, ...]:
    """Verify a file or folder against a signature file.

    Raises ``KeyFileError``, ``SignatureFormatError`` or ``ArtifactError`` where something cannot
    be read at all, or a file changes while it is read.
    """
    return steps_of(*look_at(artifact, signature, question, advance))


def steps_of(found: Verification, tree: Tree) -> tuple[Step, ...]:
    """Say what came of verifying these files, step by step."""
    names = ", ".join(list(tree.sizes)[:_SHOWN])
    facts = {
        "identity": found.identity,
        "count": f"{len(tree.sizes)} file" + "s" * (len(tree.sizes) != 1),
        "names": names + ", ..." * (len(tree.sizes) > _SHOWN),
    }
    return _steps(found, facts)


def look_at(
    artifact: Path, signature: Path, question: Question, advance: Advance | None = None
) -> tuple[Verification, Tree]:
    """Return what came of verifying, and the files that were looked at.

    Files are hashed only for a signature that holds, and then as its manifest says.
    """
    bundle = read_signature(signature)
    opened = open_signature(
        bundle,
        question.trusted,
        moment=question.moment,
        profile=question.profile,
        keyless=verify_keyless,
    )
    return compare_files(artifact, (signature, *question.beside), opened, advance)


def compare_files(
    artifact: Path, apart: Sequence[Path], opened: Opened, advance: Advance | None = None
) -> tuple[Verification, Tree]:
    """Compare the files that are there with what an opened signature says, and hash no others.

    ``apart`` are the signature and what lies beside it that it cannot speak of.
    """
    tree = find_files(artifact, apart)
    if not opened.verification.verified:
        return opened.verification, tree
    digests = hash_parts(tree, opened.wanted(tree.sizes), opened.how.hash, advance)
    refuse_moved(tree)
    return compare(opened, Measured(tree.sizes, digests, opened.how)), tree


def read_signature(path: Path) -> bytes:
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


def _steps(found: Verification, facts: Mapping[str, object]) -> tuple[Step, ...]:
    mistakes: dict[str, list[str]] = {name: [] for name in STEPS}
    doubts: dict[str, list[str]] = {name: [] for name in STEPS}
    for objection in found.objections:
        listed = mistakes if objection.grade is Grade.ERROR else doubts
        listed[_place(objection.code, found)].append(f"{objection.code.value}: {objection.text}")
    steps: list[Step] = []
    for name, words in STEPS.items():
        if any(step.result is StepResult.FAILED for step in steps):
            # What an unproven part says is not repeated as if it counted.
            result = Step(name, StepResult.NOT_CHECKED, "a step before this one failed")
            steps.append(result if not mistakes[name] else Step.of(name, mistakes[name], ""))
            continue
        detail = "; ".join([words.format_map(facts), *doubts[name]])
        steps.append(Step.of(name, mistakes[name], detail))
    return tuple(steps)


def _place(code: Code, found: Verification) -> str:
    if code in _OF_SIGNATURE:
        return _SIGNATURE
    if code in _OF_BUNDLE and (found.payload is None or code is Code.LEGACY_KEY):
        return _BUNDLE
    return _FILES if code in _OF_FILES else _STATEMENT
