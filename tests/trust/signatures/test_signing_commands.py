"""`auditor sign` and `auditor verify` as commands, by keys and by certificates."""

import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from authority_forge import EMAIL, URI, Pki, Wish
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hostile_trust import keyless

from auditor.cli.main import main
from auditor.trust.signatures.keys import KeySigner

Command = Callable[..., tuple[int, str]]


@pytest.fixture
def auditor(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """The command in this process: arguments in, exit code and words out."""

    def call(*arguments: object) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["auditor", *map(str, arguments)])
        monkeypatch.setenv("COLUMNS", "200")
        with pytest.raises(SystemExit) as stopped:
            main()
        captured = capsys.readouterr()
        assert isinstance(stopped.value.code, int)
        return stopped.value.code, " ".join((captured.out + captured.err).split())

    return call


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder with a model, a key, its chain, and the root that issued it."""
    (tmp_path / "model" / "lib").mkdir(parents=True)
    (tmp_path / "model" / "a.bin").write_bytes(bytes(10_000))
    (tmp_path / "model" / "lib" / "b.py").write_bytes(b"x = 1")
    save(Pki.lasting(), tmp_path)
    return tmp_path


def save(pki: Pki, place: Path) -> None:
    key = pki.own_key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (place / "leaf.key").write_bytes(key)
    (place / "chain.pem").write_bytes(b"".join(item.pem for item in pki.chain))
    (place / "root.pem").write_bytes(pki.root.pem)


def signed(auditor: Command, place: Path, *more: object) -> Path:
    out = place / "model.sig"
    key = ("--key", place / "leaf.key")
    code, said = auditor("sign", place / "model", "--out", out, *key, *more)
    assert code == 0, said
    return out


def by_root(place: Path, *more: object) -> tuple[object, ...]:
    options = ("--signature", place / "model.sig", "--roots", place / "root.pem")
    return ("verify", place / "model", *options, *more)


def test_a_certificate_signs_and_its_root_and_name_verify(auditor: Command, place: Path) -> None:
    signed(auditor, place, "--certificate", place / "chain.pem")
    for name in (EMAIL, f"email:{EMAIL}", URI):
        code, said = auditor(*by_root(place, "--identity", name))
        assert (code, "failed" in said) == (0, False), said
        assert f"holds under {'uri:' + URI if name == URI else 'email:' + EMAIL}" in said
    code, said = auditor(*by_root(place, "--identity", "intern@acme.example"))
    assert (code, "IDENTITY" in said) == (1, True)
    for other in (f"uri:{EMAIL}", f"email:{URI}", f"uri:email:{EMAIL}"):
        code, said = auditor(*by_root(place, "--identity", other))
        assert (code, "IDENTITY" in said) == (1, True), other
    (place / "model" / "hook.py").touch()
    code, said = auditor(*by_root(place, "--identity", EMAIL))
    assert (code, "EXTRA_FILE: 'hook.py'" in said) == (1, True)


def test_certificates_are_judged_now_or_at_a_time_that_the_user_vouches_for(
    auditor: Command, place: Path
) -> None:
    signed(auditor, place, "--certificate", place / "chain.pem")
    who = ("--identity", EMAIL)
    assert auditor(*by_root(place, *who, "--at", "2026-06-02T00:00:00Z"))[0] == 0
    code, said = auditor(*by_root(place, *who, "--at", "2021-01-01T00:00:00Z"))
    assert (code, "CERT_TIME" in said) == (1, True)
    code, said = auditor(*by_root(place, *who, "--at", "yesterday"))
    assert (code, "--at yesterday is not a time" in said) == (2, True)


def test_a_revoked_certificate_no_longer_verifies(auditor: Command, place: Path) -> None:
    signed(auditor, place, "--certificate", place / "chain.pem")
    digest = Pki.lasting().leaf.read.digest
    code, said = auditor(*by_root(place, "--identity", EMAIL, "--revoked", digest))
    assert (code, "REVOKED" in said) == (1, True)
    code, said = auditor(*by_root(place, "--identity", EMAIL, "--revoked", "abc"))
    assert (code, "--revoked abc is not a SHA-256 digest" in said) == (2, True)


@pytest.mark.parametrize(
    "how",
    [
        ("--hash", "blake2b"),
        ("--hash", "blake3"),
        ("--shard-size", 4096),
        ("--hash", "blake3", "--shard-size", 5000),
    ],
)
def test_a_model_is_verified_as_it_was_hashed(
    how: tuple[object, ...], auditor: Command, place: Path
) -> None:
    signed(auditor, place, *how)
    key = place / "leaf.pub"
    key.write_bytes(PUBLIC)
    asked = ("verify", place / "model", "--signature", place / "model.sig", "--key", key)
    assert auditor(*asked)[0] == 0
    (place / "model" / "a.bin").write_bytes(bytes(9_999) + b"1")
    code, said = auditor(*asked)
    assert (code, "DIGEST_MISMATCH" in said) == (1, True)


PUBLIC = KeySigner(Pki.lasting().own_key).public_pem()


def test_the_profile_compat_warns_where_strict_refuses(auditor: Command, place: Path) -> None:
    signed(auditor, place)
    (place / "leaf.pub").write_bytes(PUBLIC)
    (place / "model" / ".gitattributes").write_bytes(b"*.bin filter=lfs")
    asked = ("verify", place / "model", "--signature", place / "model.sig",
             "--key", place / "leaf.pub")  # fmt: skip
    code, said = auditor(*asked)
    assert (code, "GIT_ATTRIBUTES" in said) == (1, True)
    code, said = auditor(*asked, "--profile", "compat")
    assert (code, "GIT_ATTRIBUTES" in said) == (0, True)


ONE_WAY = "Exactly one source of trust is needed"
NAMELESS = "Without an identity"
OF_A_KEY = "--identity and --issuer do not work with --key"
WRONG = {
    "nobody": ((), ONE_WAY),
    "two ways": (("--roots", "root.pem", "--key", "leaf.pub"), ONE_WAY),
    "no name": (("--roots", "root.pem"), NAMELESS),
    "an issuer of certificates": (
        ("--roots", "root.pem", "--identity", "a@b.c", "--issuer", "https://x"), NAMELESS
    ),
    "a name of no kind": (("--roots", "root.pem", "--identity", "release"), "email:a@b.example"),
    "an empty name": (("--roots", "root.pem", "--identity", ""), "email:a@b.example"),
    "no issuer": (("--trusted-root", "root.pem", "--identity", "a@b.c"), NAMELESS),
    "a name of a key": (("--key", "leaf.pub", "--identity", "a@b.c"), OF_A_KEY),
    "a key for a root": (("--roots", "leaf.key", "--identity", "a@b.c"), "private key"),
    "no file": (("--roots", "no.pem", "--identity", "a@b.c"), "no.pem cannot be read"),
    "no trust root": (
        ("--trusted-root", "no.json", "--identity", "a@b.c", "--issuer", "https://x"), "no.json"
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", WRONG)
def test_it_must_be_clear_whom_to_trust(
    what: str, auditor: Command, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    signed(auditor, place, "--certificate", place / "chain.pem")
    (place / "leaf.pub").write_bytes(PUBLIC)
    monkeypatch.chdir(place)
    options, words = WRONG[what]
    code, said = auditor("verify", "model", "--signature", "model.sig", *options)
    assert (code, words in said) == (2, True), said


def test_a_record_is_verified_by_a_key_alone(auditor: Command, place: Path) -> None:
    code, said = auditor("verify", place, "--roots", place / "root.pem", "--identity", EMAIL)
    assert (code, "needs exactly one of --key and --trust, and no other trust options" in said) == (
        2,
        True,
    )


def test_a_certificate_signs_only_with_its_key_and_in_its_time(
    auditor: Command, place: Path
) -> None:
    out = ("--out", place / "model.sig")
    code, said = auditor("sign", place / "model", *out, "--certificate", place / "chain.pem")
    assert (code, "Add --key" in said) == (2, True)
    save(Pki.made(Wish(until=timedelta(days=-20))), place)
    code, said = auditor("sign", place / "model", *out, "--key", place / "leaf.key",
                         "--certificate", place / "chain.pem")  # fmt: skip
    assert (code, "valid from" in said) == (2, True)
    assert not (place / "model.sig").exists()


def test_a_keyless_bundle_that_nobody_vouches_for_is_refused(auditor: Command, place: Path) -> None:
    (place / "model.sig").write_bytes(keyless(Pki.lasting()))
    (place / "trusted_root.json").write_bytes(b"{}")
    asked = ("verify", place / "model", "--signature", place / "model.sig")
    root = ("--trusted-root", place / "trusted_root.json")
    code, said = auditor(*asked, *root, "--identity", "a@b.c", "--issuer", "https://x")
    assert (code, "trust root of Sigstore cannot be read" in said) == (2, True), said
