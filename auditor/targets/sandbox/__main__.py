"""The program of the sandbox: ``python -m auditor.targets.sandbox ROLE …``."""

import argparse
import importlib

from auditor.targets.sandbox import trace_reader
from auditor.targets.sandbox.confinement import (
    SandboxLimits,
    confine_process,
    drop_system_calls,
    exec_other_program,
    take_channel,
)

PROFILED = frozenset({"drivers.onnxruntime"})
"""Programs with a profiler, which needs a process beside this one."""


def main() -> None:
    """Give up rights, then answer requests until the parent closes the pipe.

    With ``--under COMMAND …``, hand over to that command instead: an emulator or another Python,
    which runs this program again within the limits that hold by then.
    """
    parser = argparse.ArgumentParser(prog="auditor.targets.sandbox")
    parser.add_argument("role", help="a module below auditor.targets, or the path of a driver")
    parser.add_argument("--isolation", required=True)
    parser.add_argument("--memory-limit", type=int, required=True)
    parser.add_argument("--parent", type=int, required=True)
    parser.add_argument("--faked-files", type=int, default=0)
    parser.add_argument("--alone", action="store_true", help="it starts no other process")
    parser.add_argument("--readable", action="append", default=[], help="a folder or file to read")
    parser.add_argument("--confined", action="store_true", help="the limits already hold")
    parser.add_argument("--under", nargs=argparse.REMAINDER)
    asked = parser.parse_args()
    wanted = SandboxLimits(
        level=asked.isolation,
        memory_limit=asked.memory_limit,
        parent=asked.parent,
        faked_files=asked.faked_files,
        alone=asked.alone,
        readable=tuple(asked.readable),
    )
    if asked.under:
        level = drop_system_calls(confine_process(wanted), alone=False)
        exec_other_program(asked.under, level, wanted)
    channel = take_channel()
    level = asked.isolation if asked.confined else confine_process(wanted)
    if asked.role in PROFILED:
        trace_reader.start_trace_reader()
    if not asked.confined:
        level = drop_system_calls(level, alone=asked.alone)
    # From here on native libraries load, so it must not stand at the top of the file.
    loop = importlib.import_module("auditor.targets.sandbox.request_loop")
    loop.serve_requests(channel, asked.role, level)


if __name__ == "__main__":
    main()
