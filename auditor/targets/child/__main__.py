"""The program that opens an artifact: ``python -m auditor.targets.child ROLE …``."""

import argparse
import importlib

from auditor.targets.child.confinement import confine, hand_over, take_channel


def main() -> None:
    """Give up rights, then answer requests until the parent closes the pipe.

    With ``--under COMMAND …``, hand over to that command instead: an emulator or another Python,
    which runs this program again within the limits that hold by then.
    """
    asked = _arguments().parse_args()
    if asked.under:
        level = confine(asked.isolation, asked.memory_limit, asked.parent, asked.faked_files)
        hand_over(asked.under, level, asked.memory_limit, asked.parent)
    channel = take_channel()
    level = asked.isolation
    if not asked.confined:
        level = confine(level, asked.memory_limit, asked.parent, asked.faked_files)
    # From here on native libraries load, so it must not stand at the top of the file.
    serving = importlib.import_module("auditor.targets.child.serving")
    serving.serve(channel, asked.role, level)


def _arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="auditor.targets.child")
    roles = ("structure", "model", "openvino", "twin", "certification", "recipe")
    parser.add_argument("role", choices=roles)
    parser.add_argument("--isolation", required=True)
    parser.add_argument("--memory-limit", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--faked-files", type=int, default=0)
    parser.add_argument("--confined", action="store_true", help="the limits already hold")
    parser.add_argument("--under", nargs=argparse.REMAINDER)
    return parser


if __name__ == "__main__":
    main()
