"""Which columns of a table an attack moves: how often, and how far."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from auditor.domain.readings import Measurement
from auditor.rendering.figures.doubts import series_name
from auditor.rendering.figures.panel import Panel
from auditor.rendering.inputs import RenderedInputs
from auditor.rendering.plots.strips import Bar, bar_plot

MOST_ATTACKS = 5
MOST_FEATURES = 6
MINUS = "\N{MINUS SIGN}"
HEADER = ("Attack", "Feature", "Rows in which it moved", "Mean change where it moved")
CAPTION = (
    "The share of broken rows in which a feature moved, and by how much of its range on average "
    "where it moved; a sign says which way. Attacks that move the fewest features come first."
)


@dataclass(frozen=True, slots=True)
class Move:
    """One feature that an attack moves."""

    feature: str
    share: float
    far: str


def move_panels(
    inputs: RenderedInputs, measured: Sequence[Measurement], key: str
) -> Iterator[Panel]:
    """Yield one panel that holds every attack whose details say what moved."""
    found: dict[str, tuple[Move, ...]] = {}
    for m in measured:
        moves = _moves(m.details.get("moved"))
        if moves and not m.slice:
            found.setdefault(_name(inputs, m), moves)
    if not found:
        return
    fewest = sorted(found.items(), key=lambda item: sum(move.share for move in item[1]))
    shown = fewest[:MOST_ATTACKS]
    title = "What an attacker moves"
    hidden = len(fewest) - len(shown)
    yield Panel(
        title=title,
        target=measured[0].target,
        caption=CAPTION + (f" {hidden} more attacks are in the table only." if hidden else ""),
        drawing=bar_plot(key, title, [(name, _bars(moves)) for name, moves in shown]),
        header=HEADER,
        rows=tuple(
            (name, move.feature, _percent(move.share), move.far)
            for name, moves in fewest
            for move in moves
        ),
    )


def _name(inputs: RenderedInputs, m: Measurement) -> str:
    name = str(m.params.get("attack", series_name(inputs, m.check)))
    return name[:1].upper() + name[1:]


def _moves(listed: object) -> tuple[Move, ...]:
    if not isinstance(listed, Sequence) or isinstance(listed, str):
        return ()
    return tuple(
        Move(str(item.get("feature", "")), float(share), _far(item.get("mean_change"), share))
        for item in listed
        if isinstance(item, Mapping)
        if isinstance(share := item.get("share"), int | float)
    )


def _far(told: object, share: float) -> str:
    """Write how far a feature moved where it moved.

    One number is a mean over all broken rows; columns that move together are a choice.
    """
    if isinstance(told, Mapping):
        sizes = [item for item in told.values() if isinstance(item, int | float)]
        signed = f"{sizes[0]:+.2g}" if len(sizes) == 1 else "another choice"
        return signed.replace("-", MINUS)
    return f"{told / share:.2g}" if isinstance(told, int | float) and share > 0 else ""


def _bars(moves: Sequence[Move]) -> list[Bar]:
    return [
        Bar(move.feature, move.share, f"{_percent(move.share)}{_by(move)}")
        for move in moves[:MOST_FEATURES]
    ]


def _by(move: Move) -> str:
    if not move.far:
        return ""
    return f", by {move.far}" if any(letter.isdigit() for letter in move.far) else f", {move.far}"


def _percent(share: float) -> str:
    return f"{share * 100:.0f} %"
