"""Verify an artifact against its signature, offline, and say what was looked at step by step."""

from collections.abc import Mapping
from pathlib import Path

from auditor.domain.steps import Step, StepResult
from auditor.errors import SignatureFormatError
from auditor.signatures.objections import Code, Verification
from auditor.signatures.oms import verify
from auditor.signatures.strict import MOST_BYTES
from auditor.signing.artifacts import digest_artifact
from auditor.signing.keys import load_public_key

_BUNDLE, _SIGNATURE, _STATEMENT, _FILES = "bundle", "signature", "statement", "files"
STEPS: Mapping[str, str] = {
    _BUNDLE: "one strict Sigstore bundle v0.3 with one signature by a key",
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
    }
)
_OF_SIGNATURE = frozenset({Code.KEY, Code.KEY_HINT, Code.SIGNATURE})
_OF_FILES = frozenset({Code.MISSING_FILE, Code.EXTRA_FILE, Code.DIGEST_MISMATCH})
_SHOWN = 5


def verify_artifact(artifact: Path, signature: Path, key: Path) -> tuple[Step, ...]:
    """Verify a file or folder against a signature file with a public key file.

    Raises ``KeyFileError``, ``SignatureFormatError`` or ``ArtifactError`` where one of them cannot
    be read at all.
    """
    pem = load_public_key(key).pem
    bundle = read_signature(signature)
    files = digest_artifact(artifact, leave_out=(signature,))
    found = verify(bundle, pem, files)
    names = ", ".join(file.name for file in files[:_SHOWN])
    facts = {
        "identity": found.identity or "",
        "count": f"{len(files)} file" + "s" * (len(files) != 1),
        "names": names + ", ..." * (len(files) > _SHOWN),
    }
    return _steps(found, facts)


def read_signature(path: Path) -> bytes:
    """Read a signature file. Raises ``SignatureFormatError`` where there is none to read."""
    try:
        with path.open("rb") as file:
            return file.read(MOST_BYTES + 1)
    except OSError as error:
        raise SignatureFormatError(
            f"The signature file {path} cannot be read: {error.strerror}",
            cure="Name the signature file; `auditor sign` makes one.",
        ) from None


def _steps(found: Verification, facts: Mapping[str, str]) -> tuple[Step, ...]:
    mistakes: dict[str, list[str]] = {name: [] for name in STEPS}
    doubts: dict[str, list[str]] = {name: [] for name in STEPS}
    for objection in found.objections:
        place = _place(objection.code, found)
        grave = objection.text in found.mistakes
        (mistakes if grave else doubts)[place].append(f"{objection.code.value}: {objection.text}")
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
    if code in _OF_BUNDLE and found.payload is None:
        return _BUNDLE
    return _FILES if code in _OF_FILES else _STATEMENT
