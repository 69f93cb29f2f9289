"""OpenSSF Model Signing 1.0, key mode: sign a model's files, and verify them strictly.

A single file is signed under its own name, as section 6.1.2 asks; ``model_signing`` 1.1.1 writes
``.`` there. Such a bundle is accepted with a warning where the model has one file.
"""

from collections.abc import Sequence

from auditor.domain.artifacts import FileDigest
from auditor.errors import ArtifactError
from auditor.signatures.bundles import seal, unseal
from auditor.signatures.keys import Signer, read_public_key
from auditor.signatures.manifests import (
    HASH,
    LONE,
    METHOD,
    Manifest,
    Resource,
    hides,
    is_clean,
    object_to_manifest,
    read_manifest,
    root_digest,
)
from auditor.signatures.objections import Code, Objection, Refused, Verification, quoted
from auditor.signatures.statements import Statement, SubjectDigest, parse_statement

PREDICATE = "https://model_signing/signature/v1.0"
LEFT_OUT = frozenset({".git", ".github", ".gitattributes", ".gitignore"})
"""What verifiers of the format never look at in a model's folder (section 6.2)."""


def sign_files(files: Sequence[FileDigest], signer: Signer, *, name: str) -> bytes:
    """Sign a model's files, and return the bundle. The same files and key give the same bytes.

    ``name`` is the base name of the file or folder. Raises ``ArtifactError`` for a model without
    files, or with names that no strict verifier accepts.
    """
    resources = tuple(
        Resource(item.name, item.sha256) for item in sorted(files, key=lambda item: item.name)
    )
    statement = Statement(
        (SubjectDigest(name, root_digest(resources)),), PREDICATE, _predicate(resources)
    )
    _refuse_unsignable(resources, statement)
    # The reference verifier refuses a bundle with any other hint than its own.
    hint = read_public_key(signer.public_pem()).oms_hint
    return seal(statement.emit(), signer, hint=hint)


def verify(bundle: bytes, key_pem: bytes, files: Sequence[FileDigest]) -> Verification:
    """Verify that the key signed exactly these files under these names.

    What the signer declares ignored is not believed: every file must be signed.
    """
    opened = unseal(bundle, key_pem)
    if opened.payload is None:
        return opened
    try:
        statement = parse_statement(opened.payload, PREDICATE)
        manifest = read_manifest(statement)
    except Refused as refused:
        found: tuple[Objection, ...] = (refused.objection,)
    else:
        found = (*object_to_manifest(manifest, statement), *_compare(manifest, files))
    return Verification((*opened.objections, *found), opened.identity, opened.payload)


def _compare(manifest: Manifest, files: Sequence[FileDigest]) -> list[Objection]:
    signed, present = dict(manifest.digests), {item.name: item.sha256 for item in files}
    if list(signed) == [LONE] and len(present) == 1:
        signed = dict.fromkeys(present, signed[LONE])
    found = [
        Objection(Code.MISSING_FILE, f"{quoted(name)} is signed, and is not there")
        for name in sorted(signed.keys() - present.keys())
    ]
    found += [_unsigned(name, manifest) for name in sorted(present.keys() - signed.keys())]
    found += [
        Objection(Code.DIGEST_MISMATCH, f"{quoted(name)} is not what was signed")
        for name in sorted(signed.keys() & present.keys())
        if signed[name] != present[name]
    ]
    return found


def _unsigned(name: str, manifest: Manifest) -> Objection:
    if any(hides(path, name) for path in manifest.ignored):
        text = f"{quoted(name)} is not signed: the signer told verifiers to ignore it"
        return Objection(Code.IGNORE_PATHS, text)
    return Objection(Code.EXTRA_FILE, f"{quoted(name)} is there, and is not signed")


def _predicate(resources: Sequence[Resource]) -> dict[str, object]:
    return {
        "serialization": {"method": METHOD, "hash_type": HASH, "allow_symlinks": False},
        "resources": [
            {"name": item.name, "algorithm": HASH, "digest": item.digest} for item in resources
        ],
    }


def _refuse_unsignable(resources: Sequence[Resource], statement: Statement) -> None:
    if not resources:
        raise ArtifactError(
            "The model has no file", cure="Name the model's file, or a folder that holds one."
        )
    for item in resources:
        if item.name.split("/")[0] in LEFT_OUT:
            raise ArtifactError(
                f"The model's folder holds {item.name}, which verifiers of the format leave out",
                cure="Sign a copy of the folder without git's files.",
            )
        if not is_clean(item.name):
            raise ArtifactError(
                f"The model has a file named {quoted(item.name)}, which cannot be signed",
                cure="Give it a name of printable characters, without '\\', '.' or '..' parts.",
            )
    objections = object_to_manifest(Manifest(tuple(resources), ()), statement)
    if objections:
        raise ArtifactError(f"The model cannot be signed: {objections[0].text}", cure="Rename it.")
