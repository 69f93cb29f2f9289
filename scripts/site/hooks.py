"""What MkDocs does not do by itself for the site of the documentation."""  # noqa: INP001 -- MkDocs loads it as a file

import html
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel
from mkdocs.structure.pages import Page
from pymdownx.superfences import SuperFencesException

ROOT: Final = Path(__file__).resolve().parents[2]
DOCS: Final = ROOT / "docs"
CHECKS: Final = "checks/"
BESIDE: Final = "repository"
"""The folder of the site for the repository's files outside `docs/`."""
OWN: Final = (
    "scripts/site/site.css",
    "scripts/site/iframe-worker.js",
    "CHANGELOG.md",
    "SECURITY.md",
)
FENCED: Final = re.compile(r"^( *)(```|~~~).*?^\1\2[^\n]*$", re.DOTALL | re.MULTILINE)
LINK: Final = re.compile(r"(\]\()(?!https?:|mailto:|#)([^)#\s]+)")
VERSION: Final = re.compile(r'^__version__ = "(.+)"', re.MULTILINE)
DRAWN: Final = re.compile(
    r'  subgraph (\w+)|    (\w+)\["(.+)"\]|  (\w+) --> (\w+)|  end|flowchart TD'
)


def on_config(config: MkDocsConfig) -> MkDocsConfig:
    """Build into a folder of the version, name every page of a folder, and draw pictures."""
    found = VERSION.search((ROOT / "auditor" / "__init__.py").read_text(encoding="utf-8"))
    if found is None:
        raise ValueError("auditor/__init__.py: no version")
    config.site_name = f"auditor {found[1]}"
    config.site_dir = str(Path(config.site_dir) / found[1])
    config.nav = _expand(config.nav)
    fence = {"name": "mermaid", "class": "mermaid", "format": draw_floors}
    config.mdx_configs["pymdownx.superfences"] = {"custom_fences": [fence]}
    return config


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add what pages link to outside `docs/`, and what these pages link to."""
    waiting = [*OWN, *(_origin(file) for file in files.documentation_pages())]
    seen = set(waiting)
    while waiting:
        name = waiting.pop()
        path = ROOT / name
        if not path.is_relative_to(DOCS):
            place = f"{BESIDE}/{name}"
            files.append(
                File.generated(
                    config,
                    place,
                    abs_src_path=str(path),
                    inclusion=InclusionLevel.NOT_IN_NAV,  # where the navigation does not name it
                )
            )
        linked = _linked(path) if path.suffix == ".md" else ()
        fresh = {other for other in linked if (ROOT / other).is_file()} - seen
        waiting += sorted(other for other in fresh if not (ROOT / other).is_relative_to(DOCS))
        seen |= fresh
    return files


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    """Lead links to where the files of the repository are in the site."""
    del config
    folder = (ROOT / _origin(page.file)).parent

    def led(link: re.Match[str]) -> str:
        path = Path(os.path.normpath(folder / link[2]))
        if not path.is_relative_to(ROOT):
            return link[0]
        known = path.is_relative_to(DOCS)
        place = path.relative_to(DOCS) if known else BESIDE / path.relative_to(ROOT)
        if not known and files.get_file_from_path(place.as_posix()) is None:
            return link[0]
        return link[1] + os.path.relpath(place, Path(page.file.src_uri).parent)

    return LINK.sub(led, markdown)


def on_post_build(config: MkDocsConfig) -> None:
    """List the versions that were built into the folder of the site."""
    top = Path(config.site_dir).parent
    built = (path.parent.name for path in top.glob("*/index.html"))
    versions = sorted(built, key=lambda it: [int(part) for part in re.findall(r"\d+", it)])
    links = "".join(f'<li><a href="{it}/index.html">{it}</a></li>' for it in reversed(versions))
    head = '<!doctype html><html lang="en"><meta charset="utf-8"><title>auditor</title>'
    text = f"{head}<h1>Versions of the documentation</h1><ul>{links}</ul></html>\n"
    (top / "index.html").write_text(text, encoding="utf-8")


def draw_floors(source: str, *_: object, **__: object) -> str:
    """Draw the picture of `draw_architecture.py` as boxes that need no script, a row a floor.

    Raises ``SuperFencesException`` for a line that this picture does not have.
    """
    floors: list[list[str]] = []
    titles: dict[str, str] = {}
    arrows: dict[str, list[str]] = {}
    for line in source.splitlines():
        found = DRAWN.match(line)
        if found is None:
            raise SuperFencesException(f"a picture with the line {line!r}")
        floor, room, title, importer, imported = found.groups()
        if floor:
            floors.append([])
        elif room:
            floors[-1].append(room)
            titles[room] = title
        elif importer:
            arrows.setdefault(importer, []).append(imported)
    rows = ("".join(_box(titles, it, arrows.get(it, [])) for it in floor) for floor in floors)
    return '<ol class="floors">' + "".join(f"<li>{row}</li>" for row in rows) + "</ol>"


def _box(titles: dict[str, str], room: str, imported: list[str]) -> str:
    """Write one room of the picture, and which rooms it imports."""
    below = "→ " + ", ".join(titles[it] for it in imported) if imported else ""
    return f"<div><strong>{html.escape(titles[room])}</strong>{html.escape(below)}</div>"


def _expand(nav: Any) -> Any:  # noqa: ANN401 -- as YAML gives it
    """Put all pages of a folder where the folder is named, its index first."""
    if isinstance(nav, list):
        return [_expand(item) for item in nav]
    if isinstance(nav, dict):
        return {title: _expand(inner) for title, inner in nav.items()}
    if not nav.endswith("/"):
        return nav
    names = sorted(path.name for path in (DOCS / nav).glob("*.md") if path.name != "index.md")
    titled = nav == CHECKS  # a check is looked for by its id; a decision by its title
    pages = [{Path(it).stem: nav + it} if titled else nav + it for it in names]
    return [f"{nav}index.md", *pages]


def _origin(file: File) -> str:
    """Return the path of a file of the site within the repository."""
    name = file.src_uri
    return name.removeprefix(f"{BESIDE}/") if name.startswith(f"{BESIDE}/") else f"docs/{name}"


def _linked(path: Path) -> Iterator[str]:
    """Yield what a page links to, as paths within the repository."""
    for _, target in LINK.findall(FENCED.sub("", path.read_text(encoding="utf-8"))):
        linked = Path(os.path.normpath(path.parent / target))
        if linked.is_relative_to(ROOT):
            yield linked.relative_to(ROOT).as_posix()
