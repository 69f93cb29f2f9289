"""People who decide at the pages: what they sign there is what the API takes, and no more."""

import html
import re
from dataclasses import dataclass

import pytest
from deciding_people import Someone, as_a_browser, audited, later, look, policy_of, somebody
from visited_pages import Pages, Visitor

from auditor._time import utc_now
from auditor.service.domain.access import AccessRole

HIDDEN = re.compile(r'<input type="hidden" name="([a-z_]+)" value="([^"]*)">')
CHOICE = re.compile(r'name="(case-\d+)"')
VERDICT = "Awaiting approval"


@dataclass(frozen=True)
class Seat:
    """A project of its own with its pages: an approver and an admin at browsers."""

    pages: Pages
    project: str
    keys: dict[str, str]

    def visit(self, role: str = "approver") -> Visitor:
        return self.pages.visit(self.keys[role])

    def person(self, name: str, *may: str, caller: str = "") -> Someone:
        more = {"caller": self.keys[caller].split("_")[1]} if caller else {}
        return somebody(self.pages.world, name, *may, key=self.keys["admin"], **more)


@pytest.fixture(scope="module")
def seat(pages: Pages) -> Seat:
    world, project = pages.world, "seat"
    keys = {role.value: world.key(project, role) for role in AccessRole}
    return Seat(pages, project, keys)


def hidden(page: str) -> dict[str, str]:
    """Return what the last form of a page holds."""
    form = page[page.rindex('<form method="post" action="/de') :]
    return {name: html.unescape(value) for name, value in HIDDEN.findall(form)}


def standing(seat: Seat, audit: str) -> str:
    world = seat.pages.world
    return str(world.call("GET", f"/v1/audits/{audit}", seat.keys["viewer"]).json()["standing"])


def decide(seat: Seat, person: Someone, kind: str, audit: str, **words: str) -> tuple[int, str]:
    """Fill in a form, sign what it is answered with, and hand that in."""
    visitor, where = seat.visit(), f"/decide/{audit}/{kind}"
    asked = visitor.get(f"{where}?finding={words.get('finding', '')}")
    assert asked.status_code == 200, asked.text
    fields = {**hidden(asked.text), "key": person.pem, **words}
    drawn = visitor.form(where, **fields)
    if drawn.status_code != 200:
        return drawn.status_code, drawn.text
    made = hidden(drawn.text)
    signed = {**made, "key": person.pem, "signature": as_a_browser(person.signer, made["to_sign"])}
    answer = visitor.form(f"/decisions/{kind}", **signed)
    return answer.status_code, answer.headers.get("location", answer.text)


def test_a_waiver_and_a_yes_are_signed_on_pages_and_count(seat: Seat) -> None:
    policy = policy_of("at-pages", approvals=1)
    audit = audited(seat.pages.world, policy, seat.keys["submitter"])
    anna, bob = seat.person("Anna", "waiver"), seat.person("<b>Bob</b>", "approval")
    page = seat.visit().get(f"/audits/{audit}").text
    assert f"/decide/{audit}/waiver?finding=0" in page
    assert f"/decide/{audit}/approval" not in page  # it does not pass
    assert "/decide/" not in seat.visit("viewer").get(f"/audits/{audit}").text
    words = {
        "finding": "0", "owner": "olga@example.org", "ticket": "RISK-7",
        "reason": "The sensor is\r\nreplaced in April.", "expires": later(utc_now(), 30)[:10],
    }  # fmt: skip
    assert decide(seat, anna, "waiver", audit, **{**words, "reason": "no"})[0] == 422
    assert decide(seat, anna, "waiver", audit, **{**words, "owner": ""})[0] == 422
    told = decide(seat, bob, "waiver", audit, **words)
    assert told[0] == 422
    assert "&lt;b&gt;Bob&lt;/b&gt; has no permission to sign: waiver" in told[1]
    assert decide(seat, anna, "waiver", audit, **words) == (303, f"/audits/{audit}")
    assert standing(seat, audit) == "awaiting approval"
    stands = seat.visit().get(f"/audits/{audit}").text
    assert "Awaiting approval" in stands
    assert "2 records: the first one, and 1 re-evaluated" in stands
    for path, seen in (("/audits?verdict=pass", True), ("/audits?verdict=fail", False)):
        assert (audit in seat.visit("viewer").get(path).text) is seen, path
    home = seat.visit("viewer").get("/").text
    assert "The latest audit of each model passed." in home

    said = {"answer": "yes", "role": "model risk", "reason": "All findings are known."}
    assert decide(seat, bob, "approval", audit, **{**said, "answer": "perhaps"})[0] == 422
    assert decide(seat, bob, "approval", audit, **said)[0] == 303
    assert standing(seat, audit) == "approved"
    # As the report does, pages show a pass that stands by a waiver as no plain one
    for path in (f"/audits/{audit}", "/audits", "/", "/models"):
        shown = seat.visit("viewer").get(path).text
        assert "Approved by exception</span>" in shown, path
    assert "<span>Approved</span></h1>" not in seat.visit().get(f"/audits/{audit}").text
    listed = seat.visit("viewer").get("/decisions").text
    assert "Approves" in listed
    assert "Waives a rule" in listed
    assert "&lt;b&gt;Bob&lt;/b&gt;" in listed
    assert "<b>Bob" not in listed
    found = re.findall(r'href="(/(?:decisions|records)/[^"?]+)"', listed)
    assert {seat.visit("viewer").get(where).status_code for where in found} == {200, 303}
    assert {seat.pages.visit("admin").get(where).status_code for where in found} == {404}
    foreign = seat.pages.visit("admin").get("/decisions").text
    assert not [where for where in found if where in foreign]

    blame = {"role": "clinician", "reason": "Row r17 is a scar."}
    eve = seat.person("Eve", "finding")
    assert decide(seat, eve, "finding", audit, **blame)[0] == 303
    assert standing(seat, audit) == "failed"
    assert "Row r17 is a scar." in seat.visit("viewer").get(f"/audits/{audit}").text


def test_what_is_not_signed_by_its_person_or_of_this_record_is_not_taken(seat: Seat) -> None:
    policy = policy_of("not-taken", 0.6, approvals=1)
    audit = audited(seat.pages.world, policy, seat.keys["submitter"])
    carl, dora = seat.person("Carl", "approval"), seat.person("Dora", "approval")
    said = {"answer": "yes", "role": "model risk", "reason": "All findings are known."}
    visitor, where = seat.visit(), f"/decide/{audit}/approval"
    fields = {**hidden(visitor.get(where).text), "key": carl.pem, **said}
    assert visitor.form(where, **{**fields, "record": "sha256:" + "0" * 64}).status_code == 422
    nobody = {**fields, "key": seat.pages.world.service.report_key.decode()}
    refused = visitor.form(where, **nobody)
    assert "browser is not registered in this project" in refused.text
    assert "All findings are known." in refused.text  # what was written is not lost
    assert visitor.form(where, **{**fields, "key": ""}).status_code == 422
    made = hidden(visitor.form(where, **fields).text)
    for signature, key in ((as_a_browser(dora.signer, made["to_sign"]), carl.pem), ("", carl.pem)):
        signed = {**made, "key": key, "signature": signature}
        assert visitor.form("/decisions/approval", **signed).status_code == 422
    # Another project's visitor can hand in nothing of it either.
    good = {**made, "key": carl.pem, "signature": as_a_browser(carl.signer, made["to_sign"])}
    foreign = seat.pages.visit("admin")
    refused = foreign.form("/decisions/approval", **{**good, "token": foreign.token()})
    assert "is not the key of a person in this project" in refused.text
    assert standing(seat, audit) == "awaiting approval"


def test_who_has_to_label_sees_no_verdict_before(seat: Seat) -> None:
    policy = policy_of("blind", 0.6, approvals=1, blind_labels=3)
    audit = audited(seat.pages.world, policy, seat.keys["submitter"])
    assert VERDICT in seat.visit("viewer").get(f"/audits/{audit}").text
    assert VERDICT in seat.visit().get(f"/audits/{audit}?look=yes").text  # not known who it is
    gina = seat.person("Gina", "approval", caller="approver")
    visitor = seat.visit()
    for path in (f"/audits/{audit}", f"/audits/{audit}?look=yes", f"/audits/{audit}/live"):
        page = visitor.get(path).text
        assert "Label first" in page, path
        assert VERDICT not in page, path
        assert "It is right" not in page, path
        assert f"/audits/{audit}/report" not in page, path
    said = {"answer": "yes", "role": "model risk", "reason": "All findings are known."}
    told = decide(seat, gina, "approval", audit, **said)
    assert told[0] == 422
    assert "were not labelled" in told[1]
    where = f"/decide/{audit}/label"
    page = visitor.get(where).text
    cases = CHOICE.findall(page)
    assert len(cases) == 3
    fields = {"person": gina.id, **dict.fromkeys(cases, "yes")}
    assert visitor.form(where, **{**fields, cases[0]: ""}).status_code == 422
    assert visitor.form(where, **fields).status_code == 303
    after = visitor.get(f"/audits/{audit}").text
    assert VERDICT in after
    assert "labelled 3 cases" in after
    assert "has labelled the cases" in visitor.get(where).text
    assert decide(seat, gina, "approval", audit, **said)[0] == 303
    assert standing(seat, audit) == "approved"


def test_an_admin_names_people_and_ends_their_leave(seat: Seat) -> None:
    admin, world = seat.visit("admin"), seat.pages.world
    signer = somebody(world, "Else", "waiver").signer  # known in another project alone
    pem = signer.public_pem().decode().replace("\n", "\r\n")
    named = {"name": "Hugo", "key": pem, "may-waiver": "on"}
    for wrong in ({"name": ""}, {"key": "no key"}, {"key": world.service.report_key.decode()},
                  {"caller": world.keys["admin"].split("_")[1]}):  # fmt: skip
        assert admin.form("/people", **{**named, **wrong}).status_code in {404, 422}, wrong
    assert "can now sign decisions in this project" in admin.form("/people", **named).text
    assert admin.form("/people", **named).status_code == 422  # the key is somebody's
    people = world.service.people.people
    hugo = next(it for it in people.all(seat.project) if it.name == "Hugo")
    assert sorted(hugo.may) == ["waiver"]
    asked = seat.visit().form("/signing", key=pem)
    assert "Hugo" in asked.text
    assert admin.form(f"/people/{hugo.id}/end", reason="").status_code == 422
    assert seat.pages.visit("admin").form(f"/people/{hugo.id}/end", reason="x").status_code == 404
    assert admin.form(f"/people/{hugo.id}/end", reason="left us").status_code == 303
    page = admin.get("/people").text
    assert "left us" in page
    assert look(world, world.done)["standing"] == "passed"


def test_where_a_browser_signs_nothing_the_page_says_so_and_shows_the_command(seat: Seat) -> None:
    audit = audited(seat.pages.world, policy_of("no-script"), seat.keys["submitter"])
    page = seat.visit().get(f"/decide/{audit}/waiver?finding=0").text
    shown = re.findall(r'<[a-z]+ [^>]*data-when="([a-z]+)"(?: hidden)?>', page)
    unhidden = re.findall(r'<[a-z]+ [^>]*data-when="([a-z]+)">', page)
    assert set(shown) == {"unable", "none", "other", "key"}
    assert unhidden == ["unable"]  # until a script has seen that it can sign
    assert "auditor waive" in page
    assert "--rule accuracy" in page
