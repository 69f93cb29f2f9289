"""Sign a model's files with a key."""

from datetime import UTC, datetime
from pathlib import Path

import click

from auditor._time import utc_now
from auditor.cli.main import ExitCode
from auditor.cli.passwords import get_password_source
from auditor.cli.progress_bars import show_hashing
from auditor.cli.terminal import create_console
from auditor.errors import UsageError
from auditor.trust.artifacts.files import count_artifact_bytes, measure_artifact
from auditor.trust.keys.files import STEMS, create_key_pair, load_certificates
from auditor.trust.keys.rotation import refuse_ended_key, refuse_second_role
from auditor.trust.keys.signers import open_signer, parse_signer_scheme
from auditor.trust.ledger.key_events import KeyRole
from auditor.trust.policies.trust_policy import ModelClaim
from auditor.trust.signatures.keys import Signer, read_public_key
from auditor.trust.signatures.model_signing import refuse_unfit_chain, sign_model
from auditor.trust.signatures.serialisations import LEAST_SHARD, HashAlgorithm, ModelSerialisation
from auditor.trust.signatures.trusted_signers import VerificationTime
from auditor.trust.signatures.x509 import X509Certificate
from auditor.workflows.settings import AuditorSettings


@click.command("sign")
@click.argument("artifact", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="The signature file.")
@click.option(
    "--key", help="A private key: a file, or a URI such as pkcs11:…; default: your model.key."
)
@click.option(
    "--certificate",
    type=click.Path(path_type=Path),
    help="The chain (PEM) of the key's certificate, that one first; needs --key.",
)
@click.option("--name", help="Name the model in the signature; needs --version.")
@click.option("--version", "model_version", help="Its version; needs --name.")
@click.option(
    "--hash",
    "kind",
    type=click.Choice([item.value for item in HashAlgorithm]),
    default=HashAlgorithm.SHA256.value,
    show_default=True,
    help="How files are hashed; other tools verify sha256 only.",
)
@click.option(
    "--shard-size",
    type=click.IntRange(min=LEAST_SHARD),
    metavar="BYTES",
    help="Hash pieces of so many bytes, several at once; other tools verify whole files only.",
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

    With --name and --version the signature speaks of just that version of that model, which a trust
    policy may ask for (signed_name); otherwise it names the file or folder.
    """
    subject = _subject(artifact, name, model_version)
    signer, private = _signer(key, certificate)
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
            f"{out} cannot be written: {error.strerror}", cure="Name another file."
        ) from None
    _say(artifact, out, signer, private, chain)
    return ExitCode.DONE


def _subject(artifact: Path, name: str | None, version: str | None) -> str:
    if name is None and version is None:
        return artifact.resolve().name
    if not name or not version:
        raise UsageError(
            "A signature names a model by its name and its version", cure="Give both, or none."
        )
    return ModelClaim(name, version).subject


def _signer(key: str | None, certificate: Path | None) -> tuple[Signer, str]:
    if certificate is not None and key is None:
        raise UsageError(
            "A certificate does not say where its private key lies", cure="Give --key as well."
        )
    settings = AuditorSettings.from_environment()
    own = settings.home / f"{STEMS[KeyRole.MODEL]}.key"
    if key is None and not own.exists():
        made = create_key_pair(settings.home, stem=STEMS[KeyRole.MODEL])
        click.echo(f"First run: made the key for models {made.private}")
    private = key or str(own)
    signer = open_signer(private, get_password_source(settings))
    refuse_second_role(settings.home, KeyRole.MODEL, signer.public_pem())
    if settings.place.kept:
        _refuse_ended(settings, signer)
    return signer, private


def _refuse_ended(settings: AuditorSettings, signer: Signer) -> None:
    """Ask the ledger of the key; a database is loaded only by those who have one."""
    from auditor.cli.key_options import load_key_registry  # noqa: PLC0415 -- twice the start of a command

    life = load_key_registry(settings).lives.get(signer.public_pem().decode())
    if life is not None:
        refuse_ended_key(life, KeyRole.MODEL, utc_now())


def _chain(path: Path, signer: Signer) -> tuple[X509Certificate, ...]:
    chain = load_certificates(path)
    refuse_unfit_chain(chain, signer, VerificationTime(datetime.now(UTC)))
    return chain


def _say(
    artifact: Path, out: Path, signer: Signer, private: str, chain: tuple[X509Certificate, ...]
) -> None:
    if chain:
        names = (
            ", ".join(map(str, chain[0].names)) or "nobody: its certificate bears no e-mail or URI"
        )
        click.echo(f"Signed {artifact} as {names} into {out}")
        return
    identity = read_public_key(signer.public_pem()).identity
    click.echo(f"Signed {artifact} as {identity} into {out}")
    lies = (
        Path(private).with_suffix(".pub")
        if parse_signer_scheme(private) is None
        else f"`auditor keys show --pem '{private}'` prints it"
    )
    click.echo(f"Name the public half of that key under model.key in the audit file: {lies}")
