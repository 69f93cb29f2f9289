"""The page of an audit lists the waivers that are for it, and no others of its artifact."""

from deciding_people import audited, policy_of, somebody, waiver_of
from visited_pages import Pages

from auditor.service.domain.access import AccessRole
from auditor.trust.signatures.decisions import sign_waiver


def test_a_waiver_is_listed_on_audits_by_its_own_policy_alone(pages: Pages) -> None:
    world = pages.world
    keys = {role: world.key("waived-apart", role) for role in AccessRole}
    mine, other = policy_of("waived-mine"), policy_of("waived-other")
    audits = [audited(world, policy, keys[AccessRole.SUBMITTER]) for policy in (mine, other)]
    anna = somebody(world, "Anna", "waiver", key=keys[AccessRole.ADMIN])
    signed = sign_waiver(waiver_of(world, mine, anna), anna.signer)
    answer = anna.post("waivers", signed, keys[AccessRole.APPROVER])
    assert answer.status_code == 201, answer.text
    visitor = pages.visit(keys[AccessRole.VIEWER])
    shown = ["Waives a rule" in visitor.get(f"/audits/{audit}").text for audit in audits]
    assert shown == [True, False]
