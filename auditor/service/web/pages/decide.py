"""Decide on an audit: waive a rule, say yes or no, find fault, and label cases before."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Query, Request, Response
from starlette.responses import RedirectResponse

from auditor.api.admitting import Approver
from auditor.api.reading import AuditId
from auditor.domain.people import DecisionKind, Labelled
from auditor.errors import InvalidInputError
from auditor.people.labelling import drawn, label
from auditor.refusals import NotFoundError
from auditor.web.deciding import Matter, drafted, holder, matter_of
from auditor.web.entries import Entry
from auditor.web.forms import form_of
from auditor.web.looking import show
from auditor.web.parts import Shown, Site, Visit
from auditor.web.routing import routes
from auditor.web.standing import may_approve, own

INVALID, SEE_OTHER = 422, 303
TITLES: Mapping[DecisionKind, str] = {
    DecisionKind.WAIVER: "Waive a rule",
    DecisionKind.APPROVAL: "Approve or reject",
    DecisionKind.FINDING: "Find fault",
}
router = routes()
Place = Annotated[str, Query(max_length=4)]


@router.get("/decide/{audit}/label")
def cases(request: Request, audit: AuditId, caller: Approver, site: Shown) -> Response:
    """Show the cases that a person labels first, whom the key that calls tells of."""
    matter, panel = matter_of(site, caller, audit), site.service.people
    mine = may_approve(own(panel, caller))
    return _cases(request, site, matter, mine[0].id if mine else "")


@router.post("/decide/{audit}/label")
def named(request: Request, audit: AuditId, caller: Approver, site: Shown) -> Response:
    """Take what a person calls the cases; or show these to whoever has the browser's key."""
    matter, form, panel = matter_of(site, caller, audit), form_of(request), site.service.people
    who = form.get("person", "")
    if not who:
        who = holder(panel, caller.project, form.get("key", "")).id
        return _cases(request, site, matter, who)
    found = drawn(panel, caller.project, matter.record, who)
    labels = {case.id: form.get(f"case-{at}", "") for at, case in enumerate(found.cases)}
    given = Labelled(record=matter.record, person=who, labels=labels, by=caller.id)
    label(panel, caller.project, given)
    return RedirectResponse(f"/audits/{audit}?look=yes", SEE_OTHER)


@router.get("/decide/{audit}/{kind}")
def ask(
    request: Request, audit: AuditId, kind: DecisionKind, caller: Approver, visit: Visit,
    site: Shown, finding: Place = "",
) -> Response:  # fmt: skip
    """Ask what somebody has to say of an audit."""
    matter = matter_of(site, caller, audit)
    return _asked(request, matter, kind, {"finding": finding}, origin=visit.origin)


@router.post("/decide/{audit}/{kind}")
def draft(
    request: Request, audit: AuditId, kind: DecisionKind, caller: Approver, visit: Visit,
    site: Shown,
) -> Response:  # fmt: skip
    """Write what is to be signed, and show it to who signs."""
    matter, form = matter_of(site, caller, audit), form_of(request)
    try:
        made = drafted(site, matter, kind, form)
    except NotFoundError:
        raise
    except InvalidInputError as error:
        problem = f"{error.problem}. {error.cure}"
        return _asked(request, matter, kind, form, INVALID, problem, origin=visit.origin)
    return show(request, "sign", title=f"Sign as {made.person.name}", draft=made, audit=audit,
                kind=kind.value, what=TITLES[kind])  # fmt: skip


def _asked(
    request: Request, matter: Matter, kind: DecisionKind, form: Mapping[str, str],
    status: int = 200, problem: str = "", *, origin: str,
) -> Response:  # fmt: skip
    row = matter.finding(form.get("finding", "")) if kind is DecisionKind.WAIVER else None
    return show(request, "decide", status=status, title=TITLES[kind], kind=kind.value, row=row,
                matter=matter, given=form, problem=problem, origin=origin)  # fmt: skip


def _cases(request: Request, site: Site, matter: Matter, who: str) -> Response:
    panel, project = site.service.people, matter.submission.project
    found = drawn(panel, project, matter.record, who) if who else None
    done = bool(who) and who in panel.people.labels(project, matter.record)
    return show(request, "label", title="Label cases first", matter=matter, found=found, done=done,
                person=panel.person(project, who) if who else None)  # fmt: skip


ENTRY = Entry("/decide", router)
