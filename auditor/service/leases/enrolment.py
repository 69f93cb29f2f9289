"""Enrolment of agents, and their reports at start."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.key_roles import KeyRole
from auditor.errors import KeyFileError, NotFoundError, StateConflictError, StoreError, TargetError
from auditor.service.auth.api_keys import NewApiKey, create_api_key
from auditor.service.domain.access import AccessRole, ApiKey, AuditLogAction, build_log_entry
from auditor.service.domain.agents import Agent, AgentHello
from auditor.service.leases.terms import LeaseService, add_seconds
from auditor.service.store.agents import keep_agent
from auditor.service.store.projects import append_audit_log
from auditor.store.key_lifecycle import build_key_book, register_key_use
from auditor.trust.keys.rotation import refuse_key_role
from auditor.trust.signatures.keys import read_public_key
from auditor.trust.verification_result import VerificationError


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEnrolment:
    """What an admin asks to enrol: a name, targets, and the public key (PEM) that signs results."""

    name: str
    targets: tuple[str, ...]
    public_key: str
    expires: str | None = None


def enrol_agent(
    hold: LeaseService, admin: ApiKey, asked: AgentEnrolment
) -> tuple[Agent, NewApiKey]:
    """Enrol an agent in the admin's project, and make the key that it calls with.

    Its public key comes into use when it signs a first result: to name one shows nothing, and
    whoever could put down another project's key as an agent's would end it. Raises ``TargetError``
    for a target that is not left to agents, ``KeyFileError`` for a key that is none, or is one of
    the service's own.
    """
    _refuse_others(asked.targets, sorted(hold.targets))
    try:
        public = read_public_key(asked.public_key.encode())
    except VerificationError as refused:
        raise KeyFileError(
            refused.problem, cure="Send agent.pub: `auditor keys new --role agent` makes the pair."
        ) from None
    # Refuse the service's own keys, which anybody may read; of others' nothing is told
    life = build_key_book(hold.kept.store.key_entries()).lives.get(public.pem.decode())
    if life is not None and life.role == KeyRole.REPORT:
        refuse_key_role(life, KeyRole.AGENT)
    now = hold.clock()
    made = create_api_key(admin.project, AccessRole.AGENT, asked.name, now, asked.expires)
    agent = Agent(
        id=made.key.id,
        project=admin.project,
        name=asked.name,
        targets=asked.targets,
        public_key=public.pem.decode(),
        enrolled=now,
    )
    act = build_log_entry(
        admin,
        AuditLogAction.AGENT_ENROLLED,
        agent.id,
        now,
        key=public.identity,
        targets=[*asked.targets],
    )
    with hold.kept.store.unit_of_work() as unit:
        if not keep_agent(unit.session, agent, made.key):
            raise StoreError(f"there is already a key {agent.id}", cure="Enrol it again.")
        append_audit_log(unit, act)
    return agent, made


def activate_agent_key(hold: LeaseService, agent: Agent) -> None:
    """Put down that an agent's key, which has just signed, is in use, once.

    Raises ``KeyFileError`` where the ledger knows it in another role.
    """
    life = build_key_book(hold.kept.store.key_entries()).lives.get(agent.public_key)
    if life is None:
        with hold.kept.store.unit_of_work() as unit:
            register_key_use(unit, KeyRole.AGENT, agent.public_key, hold.clock())
    else:
        refuse_key_role(life, KeyRole.AGENT)


def find_calling_agent(hold: LeaseService, caller: ApiKey, name: str) -> Agent:
    """Return the agent that calls. Raises ``NotFoundError`` where the path names another one."""
    found = hold.agents.agent(name) if caller.id == name else None
    if found is None or found.project != caller.project:
        raise NotFoundError(f"there is no agent {name}", cure="Use the API key of the agent.")
    return found


def record_agent_hello(hold: LeaseService, agent: Agent, hello: AgentHello) -> None:
    """Keep what an agent says of itself and its targets when it starts, and that it lives.

    Raises ``StateConflictError`` for other code than the service's, which is kept and shown all the
    same, and ``TargetError`` for a target that it is not enrolled for.
    """
    _refuse_others(hello.targets, [it for it in agent.targets if it in hold.targets])
    hold.agents.greet(agent.id, hello, hold.clock())
    refuse_other_version(hold, hello.code)
    for target in hello.targets:
        probe = hello.probes.get(target)
        if isinstance(probe, Mapping):
            hold.sightings.note(agent.id, target, probe, hold.clock(), agent.project)
    record_agent_heartbeat(hold, agent)


def refuse_other_version(hold: LeaseService, code: str) -> None:
    """Raise ``StateConflictError`` where an agent is of another version than the service."""
    if code != hold.code:
        raise StateConflictError(
            f"this agent runs code {code}, but the service runs {hold.code}",
            cure="Install the version of auditor that the service runs.",
        )


def record_agent_heartbeat(hold: LeaseService, agent: Agent) -> None:
    """Take note that an agent lives, as seldom as that can be known."""
    now, seen = hold.clock(), hold.agents.seen(agent.id)
    if seen is None or add_seconds(seen, hold.terms.live // 3) <= now:
        hold.agents.sign(agent.id, now)


def _refuse_others(asked: Sequence[str], allowed: Sequence[str]) -> None:
    strangers = [name for name in asked if name not in allowed]
    if strangers:
        left = f"it can be one of {', '.join(allowed)}" if allowed else "there are none"
        raise TargetError(
            f"{strangers[0][:80]!r} is not a target of this agent: {left}",
            cure="Start the service with `auditor serve --agents TARGET`, and enrol agents for it.",
        )
