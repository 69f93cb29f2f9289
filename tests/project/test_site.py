"""The docs as a site: pages have their place, links lead somewhere, search needs no network."""

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
import yaml
from webdriver import CHROMIUM, DRIVER, Browser, browser

import auditor

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
MKDOCS = ROOT / ".venv-docs" / "bin" / "mkdocs"
LOADED = {"script": "src", "img": "src", "iframe": "src", "source": "src", "link": "href"}
SEARCH = """
const [words, done] = arguments;
const field = document.querySelector(".md-search__input");
field.focus();
field.value = words;
field.dispatchEvent(new KeyboardEvent("keyup", {bubbles: true}));
const links = () => [...document.querySelectorAll(".md-search-result__link")].map(it => it.href);
const look = left => links().length || !left ? done(links()) : setTimeout(look, 200, left - 1);
look(150);
"""
FETCHED = """
const entries = performance.getEntriesByType("resource").map(it => it.name);
arguments[0]([...entries, ...[...document.scripts].map(it => it.src).filter(Boolean)]);
"""
FLOORS = "arguments[0](document.querySelectorAll('.floors > li').length)"
WIDTH = "arguments[0](document.documentElement.scrollWidth)"
SCHEME = "arguments[0](document.body.dataset.mdColorScheme)"

slow = [pytest.mark.slow, pytest.mark.xdist_group("site")]
seen = pytest.mark.skipif(
    (CHROMIUM is None or DRIVER is None) and not os.environ.get("AUDITOR_REQUIRE_SERVICES"),
    reason="Chromium and chromedriver are not installed",
)


def named(nav: object) -> Iterator[str]:
    if isinstance(nav, str):
        yield nav
    else:
        for item in nav.values() if isinstance(nav, dict) else nav:  # type: ignore[attr-defined]
            yield from named(item)


def test_every_page_has_one_place_in_the_navigation() -> None:
    written = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    places = list(named(yaml.safe_load(written[written.index("\nnav:") :])["nav"]))
    folders = {place for place in places if place.endswith("/")}
    pages = {path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md")}
    alone = {page for page in pages if f"{page.split('/')[0]}/" not in folders}
    own = [place for place in places if place not in folders]
    assert sorted(place for place in own if not place.startswith("repository/")) == sorted(alone)


def build(folder: Path, to: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [MKDOCS, "build", "--site-dir", to],
        cwd=folder,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def mkdocs() -> None:
    subprocess.run(["make", "--no-print-directory", ".venv-docs/.stamp"], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def site(mkdocs: None, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build the site, and return the folder of this version."""
    folder = tmp_path_factory.mktemp("site")
    done = build(ROOT, folder)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / auditor.__version__


@pytest.fixture
def opened(site: Path, tmp_path: Path) -> Iterator[Browser]:
    with browser(tmp_path / "profile") as it:
        yield it


class Addresses(HTMLParser):
    """What a page loads by itself, and what it links to."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.linked: list[str] = []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if (address := given.get(LOADED.get(tag, ""))) and given.get("rel") != "canonical":
            self.loaded.append(address)
        if tag == "a" and (address := given.get("href")):
            self.linked.append(address)


class TestTheSite:
    pytestmark = slow

    def test_its_addresses_carry_the_version_and_the_top_lists_it(self, site: Path) -> None:
        assert site.name == auditor.__version__
        assert f'href="{site.name}/index.html"' in (site.parent / "index.html").read_text()

    def test_every_page_of_the_docs_and_what_they_link_to_is_in_it(self, site: Path) -> None:
        for page in DOCS.rglob("*.md"):
            assert (site / page.relative_to(DOCS).with_suffix(".html")).is_file()
        assert (site / "repository" / "SECURITY.html").is_file()
        assert (site / "repository" / "examples" / "loans" / "index.html").is_file()

    def test_a_page_loads_nothing_from_another_host_and_links_to_what_is_there(
        self, site: Path
    ) -> None:
        pages = sorted(site.rglob("*.html"))
        assert len(pages) > 100
        for page in (it for it in pages if it.name != "404.html"):
            found = Addresses(page)
            assert found.loaded
            for address in (*found.loaded, *found.linked):
                parts = urlsplit(address)
                if parts.scheme or parts.netloc:
                    assert address in found.linked, f"{page} loads {address}"
                elif parts.path:
                    assert (page.parent / unquote(parts.path)).exists(), f"{page}: {address}"
        for style in site.rglob("*.css"):
            assert not re.search(r"url\(['\"]?(https?:)?//|@import", style.read_text())

    @seen
    def test_search_finds_the_page_of_a_check_in_files_without_a_network(
        self, site: Path, opened: Browser
    ) -> None:
        opened.open(site / "index.html")
        links = opened.run(SEARCH, "evasion.linf_query")
        page = (site / "checks" / "evasion.linf_query.html").as_uri()
        assert page in {link.partition("?")[0] for link in links[:2]}  # the list of checks apart
        fetched = opened.run(FETCHED)
        assert any(address.endswith("iframe-worker.js") for address in fetched)
        assert all(address.startswith(site.as_uri()) for address in fetched)

    @seen
    @pytest.mark.parametrize("width", [390, 1280])
    def test_pages_fit_a_phone_and_follow_the_systems_colours(
        self, site: Path, opened: Browser, width: int
    ) -> None:
        opened.look(width=width, dark=True)
        for name in ("index", "architecture", "audit-file", "checks/evasion.linf"):
            opened.open(site / f"{name}.html")
            time.sleep(0.3)  # the theme sets the colours when all is loaded
            assert opened.run(WIDTH) <= width
            assert opened.run(SCHEME) == "slate"

    @seen
    def test_the_picture_of_the_architecture_is_drawn_without_a_script(
        self, site: Path, opened: Browser
    ) -> None:
        opened.open(site / "architecture.html")
        assert opened.run(FLOORS) == (DOCS / "architecture.md").read_text().count("subgraph")
        assert all(address.startswith(site.as_uri()) for address in opened.run(FETCHED))


@pytest.mark.slow
@pytest.mark.xdist_group("site")
@pytest.mark.parametrize(
    ("text", "beside", "complaint"),
    [
        ("# Home\n\n[security](../SECURITY.md#keys) [here](#home)\n", "", ""),
        ("# Home\n\n[gone](gone.md)\n", "", "gone.md"),
        ("# Home\n\n[gone](#gone)\n", "", "#gone"),
        ("# Home\n\n[gone](../SECURITY.md#gone)\n", "", "#gone"),
        ("# Home\n", "# Alone\n", "alone.md"),
        ("# Home\n\n```mermaid\nflowchart TD\n  a -.-> b\n```\n", "", "a -.-> b"),
    ],
    ids=["whole", "dead link", "dead anchor", "dead anchor outside", "no place", "other picture"],
)
def test_a_page_that_is_not_whole_stops_the_build(
    mkdocs: None, tmp_path: Path, text: str, beside: str, complaint: str
) -> None:
    folder = tmp_path / "repository"
    shutil.copytree(ROOT / "scripts" / "site", folder / "scripts" / "site")
    written = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    nav = "\nnav: [index.md]\n"
    (folder / "mkdocs.yml").write_text(written[: written.index("\nnav:")] + nav)
    (folder / "auditor").mkdir()
    (folder / "auditor" / "__init__.py").write_text('__version__ = "1.0.0"\n')
    (folder / "docs").mkdir()
    (folder / "docs" / "index.md").write_text(text)
    if beside:
        (folder / "docs" / "alone.md").write_text(beside)
    (folder / "SECURITY.md").write_text("# Security\n\n## Keys\n")
    for name in ("CHANGELOG.md", "CONTRIBUTING.md"):
        (folder / name).write_text("# Beside\n")
    done = build(folder, tmp_path / "site")
    assert (done.returncode != 0) is bool(complaint), done.stderr
    assert complaint in done.stdout + done.stderr
