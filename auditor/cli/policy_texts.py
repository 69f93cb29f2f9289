"""What the command shows of policies in words: explained, and one beside another."""

from collections.abc import Iterable, Mapping

from rich.console import Console

from auditor.cli.texts import plain
from auditor.domain.inheritance import Change, Way
from auditor.packs.differing import PolicyDifference, RuleDifference
from auditor.packs.explaining import Explained

WAYS: Mapping[Way, str] = {
    Way.LOOSENED: "[bold red]loosened[/]",
    Way.TIGHTENED: "[green]tightened[/]",
    Way.CHANGED: "[dim]changed[/]",
}


def show_explained(console: Console, told: Iterable[Explained]) -> None:
    """Show headings, and under each what there is to say, by topic."""
    for place, item in enumerate(told):
        if place:
            _line(console, "")
        _line(console, f"[bold]{plain(item.heading)}[/]")
        for topic, text in item.said:
            _line(console, f"  [cyan]{topic}[/] {plain(text)}")


def show_difference(console: Console, found: PolicyDifference) -> None:
    """Show in what two policies differ, the audit itself first, then rule by rule."""
    old, new = found.old.shape.metadata, found.new.shape.metadata
    names = f"{old.name} {old.version} → {new.name} {new.version}"
    if found.same:
        _line(console, f"{plain(names)}: the same policy")
        return
    verdict = "asks less somewhere, or something else" if found.loosened else "asks nothing less"
    _line(console, f"[bold]{plain(names)}[/]: {verdict}")
    for change in (*found.audit, *found.params):
        _change(console, change, "")
    _rules(console, "[green]added[/]", found.added)
    _rules(console, "[bold red]removed[/]", found.removed)
    for item in found.changed:
        for change in item.changes:
            _change(console, change, f"{item.rule}: ")


def _rules(console: Console, word: str, rules: Iterable[RuleDifference]) -> None:
    for item in rules:
        _line(console, f"{word} {plain(item.rule)}: {plain(item.title)}")


def _change(console: Console, change: Change, rule: str) -> None:
    why = f" ({change.by}: {change.reason})" if change.reason else ""
    _line(console, f"{WAYS[change.way]} {plain(rule)}{plain(str(change))}{plain(why)}")


def _line(console: Console, text: str) -> None:
    console.print(text, highlight=False, soft_wrap=True)
