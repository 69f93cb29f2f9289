"""Pages of signed decisions: the list, each decision, and submission."""

import json
import re
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.errors import MalformedRequestError
from auditor.service.api.auth import Approver, Viewer
from auditor.service.api.requests import AUDIT, SUM, DigestPath
from auditor.service.api.routes.decisions import TAKES, parse_signed_decision, read_signed_statement
from auditor.service.api.schemas_people import DecisionRequestBody
from auditor.service.domain.people import DecisionKind
from auditor.service.store.people import DecisionQuery
from auditor.service.web.decisions import summarize_decisions
from auditor.service.web.routing import PageEntry, create_page_router, get_form, render_page
from auditor.service.web.site import Shown
from auditor.trust.signatures.keys import read_public_key

SEE_OTHER, PAGE = 303, 50
router = create_page_router()


@router.get("/decisions")
def show_decisions(
    request: Request, caller: Viewer, site: Shown,
    kind: Annotated[str, Query(max_length=20)] = "",
    record: Annotated[str, Query(pattern=f"({SUM})|(^$)")] = "",
    before: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:  # fmt: skip
    """List what was decided, the newest first."""
    chosen = DecisionKind(kind) if kind in set(DecisionKind) else None
    people = site.service.people.people
    sought = DecisionQuery(
        kind=chosen, record=record or None, before=before or None, limit=PAGE + 1
    )
    found = people.decisions(caller.project, sought)
    words = summarize_decisions(found[:PAGE], people.all(caller.project))
    return render_page(request, "decisions", title="Decisions", words=words,
                       kinds=list(DecisionKind), chosen=chosen, record=record,
                       following=words[-1].number if len(found) > PAGE else 0)  # fmt: skip


@router.get("/decisions/{kind}/{digest}")
def show_decision(
    request: Request, kind: DecisionKind, digest: DigestPath, caller: Viewer, site: Shown
) -> Response:
    """Show a decision, with what was signed and the key that signed it."""
    panel = site.service.people
    found = panel.decision(caller.project, kind, digest)
    person = panel.person(caller.project, found.person)
    (word,) = summarize_decisions([found], [person])
    return render_page(request, "decision", title=f"{word.sign.word}: {person.name}", word=word,
                       person=person, decision=found,
                       identity=read_public_key(found.key.encode()).identity,
                       statement=json.dumps(read_signed_statement(found.bundle), indent=2,
                                            ensure_ascii=False))  # fmt: skip


@router.post("/decisions/{kind}")
def submit_decision(
    request: Request, kind: DecisionKind, caller: Approver, site: Shown
) -> Response:
    """Hand in what somebody signed, as the API takes it."""
    form = get_form(request)
    try:
        asked = DecisionRequestBody(
            key=form.get("key", "").replace("\r\n", "\n"),
            payload=form.get("payload"),
            signature=form.get("signature"),
        )
    except ValidationError:
        raise MalformedRequestError(
            "the decision is not signed", cure="Sign it in a browser with JavaScript enabled."
        ) from None
    taken = TAKES[kind](site.service.people, parse_signed_decision(caller, asked))
    audit = form.get("audit", "")
    if re.fullmatch(AUDIT, audit):
        return RedirectResponse(f"/audits/{audit}", SEE_OTHER)
    return RedirectResponse(f"/decisions/{kind}/{taken.decision.digest}", SEE_OTHER)


ENTRY = PageEntry("/decisions", router, title="Decisions", order=60)
