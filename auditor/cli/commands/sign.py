"""Sign a model's files with a key."""

from datetime import UTC, datetime
from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.hashing_progress import show_hashing
from auditor.cli.input_paths import CERTIFICATES, MODEL_FILES, KeyName
from auditor.cli.main import ExitCode
from auditor.cli.passwords import get_password_source
from auditor.domain.key_roles import KeyRole
from auditor.errors import UsageError
from auditor.reports.terminal import create_console
from auditor.trust.artifacts.files import count_artifact_bytes, measure_artifact
from auditor.trust.keys.files import STEMS, create_key_pair, load_certificates
from auditor.trust.keys.rotation import refuse_ended_key, refuse_second_role
from auditor.trust.keys.signers import open_signer, parse_signer_scheme
from auditor.trust.policies.trust_policy import ModelClaim
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.trust.signatures.model_serialisations import (
    LEAST_SHARD,
    HashAlgorithm,
    ModelSerialisation,
)
from auditor.trust.signatures.model_signing import refuse_unfit_chain, sign_model
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.signatures.x509 import X509Certificate
from auditor.workflows.settings import AuditorSettings


@click.command("sign")
@click.argument("artifact", type=MODEL_FILES)
@click.option(
    "--out", type=click.Path(path_type=Path), required=True, help="Output file for the signature."
)
@click.option(
    "--key",
    type=KeyName(),
    help="Private key: a file, or a URI such as pkcs11:…; default: your model.key.",
)
@click.option(
    "--certificate",
    type=CERTIFICATES,
    help="Certificate chain of the key (PEM), with the key's own certificate first. Needs --key.",
)
@click.option("--name", help="Model name to sign. Needs --version.")
@click.option("--version", "model_version", help="Model version to sign. Needs --name.")
@click.option(
    "--hash",
    "kind",
    type=click.Choice([item.value for item in HashAlgorithm]),
    default=HashAlgorithm.SHA256.value,
    show_default=True,
    help="Hash function for the files. Other tools can verify only sha256.",
)
@click.option(
    "--shard-size",
    type=click.IntRange(min=LEAST_SHARD),
    metavar="BYTES",
    help="Hash pieces of this many bytes in parallel. Other tools can verify only whole files.",
)
def command(  # noqa: PLR0913, PLR0917 -- one argument an option
    artifact: Path,
    out: Path,
    key: str | None,
    certificate: Path | None,
    name: str | None,
    model_version: str | None,
    kind: str,
    shard_size: int | None,
) -> int:
    """Sign ARTIFACT, an ONNX file with its external data or a folder (OpenSSF Model Signing).

    With --name and --version, the signature is valid only for that version of that model. A trust
    policy can require this (signed_name). Otherwise the signature names the file or folder.
    """
    subject = _subject(artifact, name, model_version)
    if certificate is not None and key is None:
        raise UsageError(
            "--certificate needs the private key of the certificate", cure="Add --key."
        )
    settings = AuditorSettings.from_environment()
    own = settings.home / f"{STEMS[KeyRole.MODEL]}.key"
    if key is None and not own.exists():
        made = create_key_pair(settings.home, stem=STEMS[KeyRole.MODEL])
        click.echo(f"First run: created the signing key for models, {made.private}")
    private = key or str(own)
    signer = open_signer(private, get_password_source(settings))
    refuse_second_role(settings.home, KeyRole.MODEL, signer.public_pem())
    if settings.place.kept:
        # Ask the ledger of the key; a database is loaded only by those who have one
        from auditor.workflows.ledger import load_key_registry  # noqa: PLC0415 -- twice the start of a command

        life = load_key_registry(settings).lives.get(signer.public_pem().decode())
        if life is not None:
            refuse_ended_key(life, KeyRole.MODEL, utc_now())
    chain = () if certificate is None else _chain(certificate, signer)
    how = ModelSerialisation(HashAlgorithm(kind), shard_size)
    with show_hashing(
        create_console(stderr=True), lambda: count_artifact_bytes(artifact, (out,))
    ) as advance:
        measured = measure_artifact(artifact, how, leave_out=(out,), advance=advance)
    bundle = sign_model(measured, signer, name=subject, chain=chain)
    try:
        out.write_bytes(bundle)
    except OSError as error:
        raise UsageError(
            f"{out} cannot be written: {error.strerror}", cure="Choose another file with --out."
        ) from None
    _say(artifact, out, signer, private, chain)
    return ExitCode.DONE


def _subject(artifact: Path, name: str | None, version: str | None) -> str:
    if name is None and version is None:
        return artifact.resolve().name
    if not name or not version:
        raise UsageError("--name and --version belong together", cure="Use both, or neither.")
    return ModelClaim(name, version).subject


def _chain(path: Path, signer: Signer) -> tuple[X509Certificate, ...]:
    chain = load_certificates(path)
    refuse_unfit_chain(chain, signer, VerificationTime(datetime.now(UTC)))
    return chain


def _say(
    artifact: Path, out: Path, signer: Signer, private: str, chain: tuple[X509Certificate, ...]
) -> None:
    if chain:
        names = ", ".join(map(str, chain[0].names)) or (
            "no identity, because its certificate has no e-mail address or URI"
        )
        click.echo(f"Signed {artifact} as {names} into {out}")
        return
    identity = read_public_key(signer.public_pem()).identity
    click.echo(f"Signed {artifact} as {identity} into {out}")
    lies = (
        Path(private).with_suffix(".pub")
        if parse_signer_scheme(private) is None
        else f"print it with `auditor keys show --pem '{private}'`"
    )
    click.echo(f"Set model.key in the audit file to the public key: {lies}")
