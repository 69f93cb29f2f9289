"""Ask each INT8 variant about the same rows on this CPU and on one that has no VNNI.

Run `python examples/digits/variants/compare.py QEMU`, where QEMU is the program qemu-x86_64
(Debian: qemu-user). It plays a Haswell: AVX2 without VNNI. ONNX Runtime is the same file both times
and chooses its kernels by what the CPU says it can do. Numbers are real, times are the emulator's.
Each variant is asked twice: as it is, and with `session.x64quantprecision`.
"""

import io
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from scipy.stats import binomtest

HERE = Path(__file__).parent
NAMES = ("s8s8", "u8s8", "u8s8-reduced")
PRECISE = "+precise"
CPU = "Haswell"
BATCH_ROWS = 64

Answers = dict[str, NDArray[np.float32]]


def main() -> None:
    """Ask on both CPUs and print what differs, or be the child that is asked."""
    match sys.argv[1:]:
        case ["--answer"]:
            buffer = io.BytesIO()
            np.savez(buffer, **answers())
            sys.stdout.buffer.write(buffer.getvalue())
        case [emulator]:
            if "vnni" not in Path("/proc/cpuinfo").read_text(encoding="utf-8"):
                sys.exit("this CPU has no VNNI, so that both sides of the comparison would be one")
            here = asked([])
            start = time.monotonic()
            there = asked([emulator, "-cpu", CPU])
            report(here, there)
            print(f"{time.monotonic() - start:.0f} s emulated, start included")
        case _:
            sys.exit("usage: compare.py QEMU")


def answers() -> Answers:
    """Return the logits [n, 10] of every variant, as this process computes them."""
    rows = np.load(HERE / "test.npz")["x"]
    found: Answers = {}
    for name in NAMES:
        for suffix in ("", PRECISE):
            options = onnxruntime.SessionOptions()
            options.intra_op_num_threads = 1
            if suffix:
                options.add_session_config_entry("session.x64quantprecision", "1")
            session = onnxruntime.InferenceSession(
                HERE / f"{name}.onnx", options, providers=["CPUExecutionProvider"]
            )
            batches = np.split(rows, range(BATCH_ROWS, len(rows), BATCH_ROWS))
            parts = [session.run(None, {"pixels": batch})[0] for batch in batches]
            found[name + suffix] = np.concatenate(parts)
    return found


def asked(prefix: list[str]) -> Answers:
    """Return the answers of a process of its own, behind an emulator where ``prefix`` names one."""
    command = [*prefix, sys.executable, str(Path(__file__).resolve()), "--answer"]
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)  # noqa: S603 -- the user named it
    return dict(np.load(io.BytesIO(done.stdout)))


def report(here: Answers, there: Answers) -> None:
    """Print a line for each variant: accuracy on both CPUs, flips, and their Wilson interval."""
    labels = np.load(HERE / "test.npz")["y"]
    for name, ours in here.items():
        mine, theirs = ours.argmax(axis=1), there[name].argmax(axis=1)
        flips = int(np.sum(mine != theirs))
        interval = binomtest(flips, len(labels)).proportion_ci(method="wilson")
        by_digit = [float(np.mean(mine[labels == k] != theirs[labels == k])) for k in range(10)]
        print(
            f"{name}: accuracy {np.mean(mine == labels):.4f} here, "
            f"{np.mean(theirs == labels):.4f} there; {flips} of {len(labels)} flip "
            f"[{interval.low:.4f}, {interval.high:.4f}], "
            f"worst digit {int(np.argmax(by_digit))} {max(by_digit):.3f}; "
            f"{'same bits' if np.array_equal(ours, there[name]) else 'other bits'}"
        )


if __name__ == "__main__":
    main()
