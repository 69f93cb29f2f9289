"""A token of an identity provider that is believed is a caller; any other is nobody."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from joserfc.jwk import RSAKey
from served_worlds import World, problem
from starlette.testclient import TestClient
from token_makers import AUDIENCE, ISSUER, NOW, Provider, by_secret, jwks, part, short_key, signed

from auditor.errors import ForbiddenError, IssuerLostError, UnauthorizedError, UsageError
from auditor.service.api.app import build_app
from auditor.service.auth.oidc import (
    AGAIN,
    FRESH,
    STALE,
    IssuerKeySet,
    TokenAlgorithm,
    TokenVerifier,
    fetch_key_document,
    load_token_verifier,
    read_issuers,
)
from auditor.service.domain.access import AccessRole


@pytest.fixture(scope="module")
def provider(tmp_path_factory: pytest.TempPathFactory) -> Provider:
    return Provider(tmp_path_factory.mktemp("provider"))


@pytest.fixture(scope="module")
def tokens(provider: Provider) -> TokenVerifier:
    return replace(load_token_verifier(provider.write()), now=lambda: NOW)


@pytest.mark.parametrize(("kid", "algorithm"), [("rsa", "RS256"), ("ec", "ES256"), ("ed", "EdDSA")])
def test_a_token_is_a_caller_of_the_project_and_role_of_its_grant(
    tokens: TokenVerifier, provider: Provider, kid: str, algorithm: str
) -> None:
    caller = tokens.caller_of(provider.token(kid, algorithm))
    assert (caller.project, caller.role) == ("default", AccessRole.SUBMITTER)
    assert caller.subject == f"{ISSUER} repo:acme/model"
    assert caller.id.startswith("oidc-")
    assert caller.id == tokens.caller_of(provider.token()).id
    assert caller.id != tokens.caller_of(provider.token(sub="repo:acme/other")).id


def test_a_grant_takes_one_item_of_a_list_and_all_that_it_names(
    tokens: TokenVerifier, provider: Provider
) -> None:
    admin = provider.token(groups=["people", "auditors"], ref="other")
    assert tokens.caller_of(admin).role is AccessRole.ADMIN
    for wrong in ({"ref": "other"}, {"repository": "acme/model2"}, {"ref": None}, {"ref": True}):
        with pytest.raises(ForbiddenError, match="no grant matches its claims"):
            tokens.caller_of(provider.token(**wrong))


@pytest.mark.parametrize(
    "changes",
    [
        {"exp": NOW - 60}, {"exp": None}, {"exp": "tomorrow"}, {"exp": True},
        {"nbf": NOW + 61}, {"iat": NOW + 61}, {"iat": "now"},
        {"aud": "https://another.example"}, {"aud": None}, {"aud": []}, {"aud": [AUDIENCE + "/"]},
        {"iss": "https://evil.example"}, {"iss": None}, {"iss": [ISSUER]}, {"iss": ISSUER + "/"},
        {"sub": None}, {"sub": ""}, {"sub": 7}, {"sub": "x" * 501},
    ],
    ids=str,
)  # fmt: skip
def test_a_token_of_another_time_issuer_or_audience_is_nobody(
    tokens: TokenVerifier, provider: Provider, changes: dict[str, object]
) -> None:
    with pytest.raises(UnauthorizedError):
        tokens.caller_of(provider.token(**changes))


def test_clocks_may_differ_by_a_minute(tokens: TokenVerifier, provider: Provider) -> None:
    for changes in ({"exp": NOW - 59}, {"nbf": NOW + 60}, {"iat": NOW + 60}):
        assert tokens.caller_of(provider.token(**changes))


@pytest.mark.parametrize(
    ("issued", "hours"), [(None, 24.02), (NOW, 24.02), (NOW - 23 * 3600, 2), (NOW + 60, 24.02)]
)
def test_a_token_that_holds_for_too_long_is_nobody(
    tokens: TokenVerifier, provider: Provider, issued: int | None, hours: float
) -> None:
    with pytest.raises(UnauthorizedError, match="is valid for more than 24 hours, the limit"):
        tokens.caller_of(provider.token(iat=issued, exp=NOW + int(hours * 3600)))
    assert tokens.caller_of(provider.token(iat=issued, exp=NOW + 1800))


def test_an_unsigned_token_is_nobody(tokens: TokenVerifier, provider: Provider) -> None:
    claims = provider.claims()
    for name in ("none", "None", "NONE", ""):
        header = {"alg": name, "kid": "rsa"}
        for signature in ("", part(b"x")):
            with pytest.raises(UnauthorizedError):
                tokens.caller_of(f"{part(header)}.{part(claims)}.{signature}")


def test_a_public_key_is_never_taken_as_a_shared_secret(
    tokens: TokenVerifier, provider: Provider
) -> None:
    public = provider.keys["rsa"].as_dict(private=False)
    for secret in (provider.keys["rsa"].as_pem(private=False), json.dumps(public).encode()):
        with pytest.raises(UnauthorizedError):
            tokens.caller_of(by_secret(secret, "rsa", provider.claims()))


def test_a_key_signs_by_its_own_algorithm_alone(tokens: TokenVerifier, provider: Provider) -> None:
    for kid, algorithm in (("rsa", "RS512"), ("rsa", "PS256")):
        with pytest.raises(UnauthorizedError):
            tokens.caller_of(provider.token(kid, algorithm))
    # Signed well, under the name of a key of another kind.
    token = signed(provider.keys["ec"], "rsa", "ES256", provider.claims())
    with pytest.raises(UnauthorizedError, match="not one of its issuer"):
        tokens.caller_of(token)


def test_a_key_that_the_token_brings_along_is_no_key(
    tokens: TokenVerifier, provider: Provider
) -> None:
    mine = RSAKey.generate_key(2048)
    brought = {"jwk": mine.as_dict(private=False), "jku": "https://evil.example", "x5c": ["AA=="]}
    good = provider.token().split(".")
    for kid in ("rsa", "mine", None):
        token = signed(mine, kid, "RS256", provider.claims()).split(".")
        with pytest.raises(UnauthorizedError):
            tokens.caller_of(".".join(token))
        header = {"alg": "RS256", "kid": kid, **brought}
        with pytest.raises(UnauthorizedError):
            tokens.caller_of(f"{part(header)}.{token[1]}.{token[2]}")
    crit = {"alg": "RS256", "kid": "rsa", "crit": ["b64"], "b64": False}
    with pytest.raises(UnauthorizedError):
        tokens.caller_of(f"{part(crit)}.{good[1]}.{good[2]}")


def test_what_was_changed_after_it_was_signed_is_nobody(
    tokens: TokenVerifier, provider: Provider
) -> None:
    header, _, signature = provider.token().split(".")
    other = part(provider.claims(groups=["auditors"]))
    with pytest.raises(UnauthorizedError, match="signature"):
        tokens.caller_of(f"{header}.{other}.{signature}")


@pytest.mark.parametrize(
    "text",
    ["..", "a.b.c", "é.é.é", f"{part([])}.{part([])}.", f"{part(b'{')}.{part({})}.x",
     "x" * 20000 + "..", f"{part({'alg': ['RS256']})}.{part({'iss': ISSUER})}.x",
     f"{part({'alg': 'RS256', 'kid': {}})}.{part({'iss': ISSUER})}.x",
     f"{part(b'[' * 5000)}.{part({})}.x"],
    ids=range(9),
)  # fmt: skip
def test_what_is_no_token_is_nobody(tokens: TokenVerifier, text: str) -> None:
    with pytest.raises(UnauthorizedError):
        tokens.caller_of(text)


@dataclass
class Source:
    """What publishes keys at the seam, and a clock."""

    raw: bytes
    asked: int = 0
    at: float = 0.0

    def fetch(self) -> bytes:
        self.asked += 1
        if not self.raw:
            raise OSError
        return self.raw

    def keys(self) -> IssuerKeySet:
        return IssuerKeySet("idp", self.fetch, lambda: self.at)


def test_keys_are_kept_a_while_and_fetched_anew_for_a_name_that_is_not_among_them(
    provider: Provider,
) -> None:
    rsa = {"old": provider.keys["rsa"]}
    source = Source(jwks(rsa))
    keys = source.keys()
    assert keys.find("old", TokenAlgorithm.RS256)
    assert keys.find("old", TokenAlgorithm.RS256)
    assert source.asked == 1
    source.raw = jwks({**rsa, "new": provider.keys["rsa"]})
    # Whoever makes names up does not make us fetch more than once a minute.
    assert [keys.find(name, TokenAlgorithm.RS256) for name in ("new", "x", "y")] == [None] * 3
    assert source.asked == 1
    source.at += AGAIN + 1
    assert keys.find("new", TokenAlgorithm.RS256)
    assert source.asked == 2
    source.raw = jwks({"new": provider.keys["rsa"]})
    source.at += FRESH + 1
    assert keys.find("old", TokenAlgorithm.RS256) is None


def test_keys_hold_while_their_provider_is_away_and_not_for_ever(provider: Provider) -> None:
    source = Source(jwks({"rsa": provider.keys["rsa"]}))
    keys = source.keys()
    assert keys.find("rsa", TokenAlgorithm.RS256)
    source.raw = b""
    source.at += FRESH + 1
    assert keys.find("rsa", TokenAlgorithm.RS256)
    source.raw = b"{}"
    source.at += STALE
    with pytest.raises(IssuerLostError):
        keys.find("rsa", TokenAlgorithm.RS256)
    with pytest.raises(IssuerLostError):
        Source(b"").keys().find("rsa", TokenAlgorithm.RS256)


def test_keys_that_verify_nothing_that_we_take_are_left_out(provider: Provider) -> None:
    private = json.dumps({"keys": [{**provider.keys["ec"].as_dict(private=True), "kid": "k"}]})
    oct_key = json.dumps({"keys": [{"kty": "oct", "k": "AAAA", "kid": "k"}]})
    short, rsa = json.dumps({"keys": [short_key()]}), {"k": provider.keys["rsa"]}
    edwards = {"k": provider.keys["ed"]}
    for raw in (short.encode(), private.encode(), oct_key.encode(), jwks(rsa, use="enc"),
                jwks(rsa, alg="RS512"), jwks(rsa, alg=["RS256"]), jwks(edwards)):  # fmt: skip
        assert Source(raw).keys().find("k", TokenAlgorithm.RS256) is None
    assert Source(jwks(rsa, alg="RS256", use="sig")).keys().find("k", TokenAlgorithm.RS256)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"algorithms": ["HS256"]}, "algorithms"),
        ({"algorithms": ["none"]}, "algorithms"),
        ({"algorithms": []}, "algorithms"),
        ({"audience": ""}, "audience"),
        ({"grants": []}, "grants"),
        ({"grants": [{"claims": {}, "project": "default", "role": "viewer"}]}, "claims"),
        ({"grants": [{"claims": {"a": "b"}, "project": "default", "role": "owner"}]}, "role"),
        ({"grants": [{"claims": {"a": "b"}, "project": "default", "role": "agent"}]}, "role agent"),
        ({"jwks": "http://idp.example/jwks"}, "others on the network"),
        ({"jwks": "ftp://idp.example/jwks"}, "others on the network"),
        ({"jwks": "nothing.json"}, "has no usable keys"),
        ({"jwks": "oidc.yaml"}, "has no usable keys"),
        ({"secret": "x"}, "secret"),
    ],
)  # fmt: skip
def test_settings_that_would_let_anybody_in_stop_the_start(
    tmp_path: Path, provider: Provider, changes: dict[str, object], said: str
) -> None:
    path = replace(provider, folder=tmp_path).write(**changes)
    with pytest.raises(UsageError, match=said):
        load_token_verifier(path)


def test_an_address_on_this_machine_may_be_spoken_to_plainly(
    tmp_path: Path, provider: Provider
) -> None:
    local = "http://127.0.0.1:1/jwks"
    (issuer,) = read_issuers(replace(provider, folder=tmp_path).write(jwks=local))
    assert issuer.keys == local
    with pytest.raises(OSError, match="refused"):
        fetch_key_document(local)


def test_the_settings_of_the_documentation_are_accepted(tmp_path: Path) -> None:
    page = (Path(__file__).parents[3] / "docs" / "tokens.md").read_text(encoding="utf-8")
    path = tmp_path / "oidc.yaml"
    path.write_text(page.partition("```yaml\n")[2].partition("```")[0])
    hub, lab = read_issuers(path)
    claims = {"repository": "acme/models", "ref": "refs/heads/main", "sub": "…"}
    assert hub.grant({**claims, "repository_owner_id": "123456"}) == hub.grants[0]
    assert hub.grant({**claims, "repository_owner_id": "654321"}) is None
    assert lab.grant({"project_path": "acme/models", "ref_protected": "true"}) == lab.grants[0]


@pytest.fixture
def door(world: World, tokens: TokenVerifier) -> Iterator[World]:
    """The same service, which believes the provider."""
    service = replace(world.service, tokens=tokens)
    app = build_app(service)
    with TestClient(app, client=("127.0.0.1", 50000)) as client:
        yield replace(world, service=service, app=app, client=client)


def test_a_token_submits_and_makes_no_keys_unless_it_is_an_admins(
    door: World, provider: Provider
) -> None:
    job, admin = provider.token(), provider.token(groups=["auditors"], ref="x", sub="erika")
    door.upload_example(job)
    audit = door.call("POST", "/v1/audits", job, json=door.body()).json()
    assert audit["submitter"].startswith("oidc-")
    assert door.call("POST", f"/v1/audits/{audit['id']}/cancel", job).status_code == 200
    asked = {"name": "by a token", "role": "viewer"}
    assert door.call("POST", "/v1/keys", job, json=asked).status_code == 403
    assert door.call("GET", "/v1/acts", job).status_code == 403
    assert door.call("POST", "/v1/keys", admin, json=asked).status_code == 201
    made, cancelled = door.call("GET", "/v1/acts?limit=2", admin).json()["acts"]
    assert made["subject"] == f"{ISSUER} erika"
    assert (cancelled["about"], cancelled["caller"]) == (audit["id"], audit["submitter"])
    line = next(line for line in reversed(door.log) if line.get("caller") == audit["submitter"])
    assert job.split(".")[2] not in str(line)


def test_a_token_that_does_not_hold_is_told_so_and_keys_go_on_working(
    door: World, provider: Provider, world: World
) -> None:
    refused = door.call("GET", "/v1/targets", provider.token(exp=NOW - 300))
    assert refused.status_code == 401
    assert problem(refused)["type"].endswith("/unauthorized")
    assert door.call("GET", "/v1/targets", provider.token(ref="other")).status_code == 403
    assert door.call("GET", "/v1/targets", "viewer").status_code == 200
    assert world.call("GET", "/v1/targets", provider.token()).status_code == 401
