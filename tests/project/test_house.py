"""The laws of the house: how many rooms it has, what they are called, and how large files are."""

import json
import runpy
from collections.abc import Callable, Collection
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
house = SimpleNamespace(**runpy.run_path(str(ROOT / "scripts" / "house.py")))
HOUSE = house.read_house(ROOT)

# So many may break each law today. What is smaller goes in here, and nothing that is larger.
ALLOWED = {
    "modules at the root": 8,
    "packages at the root": 15,
    "layers of imports": 10,
    "modules called by a gerund": 0,
    "class names in more than two modules": 0,
    "files of more than 800 lines": 0,
    "functions of more than 50 lines": 0,
    "folders that say something by themselves": 0,
    "classes with plan, observe and conclude": 2,
}

MOST_OF_A_CALL = (164, 39)
"""So many functions, and modules, does a call of the service enter below its use case."""

Law = Callable[[Any], Collection[object]]
LAWS: dict[str, Law] = {
    "modules at the root": house.root_modules,
    "packages at the root": house.root_packages,
    "layers of imports": lambda it: house.contract_layers(it.root),
    "modules called by a gerund": house.gerund_modules,
    "class names in more than two modules": lambda it: house.shared_class_names(it, 2),
    "files of more than 800 lines": lambda it: house.long_files(it, 800),
    "functions of more than 50 lines": lambda it: house.long_functions(it, 50),
    "folders that say something by themselves": house.speaking_folders,
    "classes with plan, observe and conclude": house.process_classes,
}

CONTRACT = """
[[tool.importlinter.contracts]]
type = "layers"
layers = ["cli", "store | targets", "errors"]
containers = ["auditor"]
"""
VERBS = "".join(f"\n    def {verb}(self): ..." for verb in ("plan", "observe", "conclude"))
LONG = "def f():\n    '''One.'''\n" + "    g()\n" * 50
BROKEN: dict[str, tuple[dict[str, str], list[object]]] = {
    "modules at the root": ({"desks.py": "", "cli/main.py": ""}, ["desks.py"]),
    "packages at the root": ({"desks.py": "", "cli/main.py": ""}, ["cli"]),
    "layers of imports": (
        {"../pyproject.toml": CONTRACT},
        [["cli"], ["store", "targets"], ["errors"]],
    ),
    "modules called by a gerund": (
        {
            "store/keeping.py": "",
            "keeping/tables.py": "",
            "attacks/gradient_masking/probe.py": "",
            "service/signing_key.py": "",
        },
        ["keeping", "store/keeping"],
    ),
    "class names in more than two modules": (
        {
            "a.py": "class Standing: ...\nclass Twice: ...",
            "b.py": "class Standing: ...\nclass Twice: ...",
            "c/d.py": "def f():\n    class Standing: ...",
        },
        ["Standing"],
    ),
    "files of more than 800 lines": ({"a.py": "x = 1\n" * 801, "b.py": "x = 1\n" * 800}, ["a.py"]),
    "functions of more than 50 lines": ({"a.py": LONG, "b.py": LONG[:-8]}, ["a.py:1 f"]),
    "folders that say something by themselves": (
        {"store/__init__.py": "from auditor.store.tables import Table", "cli/__init__.py": ""},
        ["store/__init__.py"],
    ),
    "classes with plan, observe and conclude": (
        {"a.py": f"class Whole:{VERBS}\nclass Part:{VERBS.rpartition(chr(10))[0]}"},
        ["a.py:Whole"],
    ),
}


def built(folder: Path, files: dict[str, str]) -> Any:  # noqa: ANN401 -- a house
    """Build a package of these files, and read it."""
    for name, text in {"__init__.py": "'''The top may speak.'''", **files}.items():
        path = folder / "auditor" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return house.read_house(folder)


@pytest.mark.parametrize("law", LAWS)
def test_the_house_breaks_no_law_more_often_than_allowed(law: str) -> None:
    broken = LAWS[law](HOUSE)
    assert len(broken) <= ALLOWED[law], broken


@pytest.mark.parametrize("law", LAWS)
def test_a_law_sees_what_breaks_it(law: str, tmp_path: Path) -> None:
    files, broken = BROKEN[law]
    assert list(LAWS[law](built(tmp_path, files))) == broken


def test_the_classes_that_stand_for_a_request_are_those_that_are_there() -> None:
    """One that is gone leaves the list of scripts/house.py; one that is new joins it."""
    assert [meaning for meaning, found in house.request_classes(HOUSE).items() if not found] == []


def test_a_class_of_a_request_is_found_by_its_name_or_its_file(tmp_path: Path) -> None:
    made = built(
        tmp_path, {"a.py": "class AuditRequest: ...", "client/orders.py": "class Order: ..."}
    )
    found = [item for items in house.request_classes(made).values() for item in items]
    assert sorted(found) == ["a.py:AuditRequest", "client/orders.py:Order"]
    assert (
        house.request_classes(built(tmp_path / "b", {"other.py": "class Order: ..."}))[
            "as a client sends it"
        ]
        == []
    )


@pytest.mark.parametrize(
    ("holder", "repeats"),
    [
        ("class Submission:\n    id: str\n    order: AuditOrder", []),
        ("class Submission:\n    policy: str = ''\n    order: AuditOrder", ["Submission"]),
        ("class Submission(AuditOrder):\n    id: str", ["Submission"]),
    ],
)
def test_what_holds_a_request_repeats_none_of_it(
    holder: str, repeats: list[str], tmp_path: Path
) -> None:
    text = f"class AuditOrder:\n    policy: str\n\n\n{holder}\n"
    assert house.repeating_holders(built(tmp_path, {"a.py": text})) == repeats


def test_no_class_repeats_the_request_that_it_holds() -> None:
    assert house.repeating_holders(HOUSE) == []


def test_floors_are_counted_along_the_longest_way_and_circles_share_one(tmp_path: Path) -> None:
    line = "x = 1\n" * house.LEAST_ROOM
    made = built(
        tmp_path,
        {
            "cli/main.py": "from auditor.store import tables\n" + line,
            "store/tables.py": "import auditor.errors\n" + line,
            "errors.py": "def f():\n    from .store.tables import x\n" + line,
            "domain/values.py": line,
            "closet.py": "from auditor import errors",
        },
    )
    assert house.large_rooms(made) == {
        "cli": {"store"},
        "store": {"errors"},
        "errors": {"store"},
        "domain": frozenset(),
    }
    assert house.count_floors(house.large_rooms(made)) == 2
    assert house.room_arrows(made)["closet"] == {"errors"}


def test_a_name_has_as_many_words_as_it_says() -> None:
    names = {"Told": 1, "_Told": 1, "ToldTwice": 2, "JSONPart": 2, "Rfc3161Token": 2, "HTTP": 1}
    assert {name: len(house.words_of(name)) for name in names} == names


def test_a_helper_is_of_single_use_where_its_own_module_names_it_once(tmp_path: Path) -> None:
    text = """
def _once(): ...
def _twice(): ...
def _never(): ...
def public(): ...
class Thing:
    def __init__(self): self._step()
    def _step(self): _once(), _twice(), _twice(), public()
"""
    assert house.single_use_helpers(built(tmp_path, {"a.py": text})) == ["a.py:_once", "a.py:_step"]


def test_code_is_counted_without_blank_lines_comments_and_docstrings(tmp_path: Path) -> None:
    top = '"""One.\n\nTwo."""\n\n# why\nx = """a\nb"""\n\n\n'
    text = top + 'def f():\n    """Three."""\n    return 1\n'
    made = built(tmp_path, {"a.py": text})
    assert house.count_code(made.modules[0]) == 4


def test_a_process_is_a_class_that_defines_all_three_verbs(tmp_path: Path) -> None:
    verbs = "\n    def plan(self): ...\n    def observe(self): ..."
    text = f"class Two:{verbs}\nclass All:{verbs}\n    async def conclude(self): ...\n"
    assert house.process_classes(built(tmp_path, {"a.py": text})) == ["a.py:All"]


@pytest.mark.parametrize(
    "text",
    [
        "from auditor.workflows.audit import audit",
        "def audit(model, data): ...",
        "_LAZY = {'audit': 'auditor.workflows.audit'}",
    ],
)
def test_the_api_is_there_where_the_package_offers_it(text: str, tmp_path: Path) -> None:
    assert house.has_api(built(tmp_path, {"__init__.py": text}))


def test_the_api_is_missing_where_the_package_only_speaks_of_it(tmp_path: Path) -> None:
    assert not house.has_api(built(tmp_path, {"__init__.py": "'''To audit models.'''"}))


def test_the_table_says_what_is_met_and_what_people_judge() -> None:
    rows = [house.at_most("shares", [0.25], [0.17]), house.Measure("guesses", "asked", "27", None)]
    lines = house.table([*rows, house.at_most("counts", (1000, 0), (1000, 0))]).splitlines()
    assert [line.split()[-1] for line in (lines[0], *lines[2:])] == ["met", "no", "?", "yes"]
    assert "25 %" in lines[2]
    assert "1,000 / 0" in lines[4]


def test_what_cannot_be_run_is_not_measured_and_says_why(tmp_path: Path) -> None:
    built(tmp_path, {"cli/main.py": "raise OSError('no cli')"})
    (tmp_path / "tests").mkdir()
    assert house.walk("audit", tmp_path) == "OSError: no cli"


@pytest.mark.slow
def test_one_audit_one_call_and_one_verification_can_be_walked() -> None:
    found = {what: house.walk(what, ROOT) for what, *_ in house.WALKS}
    assert {what: it for what, it in found.items() if isinstance(it, str)} == {}
    assert all(it.functions > it.modules > 10 for it in found.values())
    assert found["post"].inner < (found["post"].functions, found["post"].modules)
    functions, modules = found["post"].inner
    assert functions <= MOST_OF_A_CALL[0]
    assert modules <= MOST_OF_A_CALL[1]


def test_the_script_prints_its_table_as_json_too(tmp_path: Path, capsys: Any) -> None:  # noqa: ANN401
    built(tmp_path, {"desks.py": ""})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("sys.argv", ["house.py", str(tmp_path), "--static", "--json"])
        house.main()
    rows = json.loads(capsys.readouterr().out)
    assert rows[0]["figure"] == "1 / 0"
    assert rows[0]["met"] is True
