"""Mutations of whole records: one changed reading or limit moves outcomes only as the law says.

A corpus of records is drawn: several rules on several targets and groups, whose intervals widen
with the confidence that is asked, so that the correction over all denying rules bites.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from judging_cases import CONTEXT, POLICY, RULE, measured

from auditor.domain.findings import Finding, Outcome
from auditor.domain.policies import MetricLimits, Policy, Rule, RuleEffect
from auditor.domain.readings import BoundKind, Measurement
from auditor.policy.evaluate.engine import judge_readings

ORDER = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.WITHSTOOD, Outcome.PASSED)
TARGETS = ("cpu", "gpu")
METRICS = ("up_0", "up_1", "down_0", "down_1")
"""Metrics of which more is better, and of which less is."""
GROUPS = ("a", "b")
LIMIT = 0.5


@dataclass(frozen=True)
class Seen:
    """A figure before anybody asks how sure it is."""

    metric: str
    target: str
    group: str
    value: float
    width: float
    bound: BoundKind
    doubted: bool

    @property
    def better(self) -> int:
        return 1 if self.metric.startswith("up") else -1

    def at(self, confidence: float) -> Measurement:
        """Return the reading: its interval grows as the logarithm of what is left to err."""
        half = self.width * math.log(1 - confidence) / math.log(0.05)
        return measured(
            self.value,
            self.value - half,
            self.value + half,
            metric=self.metric,
            target=self.target,
            params={"group": self.group},
            bound=self.bound,
            doubted=self.doubted,
        )


@dataclass(frozen=True)
class Audited:
    """A policy and what was seen, which give findings."""

    policy: Policy
    seen: tuple[Seen, ...]

    @property
    def findings(self) -> tuple[Finding, ...]:
        context = replace(CONTEXT, targets=TARGETS)
        return judge_readings(
            self.policy, lambda level: [item.at(level) for item in self.seen], context
        )

    @property
    def outcomes(self) -> dict[tuple[str, str], Outcome]:
        return {(finding.name, finding.target): finding.outcome for finding in self.findings}

    def with_seen(self, index: int, changed: Seen) -> "Audited":
        return replace(self, seen=(*self.seen[:index], changed, *self.seen[index + 1 :]))

    def with_rule(self, index: int, changed: Rule) -> "Audited":
        rules = self.policy.rules
        changed_rules = (*rules[:index], changed, *rules[index + 1 :])
        return replace(self, policy=replace(self.policy, rules=changed_rules))


@st.composite
def rules(draw: st.DrawFn, index: int) -> Rule:
    metric = draw(st.sampled_from(METRICS))
    limits = MetricLimits(least=LIMIT) if metric.startswith("up") else MetricLimits(most=LIMIT)
    asked = draw(st.sampled_from(["worst", "each", "one"]))
    return replace(
        RULE,
        id=f"rule-{index}",
        metric=metric,
        limits=limits,
        effect=draw(st.sampled_from([RuleEffect.DENY, RuleEffect.DENY, RuleEffect.WARN])),
        accept_withstood=draw(st.booleans()),
        for_each=("group",) if asked == "each" else (),
        where={"group": draw(st.sampled_from(GROUPS))} if asked == "one" else {},
    )


@st.composite
def audits(draw: st.DrawFn) -> Audited:
    count = draw(st.integers(1, 6))
    asked = tuple(draw(rules(index)) for index in range(count))
    places = [(m, t, g) for m in METRICS for t in TARGETS for g in GROUPS]
    chosen = draw(st.lists(st.sampled_from(places), min_size=1, max_size=10, unique=True))
    seen = tuple(
        Seen(
            *place,
            value=draw(st.integers(30, 70)) / 100,
            width=draw(st.integers(0, 12)) / 100,
            bound=draw(st.sampled_from([BoundKind.ESTIMATE, BoundKind.ESTIMATE, *BoundKind])),
            doubted=draw(st.sampled_from([False, False, False, True])),
        )
        for place in chosen
    )
    return Audited(replace(POLICY, rules=asked), seen)


def speaks_of(rule: Rule, seen: Seen) -> bool:
    return rule.metric == seen.metric and rule.where.get("group", seen.group) == seen.group


def touched(audited: Audited, seen: Seen) -> set[tuple[str, str]]:
    """Return the findings that a reading belongs to."""
    return {
        (finding.name, finding.target)
        for finding in audited.findings
        for rule in audited.policy.rules
        if rule.id == finding.rule
        and speaks_of(rule, seen)
        and finding.target == seen.target
        and finding.slice.get("group", seen.group) == seen.group
    }


Moves = dict[tuple[str, str], tuple[Outcome, Outcome]]


def moved(before: Audited, after: Audited) -> Moves:
    was, now = before.outcomes, after.outcomes
    assert was.keys() == now.keys()
    return {place: (was[place], now[place]) for place in was if was[place] is not now[place]}


def required(audited: Audited) -> set[tuple[str, str]]:
    denying = [finding for finding in audited.findings if finding.effect is RuleEffect.DENY]
    return {(finding.name, finding.target) for finding in denying}


def coupled(
    moves: Moves, audited: Audited, own: set[tuple[str, str]]
) -> Sequence[tuple[Outcome, Outcome]]:
    """Return how findings moved that nothing was changed of; the correction alone may do that."""
    others = {place: move for place, move in moves.items() if place not in own}
    assert set(others) <= required(audited)
    assert {outcome for move in others.values() for outcome in move} <= {
        Outcome.FAILED,
        Outcome.UNKNOWN,
    }
    return list(others.values())


@given(audits(), st.data())
def test_a_changed_reading_moves_only_findings_of_its_own(
    audited: Audited, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(audited.seen) - 1))
    seen = audited.seen[index]
    value, width = data.draw(st.floats(0, 1)), data.draw(st.floats(0, 0.2))
    doubted = data.draw(st.booleans())
    after = audited.with_seen(index, replace(seen, value=value, width=width, doubted=doubted))
    coupled(moved(audited, after), audited, touched(audited, seen))


@given(audits(), st.data())
def test_a_better_reading_never_makes_an_outcome_worse(
    audited: Audited, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(audited.seen) - 1))
    seen = audited.seen[index]
    step = data.draw(st.floats(0, 0.5))
    after = audited.with_seen(index, replace(seen, value=seen.value + seen.better * step))
    moves, own = moved(audited, after), touched(audited, seen)
    for place in own & moves.keys():
        was, now = moves[place]
        assert ORDER.index(now) > ORDER.index(was)
    # One failure less leaves less to err with, so that others may become unknown, never fail.
    assert set(coupled(moves, audited, own)) <= {(Outcome.FAILED, Outcome.UNKNOWN)}


@given(audits(), st.data())
def test_a_worse_reading_never_makes_an_outcome_better(
    audited: Audited, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(audited.seen) - 1))
    seen = audited.seen[index]
    step = data.draw(st.floats(0, 0.5))
    after = audited.with_seen(index, replace(seen, value=seen.value - seen.better * step))
    moves, own = moved(audited, after), touched(audited, seen)
    for place in own & moves.keys():
        was, now = moves[place]
        assert ORDER.index(now) < ORDER.index(was)
    assert set(coupled(moves, audited, own)) <= {(Outcome.UNKNOWN, Outcome.FAILED)}


@given(audits(), st.data())
def test_a_tighter_limit_never_makes_an_outcome_better_and_a_laxer_one_never_worse(
    audited: Audited, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(audited.policy.rules) - 1))
    rule = audited.policy.rules[index]
    step = data.draw(st.floats(0, 0.3))
    assert rule.limits is not None
    tighter = (
        MetricLimits(least=LIMIT + step)
        if rule.limits.least is not None
        else MetricLimits(most=LIMIT - step)
    )
    after = audited.with_rule(index, replace(rule, limits=tighter))
    moves = moved(audited, after)
    own = {place for place in audited.outcomes if place[0].partition("[")[0] == rule.id}
    for place in own & moves.keys():
        was, now = moves[place]
        assert ORDER.index(now) < ORDER.index(was)
    assert set(coupled(moves, audited, own)) <= {(Outcome.UNKNOWN, Outcome.FAILED)}


@given(audits(), st.data())
def test_a_doubt_and_a_refusal_to_accept_never_make_an_outcome_better(
    audited: Audited, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, len(audited.seen) - 1))
    doubted = audited.with_seen(index, replace(audited.seen[index], doubted=True))
    rule = data.draw(st.integers(0, len(audited.policy.rules) - 1))
    strict = doubted.with_rule(rule, replace(doubted.policy.rules[rule], accept_withstood=False))
    for was, now in moved(audited, strict).values():
        assert now is Outcome.UNKNOWN
        assert was in {Outcome.PASSED, Outcome.WITHSTOOD}


@given(audits(), st.data())
def test_a_rule_that_only_warns_moves_no_other(audited: Audited, data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(audited.policy.rules) - 1))
    warns = replace(audited.policy.rules[index], effect=RuleEffect.WARN)
    before = audited.with_rule(index, warns)
    after = before.with_rule(index, replace(warns, limits=MetricLimits(least=0.99)))
    own = {place for place in before.outcomes if place[0].partition("[")[0] == warns.id}
    assert set(moved(before, after)) <= own


@given(audits(), st.randoms(use_true_random=False))
def test_the_order_of_rules_and_of_readings_moves_nothing(audited: Audited, random: Random) -> None:
    rules_, seen = list(audited.policy.rules), list(audited.seen)
    random.shuffle(rules_)
    random.shuffle(seen)
    shuffled = Audited(replace(audited.policy, rules=tuple(rules_)), tuple(seen))
    assert shuffled.outcomes == audited.outcomes
