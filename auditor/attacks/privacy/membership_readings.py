"""Readings of a membership inference audit, from its evidence alone."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import cast

from auditor.attacks.privacy.membership import ATTACKS, round_chances
from auditor.attacks.privacy.membership_evidence import MembershipEvidence
from auditor.attacks.privacy.membership_pool import (
    LEAST,
    describe_set_aside,
    evaluation_rows_needed,
)
from auditor.attacks.privacy.membership_statistics import apply_threshold, tpr_at_fpr
from auditor.attacks.privacy.membership_verdicts import (
    LeakVerdict,
    MembershipFinding,
    detectable_leaks,
    examine_attack,
    most_exposed_members,
    overall_leak_verdict,
)
from auditor.attacks.privacy.shadow_models import READY_KIND, RECIPE_KIND, missing_lira_reason
from auditor.domain.checks import Metric
from auditor.domain.json import Json
from auditor.domain.readings import (
    BoundKind,
    ConfidenceInterval,
    Gap,
    GapReason,
    Measurement,
    Reading,
    Repeatability,
    Scalar,
    Unit,
)
from auditor.metrics.stats.roc_auc import auc

AUC, VERDICT = "auc", "verdict"
RATES: Mapping[str, tuple[float, int]] = {
    "tpr_at_fpr_0_01": (0.01, 1000),
    "tpr_at_fpr_0_001": (0.001, 10_000),
}
"""A share of false alarms, and the non-members without which it cannot be told."""
ALL = "all"
_OF_A_RECIPE = frozenset({GapReason.RECIPE_FAILED, GapReason.RECIPE_MISMATCH})
"""Why a recipe that was named and run adds nothing; none being there is no gap in the others."""
_LIKE: Mapping[str, str] = {RECIPE_KIND: "recipe", READY_KIND: "ready_shadows"}
MOST_GROUPS = 20
DECIMALS = 1
NO_ROUNDING, ROUNDED = "none", "one decimal"
EMITS: Mapping[str, Metric] = {
    AUC: Metric(
        "AUC of the membership attack",
        Unit.SHARE,
        BoundKind.AT_LEAST,
        higher_is_better=False,
    ),
    "tpr_at_fpr_0_01": Metric(
        "True-positive rate at a false-positive rate of 1 %",
        Unit.SHARE,
        BoundKind.AT_LEAST,
        higher_is_better=False,
    ),
    "tpr_at_fpr_0_001": Metric(
        "True-positive rate at a false-positive rate of 0.1 %",
        Unit.SHARE,
        BoundKind.AT_LEAST,
        higher_is_better=False,
    ),
    VERDICT: Metric("Membership leak detected", Unit.NONE, BoundKind.AT_LEAST, exact=True),
}


def membership_readings(
    witness: MembershipEvidence, confidence: float, listed: int
) -> Iterator[Reading]:
    """Yield the figures of every attack, of groups, what may be said of all, and what lacks."""
    findings = tuple(examine_attack(witness, attack) for attack in witness.attacks)
    for finding in findings:
        yield _area(finding, auc(finding.scores, finding.member, confidence), NO_ROUNDING, ALL)
        yield from _rates(finding, 1 - (1 - confidence) / len(findings))
        if not witness.labels_only:
            name, kind = finding.attack
            shadows = witness.shadows(kind).rounded(DECIMALS)
            scores = ATTACKS[name](round_chances(witness.target, DECIMALS), shadows)
            interval = auc(scores, witness.member, confidence)
            yield _area(finding, interval, ROUNDED, ALL)
        details: dict[str, Json] = {
            **finding.details(),
            "power": detectable_leaks(finding),
            "limit": finding.cut.details(0.95),
            "reason": finding.reason,
            "worst_rows": _worst(witness, finding, listed),
        }
        yield _text(finding.said.value, len(witness.member), dict(finding.params), details)
    # Measure the strongest attack within groups of members, jointly at the confidence. Non-members
    # are those of the same group, where the evaluation data tell groups.
    finding = findings[-1]
    parts = []
    for name, (levels, codes) in witness.groups.items():
        told = (codes[~witness.member] >= 0).any()
        for at, level in enumerate(levels):
            rows = (codes == at) | (~witness.member & (not told))
            if min((rows & witness.member).sum(), (rows & ~witness.member).sum()) >= LEAST:
                parts.append((f"{name}={level}", rows))
    kept = parts[:MOST_GROUPS]
    for group, rows in kept:
        jointly = 1 - (1 - confidence) / len(kept)
        interval = auc(finding.scores[rows], witness.member[rows], jointly)
        yield _area(finding, interval, NO_ROUNDING, group)
    yield _together(witness, findings, listed)
    others = int((~witness.member).sum())
    yield from (
        too_few_non_members_gap(name, others, least, witness.held)
        for name, (_, least) in RATES.items()
        if others < least
    )
    # Why models like the artifact, which were named, add nothing or not all
    gap, ready = witness.gap, witness.kinds.get(READY_KIND)
    if gap is not None and (witness.like == READY_KIND or gap.reason in _OF_A_RECIPE):
        yield replace(gap, metric=AUC, params={"shadows": witness.like})
    lira = None if ready is None else missing_lira_reason(ready)
    if lira is not None:
        yield replace(lira, metric=AUC, params={"attack": "lira", "shadows": READY_KIND})


def _area(
    finding: MembershipFinding, interval: ConfidenceInterval, rounding: str, group: str
) -> Measurement:
    return Measurement.of(
        interval,
        AUC,
        Unit.SHARE,
        bound=BoundKind.AT_LEAST,
        params={**finding.params, "rounding": rounding, "group": group},
        repeat=Repeatability.INTERVAL,
        doubted=finding.doubted,
        astray=finding.astray,
        details=finding.details(),
    )


def _rates(finding: MembershipFinding, confidence: float) -> Iterator[Measurement]:
    """Measure members found at few false alarms, of all attacks jointly at the confidence."""
    others = int((~finding.member).sum())
    for name, (fpr, least) in RATES.items():
        if others < least:
            continue
        found = apply_threshold(finding.scores, finding.member, fpr)
        yield Measurement.of(
            tpr_at_fpr(finding.scores, finding.member, fpr, confidence),
            name,
            Unit.SHARE,
            bound=BoundKind.AT_LEAST,
            params=finding.params,
            repeat=Repeatability.INTERVAL,
            doubted=finding.doubted,
            astray=finding.astray,
            details={**finding.details(), **found.details(confidence)},
        )


def _together(
    witness: MembershipEvidence, findings: tuple[MembershipFinding, ...], listed: int
) -> Measurement:
    main, said = findings[-1], overall_leak_verdict(findings)
    details: dict[str, Json] = {
        "attacks": [
            {**finding.params, "said": finding.said.value, "auc": finding.area.value}
            for finding in findings
        ],
        "power": detectable_leaks(main),
        **({"doubt": main.reason} if said is LeakVerdict.INCONCLUSIVE else {}),
        "reason": main.reason if said is LeakVerdict.INCONCLUSIVE else "",
        "worst_rows": _worst(witness, main, listed),
        "members": int(witness.member.sum()),
        "non_members": int((~witness.member).sum()),
        "left_out_as_shared": witness.shared,
        "set_aside": witness.held,
        _LIKE[witness.like]: witness.agreement if witness.gap is None else witness.gap.detail,
    }
    return _text(said.value, len(witness.member), {"attack": ALL, "shadows": ALL}, details)


def _text(said: str, rows: int, params: dict[str, Scalar], details: dict[str, Json]) -> Measurement:
    return Measurement(
        metric=VERDICT,
        value=said,
        bound=BoundKind.AT_LEAST,
        method="fisher's and mann-whitney's tests at 0.001, bonferroni over attacks",
        n=rows,
        params=params,
        repeat=Repeatability.INTERVAL,
        doubted=said == LeakVerdict.INCONCLUSIVE.value,
        details=details,
    )


def _worst(witness: MembershipEvidence, finding: MembershipFinding, listed: int) -> Json:
    if finding.said is not LeakVerdict.SHOWN:
        return []
    return cast("Json", [str(witness.ids[row]) for row in most_exposed_members(finding, listed)])


def too_few_non_members_gap(metric: str, others: int, least: int, held: int = 0) -> Gap:
    """Return the Gap of a rate that so few non-members cannot carry; ``held`` were set aside."""
    return Gap(
        reason=GapReason.TOO_FEW_ROWS,
        detail=f"{others} non-members cannot carry {metric}: so few false alarms among them "
        f"would be luck.{describe_set_aside(held)}",
        cure=f"Evaluate on at least {evaluation_rows_needed(least, hold=held > 0):,} rows that "
        "were not trained on.",
        metric=metric,
    )
