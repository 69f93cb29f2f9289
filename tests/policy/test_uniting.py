"""What a policy cannot evidence, and the law that it rests on, stays with whoever extends it."""

import pytest
from pack_cases import CATALOGUES, CHECKS, HEAD, RULE, written

from auditor.domain.policies import FrameworkControl, ManualDuty, Policy
from auditor.errors import PolicyError
from auditor.policy.explain import explain_policy
from auditor.policy.inherit import PolicySource
from auditor.policy.load import lint_policy_source, load_policy_source

DUTY = "{framework: owasp-ml, ref: ML01, asks: Limit queries, owner: deployer}"
OTHER = "{framework: owasp-ml, ref: ML01, asks: Watch the logs, owner: deployer}"
LAW = (
    "{datum: Applies from, value: '2027', source: here, verified: 2026-11-27,"
    " review_by: 2027-05-27}"
)
PARENT = (f"[{DUTY}]", f"[{LAW}]")


def policy(name: str, lists: tuple[str, str], extends: str = "") -> bytes:
    more = "".join(
        f", {key}: {value}"
        for key, value in zip(("cannot_evidence", "legal"), lists, strict=True)
        if value
    )
    head = HEAD.replace("risk@example.org}", f"risk@example.org{more}}}").replace("mine", name)
    return written(RULE, head=head + (f"extends: {extends}\n" if extends else ""))


def heir(duties: str, laws: str, parents: str = "[parent]", **others: bytes) -> PolicySource:
    """Return a policy that extends one with a duty and a law, and others by their names."""
    known = {"parent": policy("parent", PARENT), **others}

    def found(name: str) -> PolicySource:
        return PolicySource(known[name], f"{name}.yaml", name, found)

    return PolicySource(policy("heir", (duties, laws), parents), "heir.yaml", "heir", found)


def loaded(file: PolicySource) -> Policy:
    return load_policy_source(file, CHECKS, CATALOGUES)


def said(file: PolicySource) -> tuple[list[str], list[str]]:
    found = loaded(file)
    laws = [f"{law.datum}: {law.value}" for law in found.legal]
    return [duty.asks for duty in found.cannot_evidence], laws


@pytest.mark.parametrize("nothing", ["", "[]", "null"])
def test_an_heir_that_says_nothing_keeps_what_its_parent_says(nothing: str) -> None:
    assert said(heir(nothing, nothing)) == (["Limit queries"], ["Applies from: 2027"])


def test_what_an_heir_adds_stands_beside_what_its_parent_says() -> None:
    file = heir(f"[{OTHER}]", f"[{LAW.replace('Applies from', 'Ends on')}]")
    assert said(file) == (
        ["Limit queries", "Watch the logs"],
        ["Applies from: 2027", "Ends on: 2027"],
    )
    assert lint_policy_source(file, CHECKS, CATALOGUES) == ()
    told = str(explain_policy(loaded(file), CHECKS, CATALOGUES))
    assert "Limit queries" in told
    assert "Watch the logs" in told


def test_an_heir_may_say_the_same_entry_otherwise_and_lint_and_explain_show_it() -> None:
    file = heir(f"[{DUTY.replace('deployer', 'us')}]", f"[{LAW.replace('2027', '2029', 1)}]")
    assert loaded(file).cannot_evidence == (
        ManualDuty(FrameworkControl("owasp-ml", "ML01"), "Limit queries", "us"),
    )
    assert said(file)[1] == ["Applies from: 2029"]
    problems = [item.problem for item in lint_policy_source(file, CHECKS, CATALOGUES)]
    assert [text.partition(" (")[0] for text in problems] == [
        "heir says this otherwise than parent does"
    ] * 2
    told = str(explain_policy(loaded(file), CHECKS, CATALOGUES))
    for text in (*problems, told):
        assert "2027" in text or "deployer: Limit queries → us: Limit queries" in text


def test_several_parents_and_their_parents_are_all_united_and_said_once() -> None:
    aunt = policy("aunt", (f"[{OTHER}, {DUTY}]", f"[{LAW}]"))
    middle = policy("middle", ("[]", "[]"), "parent")
    file = heir("", "", "[middle, aunt]", aunt=aunt, middle=middle)
    assert said(file) == (["Limit queries", "Watch the logs"], ["Applies from: 2027"])


def test_a_mistake_in_a_united_list_is_shown_where_it_stands() -> None:
    strange = OTHER.replace("ML01", "ML99")
    (own,) = lint_policy_source(heir(f"[{strange}]", ""), CHECKS, CATALOGUES)
    assert own.where.startswith("heir.yaml:")
    broken = policy("parent", (f"[{strange}, {DUTY}]", ""))
    (theirs,) = lint_policy_source(heir(f"[{OTHER}]", "", parent=broken), CHECKS, CATALOGUES)
    assert theirs.where.startswith("parent.yaml:")


@pytest.mark.parametrize("wrong", ["0", "{}", "''", "false", "5", "[5]", "[{datum: 1}]", "{a: 1}"])
def test_a_list_of_the_wrong_shape_is_refused(wrong: str) -> None:
    with pytest.raises(PolicyError, match="legal"):
        loaded(heir("", wrong))
