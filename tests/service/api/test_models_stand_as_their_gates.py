"""Every place that says how a version stands says what its gate says."""

from dataclasses import replace
from itertools import count
from random import Random
from typing import Any

import pytest
from deciding_people import artifact, later, policy_of
from scheduled_worlds import Scheduled
from served_toys import sha
from served_worlds import World
from visited_pages import Pages

from auditor._time import utc_now
from auditor.domain.json import encode_canonical
from auditor.domain.policies import Policy
from auditor.service.gate import list_gate_states

NUMBERS = count()


class History:
    """Audits of one model in a project of its own, under policies that ask for more or less."""

    def __init__(self, world: World) -> None:
        self.at = Scheduled(world, f"history{next(NUMBERS)}")
        self.world = world
        self.policies = {
            name: policy_of(f"{name}{next(NUMBERS)}", bar, **asks)
            for name, bar, asks in (
                ("lax", 0.6, {}), ("strict", 0.999, {}), ("people", 0.6, {"approvals": 1}),
                ("whole", 0.6, {"least_budget": "ci"}), ("dated", 0.6, {"valid_for": "30d"}),
            )
        }  # fmt: skip
        for policy in self.policies.values():
            world.upload(encode_canonical(policy.document), key=self.at.key)

    def audits(self, name: str, *, bad: bool = False, budget: str = "smoke") -> str:
        body = self.world.body(policy=self.policies[name].digest, budget=budget)
        if bad:
            raw = self.at.bad_batch()
            self.world.upload(raw, key=self.at.key)
            body["inputs"][1] |= {"size": len(raw), "sha256": sha(raw).removeprefix("sha256:")}
        audit = str(self.at.call("POST", "/v1/audits", json=body)["id"])
        self.at.finish(audit)
        return audit

    def gate(self, policy: Policy) -> dict[str, Any]:
        asked = {"artifact": artifact(self.world), "policy": policy.digest, "target": "cpu"}
        return dict(self.at.call("GET", "/v1/gate", params=asked))

    def listed(self) -> dict[str, dict[str, Any]]:
        """Return what the list of models says of the version, by policy."""
        (model,) = self.at.call("GET", "/v1/models")["models"]
        (version,) = model["versions"]
        found = {it["policy"]: it for it in version["targets"]}
        assert len(found) == len(version["targets"])
        return found

    def agrees(self) -> None:
        """Hold every place against the gate, under every policy that anything was audited by."""
        listed, opens, shut = self.listed(), 0, 0
        for policy in self.policies.values():
            said = self.gate(policy)
            if said["record"] is None:
                assert policy.digest not in listed
                continue
            told = listed.pop(policy.digest)
            assert (told["open"], told["record"], told["audit"]) == (
                said["open"], said["record"], said["audit"]
            )  # fmt: skip
            failed = [it["name"] for it in said["steps"] if it["result"] == "failed"]
            assert told["why"] == "; ".join(failed)
            opens += said["open"]
            shut += not said["open"] and told["verdict"] == "pass"
        assert not listed
        visitor = Pages.of(self.world).log_in(self.at.key)
        page = visitor.get("/models").text
        assert (page.count("Pass</span>"), page.count("Gate closed")) == (opens, shut)
        home = visitor.get("/").text.partition('id="gates"')[2].partition("</section>")[0]
        listed = self.listed().values()
        assert home.count('<th scope="row">') == sum(not it["open"] for it in listed)
        assert home.count("Gate closed") == shut


def test_a_lax_or_partial_audit_hides_no_gate_that_is_shut(apart: World) -> None:
    history = History(apart)
    history.audits("strict")
    history.audits("lax")
    told = {it["policy"]: (it["verdict"], it["open"]) for it in history.listed().values()}
    assert told == {
        history.policies["strict"].digest: ("fail", False),
        history.policies["lax"].digest: ("pass", True),
    }
    history.agrees()


def test_a_pass_that_nobody_approved_is_no_pass_of_the_model(apart: World) -> None:
    history = History(apart)
    history.audits("people")
    (told,) = history.listed().values()
    assert (told["verdict"], told["open"], told["why"]) == ("pass", False, "approvals")
    history.agrees()


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(4))
def test_whatever_happens_every_place_says_what_the_gate_says(apart: World, seed: int) -> None:
    random, history = Random(seed), History(apart)  # noqa: S311 -- a history
    for _ in range(5):
        history.audits(random.choice(list(history.policies)), bad=random.random() < 0.3)
    history.agrees()


def test_what_is_valid_no_more_is_shut_in_the_list_too(apart: World) -> None:
    history = History(apart)
    history.audits("dated")
    (before,) = history.listed().values()
    assert before["open"]
    keeper = replace(history.world.service.gatekeeper, clock=lambda: later(utc_now(), 31))
    place = (artifact(history.world), "cpu")
    (state,) = list_gate_states(keeper, history.at.project, [place])[place]
    assert (state.open, state.why, state.verdict) == (False, "freshness", "pass")
