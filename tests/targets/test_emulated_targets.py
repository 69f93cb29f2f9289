"""What a real emulator computes: the figures of another processor, within the same limits.

Nothing here is timed. What is expected of integers follows from the saturation of ``vpmaddubsw``,
which a processor with AVX2 and without VNNI has: it adds two products of an unsigned and a signed
byte and cuts the sum to 16 bits (Intel 64 and IA-32 Architectures Software Developer's Manual,
volume 2, PMADDUBSW).
"""

import errno
import hashlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from tiny_models import Classes, Workshop

from auditor.cli.commands.targets import command as targets_command
from auditor.domain.artifacts import Artifact, FileDigest
from auditor.domain.targets import TargetSpec
from auditor.domain.tasks import Floats
from auditor.errors import RuntimeMissingError, TargetError
from auditor.targets.emulation import find_emulator, prepare_emulator
from auditor.targets.isolation import (
    build_child_command,
    build_child_environment,
    build_sandbox_bounds,
)
from auditor.targets.model import OpenedModel
from auditor.targets.probe import probe_target
from auditor.targets.session import open_model

pytestmark = [pytest.mark.slow, pytest.mark.fetches, pytest.mark.xdist_group("emulators")]

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
ROWS = 64
FEATURES = 64
CONFINED = """
import json, os, resource, socket, sys
port, folder = int(sys.argv[1]), sys.argv[2]
found = {}
def attempt(name, action):
    try:
        action(); found[name] = 0
    except OSError as error:
        found[name] = error.errno
    except MemoryError:
        found[name] = "refused"
attempt("network", lambda: socket.create_connection(("127.0.0.1", port), timeout=5))
attempt("writing", lambda: open(folder + "/new", "wb", 0).write(b"x"))
attempt("little", lambda: bytearray(2**26))
attempt("much", lambda: bytearray(2 * 2**30))
print(json.dumps(found))
"""

Emulated = Callable[[str], Path]
Scores = Callable[[str | None], Floats]


@pytest.fixture
def emulated(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Emulated:  # fmt: skip
    """Return a function that makes an emulator ready in a home that later runs find again."""
    kept = Path(request.config.cache.mkdir("emulators"))
    monkeypatch.setenv("AUDITOR_HOME", str(kept))

    def make(cpu: str) -> Path:
        try:
            prepare_emulator(cpu, kept)
        except RuntimeMissingError as error:
            pytest.skip(f"no emulator can be had here: {error}")
        return kept

    return make


@pytest.fixture
def digits(workshop: Workshop) -> Artifact:
    raw = (DIGITS / "model.onnx").read_bytes()
    shutil.copy(DIGITS / "model.onnx", workshop.folder)
    digest = FileDigest("model.onnx", len(raw), hashlib.sha256(raw).hexdigest())
    return Artifact("digits", "1", (digest,))


@pytest.mark.parametrize(
    ("cpu", "machine", "flags"),
    [
        ("Haswell", "x86_64", ["avx", "avx2", "f16c", "fma", "sse4_2"]),
        ("Nehalem", "x86_64", ["sse4_2"]),
        ("Cortex-A72", "aarch64", ["asimd", "neon"]),
    ],
)
def test_another_processor_gives_the_example_the_same_scores_but_for_rounding(
    emulated: Emulated, workshop: Workshop, classes: Classes, digits: Artifact,
    cpu: str, machine: str, flags: list[str],
) -> None:  # fmt: skip
    emulated(cpu)
    rows = np.load(DIGITS / "test.npz")["x"][:ROWS]

    def scored(spec: TargetSpec) -> tuple[Floats, OpenedModel]:
        with open_model(spec, workshop.folder, digits, classes(10), rows) as model:
            return model.predict(rows), model

    here, native = scored(TargetSpec("cpu"))
    there, model = scored(TargetSpec("there", emulated=cpu))
    assert np.abs(here - there).max() < 1e-4
    assert model.deterministic
    assert model.fingerprint.emulated
    assert not native.fingerprint.emulated
    said = json.loads(json.dumps(model.fingerprint.identity_facts["machine"]))
    assert said["machine"] == machine
    assert said["cpu"]["emulated"] == cpu
    assert said["cpu"]["emulator"].startswith(f"qemu-{machine} version ")
    assert said["cpu"]["flags"] == flags
    assert model.fingerprint.identity != native.fingerprint.identity


@pytest.fixture
def quantised(workshop: Workshop, classes: Classes) -> Callable[[type[np.integer]], Scores]:
    """Return a function that scores a row of ones by a linear layer of 8-bit integers.

    The weights of the classes are 1 throughout, 1 in every other place, and 64/127 throughout, so
    that the logits are 64, 32 and 32.25 in steps of 64/127: two neighbours overflow in the first
    class alone.
    """

    def make(kind: type[np.integer]) -> Scores:
        weights = np.zeros((FEATURES, 3), np.int8)
        weights[:, 0], weights[::2, 1], weights[:, 2] = 127, 127, 64
        steps = [
            ("QuantizeLinear", ["x", "s", "z"], "q"), ("DequantizeLinear", ["q", "s", "z"], "a"),
            ("DequantizeLinear", ["w", "ws", "wz"], "b"), ("MatMul", ["a", "b"], "f"),
            ("QuantizeLinear", ["f", "ys", "z"], "p"), ("DequantizeLinear", ["p", "ys", "z"], "y"),
        ]  # fmt: skip
        artifact = workshop.save(
            [workshop.node(name, inputs, [output]) for name, inputs, output in steps],
            [workshop.value("x", ["N", FEATURES])],
            [workshop.value("y", ["N", 3])],
            workshop.weights(
                w=weights, s=np.array(1 / np.iinfo(kind).max, np.float32), z=np.zeros((), kind),
                ws=np.array(1 / 127, np.float32), wz=np.zeros((), np.int8),
                ys=np.array(64 / 127, np.float32),
            ),
        )  # fmt: skip
        rows = np.ones((4, FEATURES), np.float32)

        def scores(cpu: str | None) -> Floats:
            spec = TargetSpec("there", emulated=cpu)
            with open_model(spec, workshop.folder, artifact, classes(3), rows) as model:
                return np.asarray(model.predict(rows)[0])

        return scores

    return make


PAIRS = FEATURES // 2
SATURATED = {
    # 2 · 255 · 127 is cut to 32767 in every pair
    np.uint8: PAIRS * 32767 / 255 / 127,
    # the runtime moves the inputs up by 128, and takes 128 · 127 off again in every place
    np.int8: (PAIRS * 32767 - FEATURES * 128 * 127) / 127 / 127,
}


@pytest.mark.parametrize("kind", [np.uint8, np.int8])
def test_a_processor_that_saturates_gives_an_integer_model_other_scores(
    emulated: Emulated,
    quantised: Callable[[type[np.integer]], Scores],
    kind: type[np.integer],
) -> None:
    emulated("Haswell")
    scores = quantised(kind)
    step = 64 / 127
    for cpu in ("Nehalem", None) if "avx512_vnni" in flags_here() else ("Nehalem",):
        assert scores(cpu) == pytest.approx([64, 32, 32.25], abs=step)
    played = scores("Haswell")
    assert played[0] == pytest.approx(SATURATED[kind], abs=step)
    assert played[1:] == pytest.approx([32, 32.25], abs=step)


def flags_here() -> list[str]:
    """Return the instructions of the processor that this test runs on."""
    return list(probe_target(TargetSpec("cpu"))["machine"]["cpu"]["flags"])


@pytest.mark.parametrize("cpu", ["Haswell", "Cortex-A72"])
def test_an_emulated_child_has_no_network_writes_nothing_and_is_held_to_its_memory(
    emulated: Emulated, tmp_path: Path, cpu: str
) -> None:
    home = emulated(cpu)
    spec = TargetSpec("there", emulated=cpu, memory_limit=2**29)
    bounds = replace(build_sandbox_bounds(spec, tmp_path), emulator=find_emulator(cpu, home))
    started = build_child_command("drivers.onnxruntime", bounds)
    start = started.index("--under")
    python = started.index("-P", start)
    with socket.create_server(("127.0.0.1", 0)) as server:
        tried = ["-c", CONFINED, str(server.getsockname()[1]), str(tmp_path)]
        done = subprocess.run(
            [*started[:python], *tried],
            env=build_child_environment(bounds), capture_output=True, check=False, text=True,
        )  # fmt: skip
    assert done.returncode == 0, done.stderr
    _, said = done.stdout.split("}", 1)  # first the level, as our own program tells it
    found = json.loads(said)
    assert found["network"] != 0
    assert found["writing"] in {errno.EFBIG, errno.EROFS, errno.EACCES, errno.EPERM}
    assert (found["little"], found["much"]) == (0, "refused")


def test_a_processor_that_qemu_cannot_play_is_refused_and_not_approximated(
    emulated: Emulated,
) -> None:
    home = emulated("Haswell")
    with pytest.raises(TargetError, match=r"cannot play SapphireRapids: it lacks .*avx512vnni"):
        find_emulator("SapphireRapids", home)
    with pytest.raises(TargetError, match="does not know the processor 'Nosuch'"):
        find_emulator("Nosuch", home)


def test_the_command_says_what_is_ready_and_where_it_is_kept(emulated: Emulated) -> None:
    home = emulated("Haswell")
    done = CliRunner().invoke(targets_command, ["emulate", "Haswell"], standalone_mode=False)
    assert done.return_value == 0
    assert "Haswell is ready: qemu-x86_64 version " in done.output
    assert str(home) in done.output


def test_this_python_is_the_one_that_runs_under_the_emulator(emulated: Emulated) -> None:
    emulator = find_emulator("Haswell", emulated("Haswell"))
    asked = [*emulator.prefix, sys.executable, "-c", "import sys; print(sys.version)"]
    done = subprocess.run(asked, capture_output=True, check=True, text=True)
    assert done.stdout.strip() == sys.version
