"""OpenSSF Model Signing 1.0: signs models, parses manifests, and verifies files against them.

Source: OpenSSF Model Signing 1.0 (github.com/ossf/model-signing-spec), sections 5 and 6. Issues
reported here are those of the strict profile: every MUST of the specification, and anything that
would let two verifiers see two different models. Fields that verifiers are required to ignore are
ignored.

A verifier first opens the bundle (signer and manifest), then finds the digests that the manifest
needs, and compares them with the measured ones. So no file is hashed for an invalid signature, and
no file is hashed that the manifest does not name.

A single file is signed under its own name, as section 6.1.2 requires; ``model_signing`` 1.1.1
writes ``.`` there. Older manifest formats are accepted.
"""

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NoReturn

from auditor.domain.artifacts import FileDigest
from auditor.domain.confusable_names import fold_name
from auditor.errors import ArtifactError, KeyFileError
from auditor.trust.encoding.dsse import STATEMENT, InTotoStatement, SubjectDigest, read_statement
from auditor.trust.encoding.strict_json import read_json_object, require_type
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.trust.signatures.model_serialisations import (
    FILES,
    LEAST_SHARD,
    SHARDS,
    FilePart,
    HashAlgorithm,
    ModelSerialisation,
)
from auditor.trust.signatures.sigstore_bundle import sign_bundle, sign_bundle_with_chain
from auditor.trust.signatures.trusted_signers import TrustedSigners, VerificationTime
from auditor.trust.signatures.verify import VerifyKeyless, open_bundle
from auditor.trust.signatures.x509 import X509Certificate, find_link_issues
from auditor.trust.verification_result import (
    IssueCode,
    SignatureVerification,
    VerificationError,
    VerificationIssue,
    VerificationProfile,
    quote_value,
)

LONE = "."
"""What ``model_signing`` writes as the name of a model's only file; the specification says its
own name."""
WHOLE = ModelSerialisation()
_HEX = re.compile(r"[0-9a-f]*")
_SHARD = re.compile(r"(.*):(0|[1-9][0-9]{0,18}):(0|[1-9][0-9]{0,18})", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ManifestEntry:
    """A signed file or part of one, and its digest in hexadecimal."""

    part: FilePart
    digest: str


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """What was signed, in the order signed, how it was hashed, and the paths that the signer says
    it left out.
    """

    resources: tuple[ManifestEntry, ...]
    ignored: tuple[str, ...] = ()
    serialisation: ModelSerialisation = WHOLE

    @property
    def names(self) -> tuple[str, ...]:
        """The files' names, once each, in the order signed."""
        return tuple(dict.fromkeys(item.part.name for item in self.resources))

    @property
    def digests(self) -> Mapping[str, str]:
        """Digest by the resource's name."""
        return {item.part.label: item.digest for item in self.resources}

    @property
    def sizes(self) -> Mapping[str, int]:
        """The size in bytes that the shards of each file say it has; nothing for whole files."""
        found: dict[str, int] = {}
        for item in self.resources:
            if item.part.end is not None:
                found[item.part.name] = max(found.get(item.part.name, 0), item.part.end)
        return found


def root_digest(resources: Sequence[ManifestEntry]) -> str:
    """Return SHA-256 over the concatenated digests (section 6.5.1); names are no part of it."""
    joined = b"".join(bytes.fromhex(item.digest) for item in resources)
    return hashlib.sha256(joined).hexdigest()


def read_manifest(statement: InTotoStatement) -> ModelManifest:
    """Read the predicate of a model signature. Raises ``VerificationError`` where it cannot be
    meant.
    """
    serialization = require_type(statement.predicate.get("serialization"), dict, "serialization")
    method = serialization.get("method")
    if not isinstance(method, str) or method not in {FILES, SHARDS}:
        raise VerificationError(
            IssueCode.METHOD,
            f"the method {quote_value(method)} is not known; sign {FILES} or {SHARDS}",
        )
    kind = serialization.get("hash_type")
    if not isinstance(kind, str) or kind not in set(HashAlgorithm):
        raise VerificationError(
            IssueCode.HASH_TYPE,
            f"the hash {quote_value(kind)} is none of {', '.join(HashAlgorithm)}",
        )
    if require_type(serialization.get("allow_symlinks"), bool, "allow_symlinks"):
        # Followed links reach outside the folder, and linked folders were never walked.
        raise VerificationError(IssueCode.SYMLINKS, "the signer followed symbolic links")
    how = ModelSerialisation(
        HashAlgorithm(kind), _read_shard(serialization) if method == SHARDS else None
    )
    ignored = require_type(serialization.get("ignore_paths", []), list, "ignore_paths")
    resources = require_type(statement.predicate.get("resources"), list, "resources")
    if not resources:
        raise VerificationError(IssueCode.EMPTY, "the signature covers no file at all")
    return ModelManifest(
        tuple(_read_resource(item, f"resources[{i}]", how) for i, item in enumerate(resources)),
        tuple(require_type(item, str, "ignore_paths[]") for item in ignored),
        how,
    )


def read_digest(value: object, place: str, kind: HashAlgorithm) -> str:
    """Read a digest in lower-case hexadecimal. Raises ``VerificationError``."""
    if not isinstance(value, str) or len(value) != kind.digits or not _HEX.fullmatch(value):
        text = f"{place}.digest is not a {kind} of {kind.digits} digits in lower-case hex"
        raise VerificationError(IssueCode.DIGEST_FORMAT, text)
    return value


def is_clean_path(name: str) -> bool:
    """Whether a name is the one spelling of a path inside the model's folder (section 6.1.2)."""
    if not name or "\\" in name or not name.isprintable():
        return False
    return all(part not in {"", ".", ".."} for part in name.split("/"))


def is_ignored_path(path: str, name: str) -> bool:
    """Whether the ignored ``path`` leaves out the file ``name`` (section 6.2.1)."""
    return name == path or name.startswith(f"{path}/")


def _read_shard(found: Mapping[str, object]) -> int:
    size = found.get("shard_size")
    if isinstance(size, float) and size.is_integer():
        size = int(size)  # the reference writes whole numbers as 1000000000.0
    if require_type(size, int, "shard_size") < LEAST_SHARD:
        raise VerificationError(
            IssueCode.SHARDS, f"shard_size must be at least {LEAST_SHARD} bytes"
        )
    return require_type(size, int, "shard_size")


def _read_resource(value: object, place: str, how: ModelSerialisation) -> ManifestEntry:
    found = require_type(value, dict, place)
    name = require_type(found.get("name"), str, f"{place}.name")
    algorithm = found.get("algorithm")
    if not isinstance(algorithm, str) or algorithm not in how.algorithms:
        raise VerificationError(
            IssueCode.HASH_TYPE, f"{place} is hashed with {quote_value(algorithm)}"
        )
    digest = read_digest(found.get("digest"), place, how.hash)
    return ManifestEntry(FilePart(name) if how.shard is None else _read_part(name, place), digest)


def _read_part(name: str, place: str) -> FilePart:
    found = _SHARD.fullmatch(name)
    if found is None:
        raise VerificationError(
            IssueCode.SHARDS, f"{place} is not named as a shard, path:start:end"
        )
    return FilePart(found[1], int(found[2]), int(found[3]))


def find_manifest_issues(
    manifest: ModelManifest, statement: InTotoStatement
) -> tuple[VerificationIssue, ...]:
    """Return what speaks against a manifest and the subject that stands for it."""
    found = find_resource_issues(manifest)
    found += [
        _unclean_ignored(path)
        for path in manifest.ignored
        if not (is_clean_path(path) and not set(path) & set("*?["))
    ]
    if len(statement.subjects) != 1:
        text = f"the statement must have one subject, and has {len(statement.subjects)}"
        found.append(VerificationIssue(IssueCode.SUBJECT, text))
    elif statement.subjects[0].sha256 != root_digest(manifest.resources):
        found.append(
            VerificationIssue(IssueCode.ROOT, "the subject's digest is not that of the manifest")
        )
    return tuple(found)


def find_resource_issues(manifest: ModelManifest) -> list[VerificationIssue]:
    """Return what speaks against the signed files' names, their order and their shards."""
    names = manifest.names
    found = [_unclean(name) for name in names if not is_clean_path(name) and list(names) != [LONE]]
    if list(names) == [LONE]:
        found.append(_LONE_NAME)
    found += _object_to_order([item.part for item in manifest.resources])
    found += _object_to_names(names)
    if manifest.serialisation.shard is None:
        object_to_repeats: list[VerificationIssue] = []
        seen: set[str] = set()
        for item in manifest.resources:
            if item.part.name in seen:
                text = f"{quote_value(item.part.name)} is signed twice"
                object_to_repeats.append(VerificationIssue(IssueCode.DUPLICATE, text))
            seen.add(item.part.name)
        found += object_to_repeats
    else:
        found += _object_to_shards(manifest, manifest.serialisation.shard)
    return found


def _object_to_order(parts: Sequence[FilePart]) -> list[VerificationIssue]:
    by_place = [(part.name, part.start or 0) for part in parts]
    by_text = [part.label for part in parts]
    # Shards of one file stand in the order of the file, or of their names as texts.
    if by_text == sorted(by_text) or by_place == sorted(by_place):
        return []
    for before, after in pairwise(parts):
        if (after.name, after.start or 0) < (before.name, before.start or 0):
            text = f"{quote_value(after.label)} stands after {quote_value(before.label)}"
            return [VerificationIssue(IssueCode.RESOURCE_ORDER, f"{text}: names must be sorted")]
    return []


def _object_to_names(names: Sequence[str]) -> list[VerificationIssue]:
    found: list[VerificationIssue] = []
    seen: dict[str, str] = {}
    for name in names:
        # Case, composition, what is not drawn: file systems or readers take one for the other.
        folded = fold_name(name)
        if folded in seen:
            text = (
                f"{quote_value(seen[folded])} and {quote_value(name)} are the same file on some "
                "machines"
            )
            found.append(VerificationIssue(IssueCode.COLLISION, text))
        seen[folded] = name
    return found


def _object_to_shards(manifest: ModelManifest, shard: int) -> list[VerificationIssue]:
    """Shards must cover each file from its first byte to its last, once, in full pieces."""
    placed: dict[str, list[tuple[int, int]]] = {}
    for item in manifest.resources:
        placed.setdefault(item.part.name, []).append((item.part.start or 0, item.part.end or 0))
    found = []
    for name, ranges in placed.items():
        if not _tile(sorted(ranges), shard):
            repeated = len(set(ranges)) != len(ranges)
            text = f"the shards of {quote_value(name)} do not cover it once from start to end"
            found.append(
                VerificationIssue(IssueCode.DUPLICATE if repeated else IssueCode.SHARDS, text)
            )
    return found


def _tile(ranges: Sequence[tuple[int, int]], shard: int) -> bool:
    size, place = ranges[-1][1], 0
    for start, end in ranges:
        if start != place or end != min(start + shard, size) or (end == start and size):
            return False
        place = end
    return len(ranges) == 1 or size > 0


def _unclean(name: str) -> VerificationIssue:
    escapes = name.startswith("/") or "\\" in name or ".." in name.split("/")
    code = IssueCode.PATH_ESCAPE if escapes else IssueCode.RESOURCE_NAME
    return VerificationIssue(code, f"{quote_value(name)} is not a plain path inside the model")


def _unclean_ignored(path: str) -> VerificationIssue:
    text = f"ignore_paths holds {quote_value(path)}, which is not a plain path inside the model"
    return VerificationIssue(IssueCode.IGNORE_PATHS, text)


_LONE_NAME = VerificationIssue(
    IssueCode.SINGLE_FILE_NAME,
    "the signature names the model's only file '.', so it binds the content and not the name",
)


PREDICATE = "https://model_signing/signature/v1.0"
LEGACY_PREDICATE = "https://model_signing/Digests/v0.1"
"""Of version 0.2 of the reference: every file is a subject, and the predicate says nothing."""
LEGACY_STATEMENT = "https://in-toto.io/Statement/v0.1"


@dataclass(frozen=True, slots=True)
class ManifestClaim:
    """The manifest that a payload holds, if it can be read, and what speaks against it."""

    manifest: ModelManifest | None
    objections: tuple[VerificationIssue, ...]


def read_claim(payload: bytes, profile: VerificationProfile) -> ManifestClaim:
    """Read what was signed of a model, and object as the profile does."""
    try:
        found = read_json_object(payload, "the signed statement")
        doubts = _doubts_about_type(found, profile)
        if found.get("predicateType") == LEGACY_PREDICATE:
            doubts.append(profile.tolerate(IssueCode.LEGACY_PREDICATE, _OLD_PREDICATE))
            manifest = _legacy_manifest(read_statement(found, LEGACY_PREDICATE))
            objections = find_resource_issues(manifest)
        else:
            statement = read_statement(found, PREDICATE)
            manifest = read_manifest(statement)
            objections = [*find_manifest_issues(manifest, statement)]
    except VerificationError as refused:
        return ManifestClaim(None, (refused.objection,))
    return ManifestClaim(manifest, profile.graded([*doubts, *objections]))


def _doubts_about_type(
    found: Mapping[str, object], profile: VerificationProfile
) -> list[VerificationIssue]:
    kind = found.get("_type")
    if kind == LEGACY_STATEMENT:
        return [profile.tolerate(IssueCode.LEGACY_STATEMENT, f"the statement is of type {kind}")]
    if kind != STATEMENT:
        raise VerificationError(
            IssueCode.STATEMENT, f"the payload is not a statement of type {STATEMENT}"
        )
    return []


def _legacy_manifest(statement: InTotoStatement) -> ModelManifest:
    if not statement.subjects:
        raise VerificationError(IssueCode.EMPTY, "the signature covers no file at all")
    return ModelManifest(
        tuple(ManifestEntry(FilePart(item.name), item.sha256) for item in statement.subjects)
    )


_OLD_PREDICATE = (
    f"the predicate is {LEGACY_PREDICATE}, which says neither how files were found nor hashed"
)


GIT = frozenset({".git", ".github", ".gitattributes", ".gitignore"})
"""What the reference never looks at in a model's folder (section 6.2)."""
GIT_ATTRIBUTES = ".gitattributes"


@dataclass(frozen=True, slots=True)
class ModelFileDigests:
    """The files that are there: the size of each, and digests by the names of resources."""

    sizes: Mapping[str, int]
    digests: Mapping[str, str]
    how: ModelSerialisation = WHOLE

    @classmethod
    def of(cls, files: Sequence[FileDigest]) -> "ModelFileDigests":
        """Return whole files by SHA-256, as the artifact's own digest counts them."""
        sizes = {item.name: item.size for item in files}
        return cls(sizes, {item.name: item.sha256 for item in files})


@dataclass(frozen=True, slots=True)
class ModelSignature:
    """A bundle that was opened: what came of it so far, and the manifest, where it may be read."""

    verification: SignatureVerification
    manifest: ModelManifest | None
    profile: VerificationProfile
    trusted: TrustedSigners

    def wanted(self, sizes: Mapping[str, int]) -> tuple[FilePart, ...]:
        """Return which parts must be hashed to compare files of these sizes with the manifest.

        A file whose size is not the signed one is not hashed: it is another file already.
        """
        if self.manifest is None:
            return ()
        signed, stated = _renamed(self.manifest, sizes), _sizes(self.manifest, sizes)
        return tuple(
            part for part in signed if stated.get(part.name, -1) in {-1, sizes.get(part.name)}
            and part.name in sizes
        )  # fmt: skip

    @property
    def how(self) -> ModelSerialisation:
        """How the signer says that the files were hashed."""
        return WHOLE if self.manifest is None else self.manifest.serialisation


def open_signature(
    bundle: bytes,
    trusted: TrustedSigners,
    *,
    moment: VerificationTime | None = None,
    profile: VerificationProfile = VerificationProfile.STRICT,
    keyless: VerifyKeyless | None = None,
) -> ModelSignature:
    """Open a model's signature: who signed which manifest, before any file is looked at."""
    found = open_bundle(bundle, trusted, moment=moment, profile=profile, keyless=keyless)
    if found.payload is None:
        return ModelSignature(found, None, profile, trusted)
    claim = read_claim(found.payload, profile)
    objections = [*found.objections, *claim.objections]
    manifest = claim.manifest
    if manifest is not None and manifest.serialisation.hash not in trusted.hashes:
        text = f"the files are hashed with {manifest.serialisation.hash}, which is not trusted"
        objections.append(VerificationIssue(IssueCode.HASH_TYPE, text))
    return ModelSignature(replace(found, objections=tuple(objections)), manifest, profile, trusted)


def compare_manifest(opened: ModelSignature, measured: ModelFileDigests) -> SignatureVerification:
    """Return what came of verifying, with what differs between the manifest and the files."""
    if opened.manifest is None:
        return opened.verification
    found = opened.profile.graded(_differences(opened, opened.manifest, measured))
    before = opened.verification
    return replace(before, objections=(*before.objections, *found))


def verify_model(
    bundle: bytes,
    trusted: TrustedSigners | bytes,
    files: Sequence[FileDigest] | ModelFileDigests,
    *,
    moment: VerificationTime | None = None,
    profile: VerificationProfile = VerificationProfile.STRICT,
) -> SignatureVerification:
    """Verify that somebody trusted signed exactly these files under these names.

    ``trusted`` is a policy's value, or one public key as PEM. What the signer declares ignored is
    not believed: every file must be signed.
    """
    trust = trusted if isinstance(trusted, TrustedSigners) else TrustedSigners.key(trusted)
    opened = open_signature(bundle, trust, moment=moment, profile=profile)
    return compare_manifest(
        opened, files if isinstance(files, ModelFileDigests) else ModelFileDigests.of(files)
    )


def _differences(
    opened: ModelSignature, manifest: ModelManifest, measured: ModelFileDigests
) -> Iterator[VerificationIssue]:
    signed = _renamed(manifest, measured.sizes)
    stated = _sizes(manifest, measured.sizes)
    names = {part.name for part in signed}
    for name in sorted(names - measured.sizes.keys()):
        yield VerificationIssue(
            IssueCode.MISSING_FILE, f"{quote_value(name)} is signed, and is not there"
        )
    for name in sorted(measured.sizes.keys() - names - opened.trusted.unsigned):
        yield _unsigned(name, manifest)
    other = {name for name in names & measured.sizes.keys()
             if stated.get(name, measured.sizes[name]) != measured.sizes[name]}  # fmt: skip
    same = measured.how == manifest.serialisation
    for part, digest in sorted(signed.items()):
        if part.name in measured.sizes and part.name not in other:
            if not same or part.label not in measured.digests:
                text = (
                    f"{quote_value(part.label)} was not hashed with {manifest.serialisation.hash}"
                )
                yield VerificationIssue(IssueCode.UNMEASURED, text)
            elif measured.digests[part.label] != digest:
                other.add(part.name)
    for name in sorted(other):
        yield VerificationIssue(
            IssueCode.DIGEST_MISMATCH, f"{quote_value(name)} is not what was signed"
        )


def _renamed(manifest: ModelManifest, sizes: Mapping[str, int]) -> dict[FilePart, str]:
    """Return the signed digests; a lone ``.`` means the one file that is there."""
    signed = {item.part: item.digest for item in manifest.resources}
    if manifest.names != (LONE,) or len(sizes) != 1:
        return signed
    (name,) = sizes
    return {replace(part, name=name): digest for part, digest in signed.items()}


def _sizes(manifest: ModelManifest, sizes: Mapping[str, int]) -> Mapping[str, int]:
    if manifest.names != (LONE,) or len(sizes) != 1:
        return manifest.sizes
    return dict.fromkeys(sizes, manifest.sizes[LONE]) if manifest.sizes else {}


def _unsigned(name: str, manifest: ModelManifest) -> VerificationIssue:
    said = f"{quote_value(name)} is there, and is not signed"
    if name == GIT_ATTRIBUTES:
        return VerificationIssue(IssueCode.GIT_ATTRIBUTES, said)
    if name.split("/", maxsplit=1)[0] in GIT:
        return VerificationIssue(IssueCode.GIT_FILE, f"{said}; code can hide among git's files")
    if any(is_ignored_path(path, name) for path in manifest.ignored):
        return VerificationIssue(
            IssueCode.IGNORE_PATHS, f"{said}: the signer told verifiers to ignore it"
        )
    return VerificationIssue(IssueCode.EXTRA_FILE, said)


def sign_files(files: Sequence[FileDigest], signer: Signer, *, name: str) -> bytes:
    """Sign whole files by SHA-256, and return the bundle; ``sign_model`` says the rest."""
    if len({item.name for item in files}) != len(files):
        raise ArtifactError("The model has a file twice", cure="Name each file once.")
    return sign_model(ModelFileDigests.of(files), signer, name=name)


def sign_model(
    measured: ModelFileDigests,
    signer: Signer,
    *,
    name: str,
    chain: Sequence[X509Certificate] = (),
) -> bytes:
    """Sign a model, and return the bundle. The same files and key give the same bytes.

    ``name`` is the base name of the file or folder. With a ``chain`` (the signer's certificate
    first), that is what verifiers look at; otherwise they need the key. Raises ``ArtifactError``
    for a model without files, or with names that no strict verifier accepts.
    """
    parts = measured.how.parts(measured.sizes)
    resources = tuple(ManifestEntry(part, measured.digests[part.label]) for part in parts)
    manifest = ModelManifest(resources, (), measured.how)
    subject = SubjectDigest(name, root_digest(resources))
    how = manifest.serialisation
    size = {} if how.shard is None else {"shard_size": how.shard}
    predicate = {
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
    statement = InTotoStatement((subject,), PREDICATE, predicate)
    _refuse_unsignable(manifest, statement)
    if chain:
        return sign_bundle_with_chain(statement.emit(), signer, [item.der for item in chain])
    # The reference verifier refuses a bundle with any other hint than its own.
    hint = read_public_key(signer.public_pem()).oms_hint
    return sign_bundle(statement.emit(), signer, hint=hint)


def refuse_unfit_chain(
    chain: Sequence[X509Certificate], signer: Signer, moment: VerificationTime
) -> None:
    """Raise ``KeyFileError`` for a chain that no strict verifier would accept with this key."""
    if chain[0].key.pem != signer.public_pem():
        _unfit("the key is not the one of the first certificate")
    objections: list[VerificationIssue] = find_link_issues(chain, moment)
    if objections:
        _unfit(objections[0].text)


def _refuse_unsignable(manifest: ModelManifest, statement: InTotoStatement) -> None:
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
        if not is_clean_path(name):
            raise ArtifactError(
                f"The model has a file named {quote_value(name)}, which cannot be signed",
                cure="Give it a name of printable characters, without '\\', '.' or '..' parts.",
            )
    objections = find_manifest_issues(manifest, statement)
    if objections:
        raise ArtifactError(f"The model cannot be signed: {objections[0].text}", cure="Rename it.")


def _unfit(problem: str) -> NoReturn:
    raise KeyFileError(
        f"The certificates cannot sign a model: {problem}",
        cure="Name a chain in PEM form, the signer's certificate first, each issued by the next.",
    )
