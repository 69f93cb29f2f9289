"""Forms of the pages: taken from our own pages alone, read strictly, and done once."""

import pytest
from visited_pages import BASE, OURS, Pages, handed_in

from auditor.service.domain.submissions import SubmissionState
from auditor.service.web.pages.login import choose_return_path


def test_a_form_from_elsewhere_changes_nothing(pages: Pages) -> None:
    world = pages.world
    name = handed_in(world, "default", "forged")
    visitor, other = pages.visit("submitter"), pages.visit("admin")
    where, good = f"/audits/{name}/cancel", {"token": visitor.token()}
    refused = [
        ({"reason": "none"}, OURS),
        ({"token": ""}, OURS),
        ({"token": other.token()}, OURS),
        (good, {}),
        (good, {"Origin": "null"}),
        (good, {"Origin": "https://evil.example"}),
        (good, {"Origin": f"{BASE}.evil.example"}),
        (good, {**OURS, "Sec-Fetch-Site": "cross-site"}),
        (good, {**OURS, "Sec-Fetch-Site": "same-site"}),
    ]
    for fields, headers in refused:
        answer = visitor.send(where, fields, headers)
        assert answer.status_code == 403, (fields, headers)
    assert world.service.kept.state(name) is SubmissionState.RUNNING
    assert visitor.send(where, good).status_code == 303
    assert world.service.kept.state(name) is SubmissionState.CANCELLED
    assert visitor.send(where, good).status_code == 409


def test_a_form_from_elsewhere_logs_nobody_in(pages: Pages) -> None:
    nobody, key = pages.nobody(), {"key": pages.world.keys["viewer"]}
    assert nobody.send("/login", key, {"Origin": "https://evil.example"}).status_code == 403
    assert nobody.send("/login", key, {**OURS, "Sec-Fetch-Site": "cross-site"}).status_code == 403
    behind = {"Origin": "https://auditor.example.org", "Sec-Fetch-Site": "same-origin"}
    assert nobody.send("/login", key, behind).status_code == 303  # a proxy changed the host


@pytest.mark.parametrize(
    ("body", "media", "status"),
    [
        (b"key=a&key=b", "application/x-www-form-urlencoded", 422),
        (b"key=" + b"a" * 40_000, "application/x-www-form-urlencoded", 413),
        (b"&".join(b"a%d=1" % n for n in range(70)), "application/x-www-form-urlencoded", 422),
        (b"key=%ff", "application/x-www-form-urlencoded", 422),
        (b"\xff", "application/x-www-form-urlencoded", 422),
        (b'{"key": "a"}', "application/json", 422),
        (b"", "text/plain", 422),
    ],
)
def test_a_malformed_form_is_refused(pages: Pages, body: bytes, media: str, status: int) -> None:
    headers = {**OURS, "Content-Type": media}
    answer = pages.nobody().client.post("/login", content=body, headers=headers)
    assert answer.status_code == status
    assert "<h1>" in answer.text


@pytest.mark.parametrize(
    ("said", "led"),
    [
        ("/audits?state=done", "/audits?state=done"),
        ("//evil.example", "/"),
        ("https://evil.example", "/"),
        ("/\\evil.example", "/"),
        ("/\tevil", "/"),
        ("/login?next=/login", "/"),
        ("", "/"),
        ("/" + "a" * 600, "/"),
    ],
)
def test_logging_in_leads_to_our_own_pages_alone(said: str, led: str) -> None:
    assert choose_return_path(said) == led


def test_a_made_key_is_shown_once_holds_and_ends(pages: Pages) -> None:
    admin = pages.visit("admin")
    made = admin.form("/keys", name="<b>pipeline</b>", role="submitter", expires="")
    assert made.status_code == 200
    text = next(word for word in made.text.replace("<", " ").replace(">", " ").split()
                if word.startswith("auk_") and len(word) > 50)  # fmt: skip
    assert "&lt;b&gt;pipeline&lt;/b&gt;" in made.text
    assert text not in admin.get("/keys").text
    pipeline = pages.log_in(text)
    key = text.split("_")[1]
    assert admin.form(f"/keys/{key}/end", reason="").status_code == 422
    assert admin.form(f"/keys/{key}/end", reason="it stood in a log").status_code == 303
    assert pipeline.get("/").status_code == 303
    for fields in ({"name": "", "role": "viewer"}, {"name": "a", "role": "king"},
                   {"name": "a", "role": "viewer", "expires": "2020-01-01"},
                   {"name": "a", "role": "viewer", "expires": "soon"}):  # fmt: skip
        assert admin.form("/keys", **fields).status_code == 422, fields
    mine = pages.world.keys["admin"].split("_")[1]
    assert admin.form(f"/keys/{mine}/end", reason="by mistake").status_code == 409
