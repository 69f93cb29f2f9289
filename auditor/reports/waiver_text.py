"""Wording of a pass that rests on waivers: how many required rules are waived, by whom, until when.

Such a pass is never shown as one in which all rules are kept. A rule that several targets have is
counted once.
"""

from collections.abc import Iterable, Mapping, Sequence

from auditor.domain.confusable_names import quote_name
from auditor.domain.findings import Finding, Outcome, Verdict
from auditor.domain.policies import RuleEffect
from auditor.domain.records import AuditRecord
from auditor.domain.waivers import Waiver, parse_waiver_time
from auditor.policy.evaluate.engine import WAS
from auditor.reports.signer_text import shorten_key

EXCEPTION = "Approved by exception"
FAILED = f"though {WAS[Outcome.FAILED]}"
"""What the message of a waived finding has where the rule failed, and was not undecided."""
MOST_NAMES = 3
WORST = (Outcome.FAILED, Outcome.UNKNOWN, Outcome.WAIVED, Outcome.WITHSTOOD, Outcome.PASSED)
TWO = 2
SignedWaivers = Sequence[tuple[Waiver, str]]
"""Waivers, each with the id of the key that signed it, or nothing where that is not at hand."""


def list_exceptions(record: AuditRecord) -> tuple[Finding, ...]:
    """Return the waived findings of required rules on which a pass rests; none of other records."""
    return select_exceptions(record.verdict, record.findings)


def select_exceptions(verdict: Verdict, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the same of a verdict and its findings."""
    return list_waived(findings) if verdict is Verdict.PASS else ()


def list_waived(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Return the waived findings of required rules."""
    return tuple(
        item
        for item in findings
        if item.effect is RuleEffect.DENY and item.outcome is Outcome.WAIVED
    )


def fold_rules(findings: Iterable[Finding]) -> Mapping[str, Outcome]:
    """Return the required rules that apply, each with its worst outcome on any target."""
    folded: dict[str, Outcome] = {}
    for item in findings:
        if item.effect is RuleEffect.DENY and item.outcome in WORST:
            known = folded.get(item.name, item.outcome)
            folded[item.name] = min(known, item.outcome, key=WORST.index)
    return folded


def describe_places(findings: Sequence[Finding], outcome: Outcome) -> str:
    """Say on which of several targets required rules have an outcome; nothing of one target."""
    asked = [item for item in findings if item.effect is RuleEffect.DENY]
    targets = list(dict.fromkeys(item.target for item in asked))
    if len(targets) < TWO:
        return ""
    places: dict[str, set[str]] = {}
    for item in asked:
        if item.outcome is outcome:
            places.setdefault(item.name, set()).add(item.target)
    if outcome is Outcome.PASSED or all(len(it) == len(targets) for it in places.values()):
        return " on both targets" if len(targets) == TWO else f" on all {len(targets)} targets"
    where = [name for name in targets if any(name in there for there in places.values())]
    return f" on {where[0]}" if len(where) == 1 else f" on one or more of {', '.join(where)}"


def describe_exception(waived: Sequence[Finding], total: int | None = None) -> str:
    """Say how many required rules are waived, of how many where ``total`` is given."""
    count = len({item.name for item in waived})
    of = "" if total is None else f" of {total}"
    rules = "rule" if (total or count) == 1 else "rules"
    became = "failed" if all(FAILED in item.message for item in waived) else "did not pass"
    verb = "is" if count == 1 else "are"
    return f"{count}{of} required {rules} {became} and {verb} waived"


def describe_target_exception(waived: Sequence[Finding]) -> str:
    """Say in the place of a target's verdict that it rests on waivers; nothing where none does."""
    count = len({item.name for item in waived})
    rules = "1 rule" if count == 1 else f"{count} rules"
    return f"approved by exception ({rules} waived)" if count else ""


def describe_exceptions(record: AuditRecord, waivers: SignedWaivers) -> str:
    """Say the same with the keys that signed the waivers at hand, and until when the first counts.

    The names in a waiver are free text, so that they stand as what its key says of itself.

    Nothing where a record is no pass, or rests on no waiver.
    """
    waived = list_exceptions(record)
    if not waived:
        return ""
    digests = {item.waiver for item in waived}
    used = [(item, key) for item, key in waivers if item.digest in digests]
    where = describe_places(record.findings, Outcome.WAIVED)
    said = describe_exception(waived, len(fold_rules(record.findings))) + where
    if not used:
        return said
    keys = list(dict.fromkeys(_name_key(used, key) for _, key in used))
    more = f" and {len(keys) - MOST_NAMES} more" if len(keys) > MOST_NAMES else ""
    ends = format_waiver_day(min(item.expires for item, _ in used))
    return f"{said} until {ends} by {'; '.join(keys[:MOST_NAMES])}{more}"


def _name_key(used: SignedWaivers, key: str) -> str:
    """Name a key with the name that its waivers give it; several names are counted alone."""
    names = list_approvers(used, key)
    several = f"signed in {len(names)} different names"
    named = f"names itself {quote_name(names[0])}" if len(names) == 1 else several
    signed = f"key {shorten_key(key)}" if key else "a key that is not at hand"
    return f"{signed}, which {named}"


def list_approvers(used: SignedWaivers, key: str) -> tuple[str, ...]:
    """Return the names of approvers in the waivers that one key signed."""
    return tuple(dict.fromkeys(item.approver for item, signed in used if signed == key))


def format_waiver_day(text: str) -> str:
    """Write the day of a waiver's end for people."""
    when = parse_waiver_time(text)
    return text if when is None else f"{when.day} {when:%B %Y}"
