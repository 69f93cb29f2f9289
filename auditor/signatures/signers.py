"""Sign a model (OpenSSF Model Signing 1.0): by a key, or by the key of a certificate.

A single file is signed under its own name, as section 6.1.2 asks; ``model_signing`` 1.1.1 writes
``.`` there.
"""

from collections.abc import Sequence
from typing import NoReturn

from auditor.domain.artifacts import FileDigest
from auditor.errors import ArtifactError, KeyFileError
from auditor.signatures.bundles import seal, seal_with_chain
from auditor.signatures.certificates import Certificate
from auditor.signatures.chains import object_to_links
from auditor.signatures.claims import PREDICATE
from auditor.signatures.keys import Signer, read_public_key
from auditor.signatures.manifests import Manifest, Resource, is_clean, root_digest
from auditor.signatures.objections import Objection, quoted
from auditor.signatures.oms import GIT, Measured
from auditor.signatures.soundness import object_to_manifest
from auditor.signatures.statements import Statement, SubjectDigest
from auditor.signatures.trust import Moment


def sign_files(files: Sequence[FileDigest], signer: Signer, *, name: str) -> bytes:
    """Sign whole files by SHA-256, and return the bundle; ``sign_model`` says the rest."""
    if len({item.name for item in files}) != len(files):
        raise ArtifactError("The model has a file twice", cure="Name each file once.")
    return sign_model(Measured.of(files), signer, name=name)


def sign_model(
    measured: Measured,
    signer: Signer,
    *,
    name: str,
    chain: Sequence[Certificate] = (),
) -> bytes:
    """Sign a model, and return the bundle. The same files and key give the same bytes.

    ``name`` is the base name of the file or folder. With a ``chain`` (the signer's certificate
    first), that is what verifiers look at; otherwise they need the key. Raises ``ArtifactError``
    for a model without files, or with names that no strict verifier accepts.
    """
    parts = measured.how.parts(measured.sizes)
    resources = tuple(Resource(part, measured.digests[part.label]) for part in parts)
    manifest = Manifest(resources, (), measured.how)
    subject = SubjectDigest(name, root_digest(resources))
    statement = Statement((subject,), PREDICATE, _predicate(manifest))
    _refuse_unsignable(manifest, statement)
    if chain:
        return seal_with_chain(statement.emit(), signer, [item.der for item in chain])
    # The reference verifier refuses a bundle with any other hint than its own.
    hint = read_public_key(signer.public_pem()).oms_hint
    return seal(statement.emit(), signer, hint=hint)


def refuse_unfit(chain: Sequence[Certificate], signer: Signer, moment: Moment) -> None:
    """Raise ``KeyFileError`` for a chain that no strict verifier would accept with this key."""
    if chain[0].key.pem != signer.public_pem():
        _unfit("the key is not the one of the first certificate")
    objections: list[Objection] = object_to_links(chain, moment)
    if objections:
        _unfit(objections[0].text)


def _predicate(manifest: Manifest) -> dict[str, object]:
    how = manifest.serialisation
    size = {} if how.shard is None else {"shard_size": how.shard}
    return {
        "serialization": {
            "method": how.method,
            "hash_type": how.hash.value,
            "allow_symlinks": False,
            **size,
        },
        "resources": [
            {"name": item.part.label, "algorithm": how.algorithm, "digest": item.digest}
            for item in manifest.resources
        ],
    }


def _refuse_unsignable(manifest: Manifest, statement: Statement) -> None:
    if not manifest.resources:
        raise ArtifactError(
            "The model has no file", cure="Name the model's file, or a folder that holds one."
        )
    for name in manifest.names:
        if name.split("/")[0] in GIT:
            raise ArtifactError(
                f"The model's folder holds {name}, which verifiers of the format leave out",
                cure="Sign a copy of the folder without git's files.",
            )
        if not is_clean(name):
            raise ArtifactError(
                f"The model has a file named {quoted(name)}, which cannot be signed",
                cure="Give it a name of printable characters, without '\\', '.' or '..' parts.",
            )
    objections = object_to_manifest(manifest, statement)
    if objections:
        raise ArtifactError(f"The model cannot be signed: {objections[0].text}", cure="Rename it.")


def _unfit(problem: str) -> NoReturn:
    raise KeyFileError(
        f"The certificates cannot sign a model: {problem}",
        cure="Name a chain in PEM form, the signer's certificate first, each issued by the next.",
    )
