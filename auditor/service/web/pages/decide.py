"""Pages to decide on an audit: waive a rule, approve or reject, report a finding, label cases."""

from collections.abc import Mapping
from typing import Annotated

from fastapi import Query, Request, Response
from starlette.responses import RedirectResponse

from auditor.errors import InvalidInputError, NotFoundError
from auditor.service.api.auth import Approver
from auditor.service.api.requests import AuditId
from auditor.service.approvals.draft import draw_label_sample, store_labels
from auditor.service.domain.people import BlindLabels, DecisionKind
from auditor.service.web.decisions import (
    DecisionTopic,
    draft_decision,
    find_decision_topic,
    find_key_holder,
    list_people_by_key,
    select_approvers,
)
from auditor.service.web.routing import PageEntry, create_page_router, get_form, render_page
from auditor.service.web.site import Shown, Visit, WebContext

INVALID, SEE_OTHER = 422, 303
TITLES: Mapping[DecisionKind, str] = {
    DecisionKind.WAIVER: "Waive a rule",
    DecisionKind.APPROVAL: "Approve or reject",
    DecisionKind.FINDING: "Report a problem",
}
router = create_page_router()
Place = Annotated[str, Query(max_length=4)]


@router.get("/decide/{audit}/label")
def show_label_cases(request: Request, audit: AuditId, caller: Approver, site: Shown) -> Response:
    """Show the cases that a person labels first, whom the key that calls tells of."""
    matter, panel = find_decision_topic(site, caller, audit), site.service.people
    mine = select_approvers(list_people_by_key(panel, caller))
    return _cases(request, site, matter, mine[0].id if mine else "")


@router.post("/decide/{audit}/label")
def submit_labels(request: Request, audit: AuditId, caller: Approver, site: Shown) -> Response:
    """Take what a person calls the cases; or show these to whoever has the browser's key."""
    matter, form, panel = (
        find_decision_topic(site, caller, audit),
        get_form(request),
        site.service.people,
    )
    who = form.get("person", "")
    if not who:
        who = find_key_holder(panel, caller.project, form.get("key", "")).id
        return _cases(request, site, matter, who)
    found = draw_label_sample(panel, caller.project, matter.record, who)
    labels = {case.id: form.get(f"case-{at}", "") for at, case in enumerate(found.cases)}
    given = BlindLabels(record=matter.record, person=who, labels=labels, by=caller.id)
    store_labels(panel, caller.project, given)
    return RedirectResponse(f"/audits/{audit}?look=yes", SEE_OTHER)


@router.get("/decide/{audit}/{kind}")
def show_decision_form(
    request: Request, audit: AuditId, kind: DecisionKind, caller: Approver, visit: Visit,
    site: Shown, finding: Place = "",
) -> Response:  # fmt: skip
    """Ask what somebody has to say of an audit."""
    matter = find_decision_topic(site, caller, audit)
    return _asked(request, matter, kind, {"finding": finding}, origin=visit.origin)


@router.post("/decide/{audit}/{kind}")
def show_draft(
    request: Request, audit: AuditId, kind: DecisionKind, caller: Approver, visit: Visit,
    site: Shown,
) -> Response:  # fmt: skip
    """Write what is to be signed, and show it to who signs."""
    matter, form = find_decision_topic(site, caller, audit), get_form(request)
    try:
        made = draft_decision(site, matter, kind, form)
    except NotFoundError:
        raise
    except InvalidInputError as error:
        problem = f"{error.problem}. {error.cure}"
        return _asked(request, matter, kind, form, INVALID, problem, origin=visit.origin)
    return render_page(request, "sign", title=f"Sign as {made.person.name}", draft=made,
                       audit=audit, kind=kind.value, what=TITLES[kind])  # fmt: skip


def _asked(
    request: Request, matter: DecisionTopic, kind: DecisionKind, form: Mapping[str, str],
    status: int = 200, problem: str = "", *, origin: str,
) -> Response:  # fmt: skip
    row = matter.finding(form.get("finding", "")) if kind is DecisionKind.WAIVER else None
    return render_page(request, "decide", status=status, title=TITLES[kind], kind=kind.value,
                       row=row, matter=matter, given=form, problem=problem,
                       origin=origin)  # fmt: skip


def _cases(request: Request, site: WebContext, matter: DecisionTopic, who: str) -> Response:
    panel, project = site.service.people, matter.submission.project
    found = draw_label_sample(panel, project, matter.record, who) if who else None
    done = bool(who) and who in panel.people.labels(project, matter.record)
    return render_page(request, "label", title="Label cases first", matter=matter, found=found,
                       done=done, person=panel.person(project, who) if who else None)  # fmt: skip


ENTRY = PageEntry("/decide", router)
