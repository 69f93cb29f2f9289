"""Draws the rooms, floors and arrows of the package into docs/architecture.md, from its imports.

    python scripts/draw_architecture.py [PAGE]

Floors are the layers of the import contract in pyproject.toml. An arrow says that a room imports
from another one; what follows from other arrows is left out, or nothing could be read.
"""  # noqa: INP001 -- a script

import sys
from pathlib import Path
from typing import Final

from house import PACKAGE, Graph, House, contract_layers, reachable, read_house, room_arrows

ROOT: Final = Path(__file__).resolve().parents[1]
PAGE: Final = ROOT / "docs" / "architecture.md"
BEGIN: Final = (
    "<!-- The picture is drawn by `make docs` from the imports; edit the code instead. -->"
)
END: Final = "<!-- End of the picture. -->"


def draw(house: House) -> str:
    """Return the picture of a package, as Mermaid in a block of Markdown."""
    arrows = room_arrows(house)
    floors = floors_of(house, arrows)
    lines = ["```mermaid", "flowchart TD"]
    for number, rooms in zip(range(len(floors), 0, -1), floors, strict=True):
        lines.append(f'  subgraph floor{number}["floor {number}"]')
        lines += [f'    {_id(room)}["{room}"]' for room in sorted(rooms)]
        lines.append("  end")
    for room, others in sorted(needed(arrows).items()):
        lines += [f"  {_id(room)} --> {_id(other)}" for other in sorted(others)]
    return "\n".join([*lines, "```"])


def floors_of(house: House, arrows: Graph) -> list[list[str]]:
    """Return the rooms of each floor, the top one first.

    The package itself, which offers what is below it to others, stands above all where it imports
    anything. Raises ``ValueError`` for a room that the import contract does not name.
    """
    floors = [[room for room in layer if room in arrows] for layer in contract_layers(house.root)]
    placed = {room for floor in floors for room in floor} | {PACKAGE}
    if homeless := sorted(set(arrows) - placed):
        raise ValueError(f"pyproject.toml: no layer of the import contract names {homeless[0]}")
    top = [[PACKAGE]] if arrows.get(PACKAGE) else []
    return [*top, *(floor for floor in floors if floor)]


def needed(arrows: Graph) -> Graph:
    """Return the arrows that follow from no others; those of a circle all stay."""
    below = reachable(arrows)
    return {
        room: frozenset(
            other
            for other in others
            if not any(
                other in below[between] and room not in below[between]
                for between in others - {other}
            )
        )
        for room, others in arrows.items()
    }


def with_picture(page: str, picture: str) -> str:
    """Return a page with the picture between its two marks. Raises ``ValueError`` without them."""
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise ValueError(f"the page has no place for the picture: put in {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{picture}\n\n{END}{after}"


def _id(room: str) -> str:
    """Return a name that means nothing to Mermaid."""
    return f"room_{room}"


def main() -> None:
    """Put the picture into the page."""
    page = Path(sys.argv[1]) if len(sys.argv) > 1 else PAGE
    text = page.read_text(encoding="utf-8")
    page.write_text(with_picture(text, draw(read_house(ROOT))), encoding="utf-8")


if __name__ == "__main__":
    main()
