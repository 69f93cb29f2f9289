"""Keys by which callers of a service are known, and what each role may do."""

from dataclasses import dataclass
from enum import StrEnum

from auditor.domain.waivers import moment

SIGN_ON = "oidc-"
"""How the ids begin of callers that an identity provider vouches for; no key has such a one."""


class Role(StrEnum):
    """What a caller may do, the least first; each may do all that those before it may.

    An agent stands apart: it may do what agents do, which nobody else may, and nothing more.
    """

    VIEWER = "viewer"
    SUBMITTER = "submitter"
    APPROVER = "approver"
    ADMIN = "admin"
    AGENT = "agent"

    def may(self, least: "Role") -> bool:
        """Whether this role is at least ``least``."""
        if Role.AGENT in {self, least}:
            return self is least
        order = list(Role)
        return order.index(self) >= order.index(least)


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiKey:
    """A caller's key in one project; of its secret only the SHA-256 (hexadecimal) is kept.

    ``ended`` is when somebody ended it, ``expires`` when it ends by itself. A caller that an
    identity provider vouches for is one as well: it has no secret, and ``subject`` says who it is.
    """

    id: str
    project: str
    role: Role
    name: str
    secret_hash: str
    created: str
    expires: str | None = None
    ended: str | None = None
    subject: str | None = None

    def holds(self, now: str) -> bool:
        """Whether it may be used at the time ``now``; a time that cannot be read is over."""
        if self.ended is not None:
            return False
        if self.expires is None:
            return True
        ends, asked = moment(self.expires), moment(now)
        return ends is not None and asked is not None and asked < ends
