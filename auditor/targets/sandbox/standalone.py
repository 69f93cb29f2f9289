"""The sandbox program for another Python: ``python standalone.py ROLE …``.

It loads this copy of auditor by its place. The folder beside it may hold the packages of another
environment, which must not come before those of the Python that runs this file.
"""

import importlib
import importlib.util
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parents[2]


def main() -> None:
    """Load auditor, and be the child program."""
    found = importlib.util.spec_from_file_location(
        PACKAGE.name, PACKAGE / "__init__.py", submodule_search_locations=[str(PACKAGE)]
    )
    if found is None or found.loader is None:
        sys.exit(f"{PACKAGE} holds no package")
    module = importlib.util.module_from_spec(found)
    sys.modules[PACKAGE.name] = module
    found.loader.exec_module(module)
    importlib.import_module("auditor.targets.sandbox.__main__").main()


if __name__ == "__main__":
    main()
