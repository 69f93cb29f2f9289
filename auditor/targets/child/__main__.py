"""The program that opens an artifact: ``python -m auditor.targets.child ROLE …``."""

import argparse
import importlib

from auditor.targets.child.confinement import confine, take_channel


def main() -> None:
    """Give up rights, then answer requests until the parent closes the pipe."""
    channel = take_channel()
    parser = argparse.ArgumentParser(prog="auditor.targets.child")
    parser.add_argument("role", choices=("structure", "model", "twin", "certification"))
    parser.add_argument("--isolation", required=True)
    parser.add_argument("--memory-limit", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    asked = parser.parse_args()
    level = confine(asked.isolation, asked.memory_limit, asked.parent)
    # From here on native libraries load, so it must not stand at the top of the file.
    serving = importlib.import_module("auditor.targets.child.serving")
    serving.serve(channel, asked.role, level)


if __name__ == "__main__":
    main()
