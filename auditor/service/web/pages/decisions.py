"""What people decided: all of it, each decision, and what somebody just signed."""

import json
import re
from typing import Annotated

from fastapi import Query, Request, Response
from pydantic import ValidationError
from starlette.responses import RedirectResponse

from auditor.api.admitting import Approver, Viewer
from auditor.api.decided import DecisionAsked
from auditor.api.reading import AUDIT, SUM, Digest
from auditor.api.routes.decisions import TAKES, offered, says
from auditor.domain.people import DecisionKind
from auditor.refusals import CallError
from auditor.signatures.keys import read_public_key
from auditor.store.service.people import Sought
from auditor.web.entries import Entry
from auditor.web.forms import form_of
from auditor.web.looking import show
from auditor.web.parts import Shown
from auditor.web.routing import routes
from auditor.web.said import words_of

SEE_OTHER, PAGE = 303, 50
router = routes()


@router.get("/decisions")
def listed(
    request: Request, caller: Viewer, site: Shown,
    kind: Annotated[str, Query(max_length=20)] = "",
    record: Annotated[str, Query(pattern=f"({SUM})|(^$)")] = "",
    before: Annotated[int, Query(ge=0, le=2**53)] = 0,
) -> Response:  # fmt: skip
    """List what was decided, the newest first."""
    chosen = DecisionKind(kind) if kind in set(DecisionKind) else None
    people = site.service.people.people
    sought = Sought(kind=chosen, record=record or None, before=before or None, limit=PAGE + 1)
    found = people.decisions(caller.project, sought)
    words = words_of(found[:PAGE], people.all(caller.project))
    return show(request, "decisions", title="Decisions", words=words, kinds=list(DecisionKind),
                chosen=chosen, record=record,
                following=words[-1].number if len(found) > PAGE else 0)  # fmt: skip


@router.get("/decisions/{kind}/{digest}")
def look(
    request: Request, kind: DecisionKind, digest: Digest, caller: Viewer, site: Shown
) -> Response:
    """Show a decision, with what was signed and the key that signed it."""
    panel = site.service.people
    found = panel.decision(caller.project, kind, digest)
    person = panel.person(caller.project, found.person)
    (word,) = words_of([found], [person])
    return show(request, "decision", title=f"{word.sign.word}: {person.name}", word=word,
                person=person, decision=found,
                identity=read_public_key(found.key.encode()).identity,
                statement=json.dumps(says(found.bundle), indent=2, ensure_ascii=False))  # fmt: skip


@router.post("/decisions/{kind}")
def take(request: Request, kind: DecisionKind, caller: Approver, site: Shown) -> Response:
    """Hand in what somebody signed, as the API takes it."""
    form = form_of(request)
    try:
        asked = DecisionAsked(
            key=form.get("key", "").replace("\r\n", "\n"),
            payload=form.get("payload"),
            signature=form.get("signature"),
        )
    except ValidationError:
        raise CallError("nothing was signed", cure="Sign it in a browser with a script.") from None
    taken = TAKES[kind](site.service.people, offered(caller, asked))
    audit = form.get("audit", "")
    if re.fullmatch(AUDIT, audit):
        return RedirectResponse(f"/audits/{audit}", SEE_OTHER)
    return RedirectResponse(f"/decisions/{kind}/{taken.decision.digest}", SEE_OTHER)


ENTRY = Entry("/decisions", router, title="Decisions", order=60)
