"""From the answers of time-stamping authorities to a proven moment.

A file holds one answer after the other. The first stamps what was signed; each later one stamps
that and all answers before it, so that a time stays proven when the certificate, or the hash, that
first proved it has come to its end (as RFC 4998 has it, without its structures).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from auditor.signatures.certificates import TIME, Certificate, read_certificates
from auditor.signatures.chains import anchored, issued, object_to_links, object_to_time
from auditor.signatures.objections import Code, Objection, Refused
from auditor.signatures.stamp_tokens import Token, open_token
from auditor.signatures.timestamps import Query, read_answers
from auditor.signatures.trust import NOTHING, Moment, Trusted

SKEW = timedelta(minutes=5)
"""By how much an authority's clock may be ahead of the one here."""
_LONGEST = 8


@dataclass(frozen=True, slots=True)
class Clocks:
    """Whose timestamps are believed: authorities that lead to ``roots`` (PEM), never the web's.

    With ``policies`` (with dots) a timestamp must be under one of them. ``revoked`` is as that of
    ``Trusted``.
    """

    roots: tuple[bytes, ...]
    policies: frozenset[str] = frozenset()
    revoked: Mapping[str, datetime | None] = field(default_factory=lambda: NOTHING)


def proven_moment(answers: bytes, over: bytes, clocks: Clocks, now: Moment) -> Moment:
    """Return the time at which ``over`` is proven to have been there, at the latest.

    ``answers`` is a file of timestamps (``timestamp.tsr``), of which the last must hold ``now``,
    and each other when the next one was made. Raises ``Refused``.
    """
    tokens = _tokens(answers, over)
    for place, token in enumerate(tokens):
        later = tokens[place + 1].stamped if place + 1 < len(tokens) else None
        if later is not None and later.time < token.stamped.time:
            raise Refused(Code.TIMESTAMP_TIME, "a later timestamp says an earlier time")
        checked = now if later is None else Moment(later.latest, proven=True)
        objection = next(_object(token, clocks, checked), None)
        if objection is not None:
            which = f"timestamp {place + 1} of {len(tokens)}"
            raise Refused(objection.code, f"{which}: {objection.text}")
    return Moment(tokens[0].stamped.latest, proven=True)


def covered_by_next(answers: bytes, over: bytes) -> bytes:
    """Return what a further timestamp has to cover: all that there is."""
    return over + answers


def refuse_other(answer: bytes, query: Query) -> None:
    """Raise ``Refused`` where an authority's answer is not the one to a query."""
    (found,) = read_answers(answer)
    stamped = open_token(found[1]).stamped
    if (stamped.hash, stamped.digest) != (query.hash, query.digest):
        raise Refused(Code.TIMESTAMP_IMPRINT, "the authority stamped another digest")
    if stamped.nonce != query.nonce:
        raise Refused(Code.TIMESTAMP_NONCE, "the answer is to another request: its nonce differs")
    if query.policy is not None and stamped.policy != query.policy:
        text = f"the authority stamped under the policy {stamped.policy}, not {query.policy}"
        raise Refused(Code.TIMESTAMP_POLICY, text)


def _tokens(answers: bytes, over: bytes) -> list[Token]:
    tokens: list[Token] = []
    before = over
    for answer, raw in read_answers(answers):
        token = open_token(raw)
        if not token.stamped.covers(before):
            text = f"timestamp {len(tokens) + 1} is over something else"
            raise Refused(Code.TIMESTAMP_IMPRINT, text)
        tokens.append(token)
        before += answer
    return tokens


def _object(token: Token, clocks: Clocks, checked: Moment) -> Iterator[Objection]:
    stamped = token.stamped
    if clocks.policies and stamped.policy not in clocks.policies:
        text = f"it is under the policy {stamped.policy}, which is not trusted"
        yield Objection(Code.TIMESTAMP_POLICY, text)
    if stamped.time > checked.at + SKEW:
        yield Objection(Code.TIMESTAMP_TIME, f"it says a time to come, {stamped.time.isoformat()}")
    roots = [item for pem in clocks.roots for item in read_certificates(pem)]
    path, found = anchored(_path(token, roots), roots)
    yield from found
    own = Moment(stamped.time, proven=True)
    for item in object_to_links(path, checked, TIME):
        yield Objection(item.code, f"the authority: {item.text}")
    for place, certificate in enumerate(path):
        yield from object_to_time(certificate, own, f"certificate {place + 1} of the authority")
    # Who has an authority's key writes any time: only a later timestamp shows it before the theft.
    revokes = partial(Trusted(revoked=clocks.revoked).revokes, moment=checked)
    for certificate in path:
        if any(map(revokes, certificate.revocable)):
            yield Objection(Code.REVOKED, "a certificate of the authority, or its key, is revoked")


def _path(token: Token, roots: Sequence[Certificate]) -> list[Certificate]:
    """Return a way from the signer to a root where there is one, else the signer alone."""
    found = _way([token.signer], token.others, {root.digest for root in roots}, roots)
    return found or [token.signer]


def _way(
    path: list[Certificate],
    pool: Sequence[Certificate],
    known: set[str],
    roots: Sequence[Certificate],
) -> list[Certificate] | None:
    last = path[-1]
    if any(issued(last, root) for root in roots) or (len(path) > 1 and last.digest in known):
        return path
    for item in pool if len(path) < _LONGEST else ():
        if item not in path and issued(last, item):
            found = _way([*path, item], pool, known, roots)
            if found is not None:
                return found
    return None
