"""How long judging takes, and how soon hostile conditions end: seconds of CPU, best of several.

python benchmarks/judging.py
"""

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from figures import over, tell

from auditor.domain.budgets import Budget
from auditor.domain.json import Json
from auditor.domain.policies import AssuranceLevel, MetricLimits, Policy, Rule, RuleEffect, Severity
from auditor.domain.readings import BoundKind, Measurement, Unit
from auditor.errors import AuditorError, ConditionError, PolicyError
from auditor.policy.cel import ABOUT_READINGS, compile_condition
from auditor.policy.evaluate.context import JudgingContext
from auditor.policy.evaluate.engine import judge_readings

REPEATS = 5
CONTEXT = JudgingContext(
    confidence=0.95,
    targets=("cpu",),
    name="model",
    version="1.0.0",
    budget=Budget.FULL,
    assurance=AssuranceLevel.A3,
)


def rule(index: int, *, metrics: int, least: float = 0.8) -> Rule:
    """Return a rule on one of so many metrics, every tenth of which only warns."""
    return Rule(
        id=f"rule-{index}",
        title=f"Rule {index}",
        severity=Severity.HIGH,
        effect=RuleEffect.WARN if index % 10 == 0 else RuleEffect.DENY,
        check="quality.accuracy",
        metric=f"metric_{index % metrics}",
        limits=MetricLimits(least=least),
    )


def reading(metric: int, target: str, value: float, **params: float) -> Measurement:
    """Return a reading with an interval."""
    return Measurement(
        metric=f"metric_{metric}",
        value=value,
        low=value - 0.03,
        high=value + 0.03,
        confidence=0.95,
        bound=BoundKind.ESTIMATE,
        method="clopper-pearson",
        n=2000,
        unit=Unit.SHARE,
        params=params,
        target=target,
        check="quality.accuracy",
        version=1,
    )


def policy(rules: Sequence[Rule]) -> Policy:
    """Return a policy of these rules."""
    return Policy(
        name="many",
        version="1",
        owner="o",
        digest="sha256:0",
        document={},
        source="many.yaml",
        rules=tuple(rules),
    )


def spread(index: int) -> float:
    """Return a value: most keep 0.8, some break it, and some leave it open."""
    return (0.9, 0.95, 0.7, 0.81, 0.92)[index % 5]


def square() -> Callable[[], int]:
    """100 rules, each on 100 readings of its own metric."""
    readings = [reading(m, "cpu", spread(m), at=float(at)) for m in range(100) for at in range(100)]
    rules = policy([rule(index, metrics=100) for index in range(100)])
    return lambda: len(judge_readings(rules, lambda _: readings, CONTEXT))


def tall() -> Callable[[], int]:
    """1,000 rules, each on 10 readings of its own metric."""
    readings = [reading(m, "cpu", spread(m), at=float(at)) for m in range(1000) for at in range(10)]
    rules = policy([rule(index, metrics=1000) for index in range(1000)])
    return lambda: len(judge_readings(rules, lambda _: readings, CONTEXT))


def many_targets() -> Callable[[], int]:
    """1,000 rules on 10 targets, one reading each."""
    targets = tuple(f"t{index}" for index in range(10))
    readings = [reading(m, t, spread(m)) for t in targets for m in range(1000)]
    rules = policy([rule(index, metrics=1000) for index in range(1000)])
    context = replace(CONTEXT, targets=targets)
    return lambda: len(judge_readings(rules, lambda _: readings, context))


def many_readings() -> Callable[[], int]:
    """2,000 rules and 10,000 readings, five settings of each metric, of which a rule asks one."""
    eps = (0.01, 0.02, 0.05, 0.1, 0.2)
    readings = [reading(m, "cpu", spread(m), eps=at) for m in range(2000) for at in eps]
    rules = [
        replace(rule(index, metrics=2000), where={"eps": eps[index % 5]}) for index in range(2000)
    ]
    return lambda: len(judge_readings(policy(rules), lambda _: readings, CONTEXT))


def one_metric() -> Callable[[], int]:
    """2,000 rules on 10,000 readings of one and the same metric, each at its own setting."""
    readings = [reading(0, "cpu", spread(at), at=float(at)) for at in range(10_000)]
    rules = [replace(rule(i, metrics=1), where={"at": float(i * 5)}) for i in range(2000)]
    return lambda: len(judge_readings(policy(rules), lambda _: readings, CONTEXT))


def each_place() -> Callable[[], int]:
    """One rule for each of 10,000 places."""
    readings = [reading(0, "cpu", spread(at), at=float(at)) for at in range(10_000)]
    each = replace(rule(1, metrics=1), for_each=("at",))
    return lambda: len(judge_readings(policy([each]), lambda _: readings, CONTEXT))


def conditions() -> Callable[[], int]:
    """2,000 conditions in CEL, one reading each."""
    readings = [reading(m, "cpu", spread(m)) for m in range(2000)]
    asked = [
        replace(rule(i, metrics=2000), limits=None, require=f"reading.n > {i % 7}.0")
        for i in range(2000)
    ]
    return lambda: len(judge_readings(policy(asked), lambda _: readings, CONTEXT))


CASES = (square, tall, many_targets, many_readings, one_metric, each_place, conditions)
LOOP = "params.xs.all(a, "
HOSTILE = {
    "two loops": f"{LOOP}params.xs.all(b, a + b >= 0.0))",
    "three loops": f"{LOOP}params.xs.all(b, params.xs.all(c, a + b + c >= 0.0)))",
    "a list of lists": "params.xs.map(x, params.xs.map(y, x * y)).size() > 0",
    "lists of lists": "params.xs.filter(x, x > 1.0).filter(y, y > 2.0).size() > 0",
    "brackets": "(" * 900 + "true" + ")" * 900,
    "denials": "!" * 900 + "true",
    "a chain": "params" + ".a" * 900 + " == 1.0",
    "a pattern": 'reading.details.long.matches("^(a+)+$")',
    "a pattern that repeats": 'reading.details.long.matches("(.*a){20}b")',
    "a long pattern": f'reading.details.long.matches("{"a?" * 400}")',
    "a pattern in a loop": f'{LOOP}reading.details.long.matches("(a+)+b"))',
    "split and join": 'reading.details.long.split("").join("aaaaaaaaaa").size() > 0',
    "a search in a loop": f'{LOOP}!reading.details.long.contains("{"a" * 190}b"))',
    "a comparison in a loop": f"{LOOP}readings == readings)",
}
"""Conditions that cost seconds or gigabytes where nobody refuses them."""


def asked(text: str, values: Mapping[str, Json]) -> tuple[float, float, str]:
    """Return the CPU time of compiling and of answering a condition, and what came of it."""
    start = time.process_time()
    try:
        condition = compile_condition(text, ABOUT_READINGS)
    except PolicyError as mistake:
        return time.process_time() - start, 0.0, f"refused: {_end(mistake)}"
    compiled = time.process_time()
    try:
        told = str(condition.evaluate(values))
    except ConditionError as mistake:
        told = f"no answer: {_end(mistake)}"
    return compiled - start, time.process_time() - compiled, told


def _end(mistake: AuditorError) -> str:
    return mistake.problem.replace("\n", " ")[-60:]


def hostile_values() -> Mapping[str, Json]:
    """Return readings and params as large as a condition may meet."""
    details: Json = {"long": "a" * 90_000, "list": [float(item) for item in range(1000)]}
    seen: Json = {"value": 0.9, "details": details}
    params: Json = {"xs": [float(item) for item in range(1000)]}
    nothing: Json = {}
    return {
        "params": params, "model": nothing, "claims": nothing, "target": "cpu", "reading": seen,
        "readings": [seen] * 20,
    }  # fmt: skip


def seconds(run: Callable[[], object]) -> float:
    """Return the least CPU time of several runs."""
    taken = []
    for _ in range(REPEATS):
        start = time.process_time()
        run()
        taken.append(time.process_time() - start)
    return min(taken)


FLOOR = "10,000 comparisons of an interval with a limit in plain Python"


def floor() -> float:
    """Return the CPU seconds of comparing 10,000 intervals with a limit, and nothing else."""
    readings = [reading(0, "cpu", spread(at)) for at in range(10_000)]
    return seconds(lambda: [it.low is not None and it.low >= 0.8 for it in readings])


if __name__ == "__main__":
    for case in CASES:
        run = case()
        findings = run()
        spent = seconds(run)
        what = f"{str(case.__doc__).rstrip('.')}: CPU of judging"
        tell(over("policy", what, [spent / floor()], FLOOR, better="less"))
        print(f"{spent:7.3f} s  {findings:6,} findings: {case.__doc__}")
    worst = 0.0
    asked("true", hostile_values())  # the engine's own start
    for name, text in HOSTILE.items():
        compiling, answering, told = asked(text, hostile_values())
        worst = max(worst, compiling + answering)
        times = f"{1000 * compiling:6.2f} ms to compile, {1000 * answering:6.2f} ms to answer"
        print(f"{times}: {name}: {told}")
    tell(over("policy", f"the slowest of {len(HOSTILE)} hostile conditions: CPU", [worst],
              "nothing", better="less", unit="s"))  # fmt: skip
