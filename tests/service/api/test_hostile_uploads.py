"""Uploads that are wrong in any way are refused, and leave nothing behind in a real service."""

import gzip
import os
import re
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from hostile_uploads import Hostile, answer_to
from served_toys import sha
from test_the_serve_command import Started, start

pytestmark = pytest.mark.slow
MOST_GROWTH = 64 * 2**20
"""Bytes that a process may grow by, whatever was sent: caches and threads that it had not yet."""


@pytest.fixture(scope="module")
def started(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Started]:
    folder = tmp_path_factory.mktemp("hostile")
    one = start(folder / "home", folder)
    yield one
    one.client.close()
    one.process.kill()
    one.process.wait()


def home(one: Started) -> Path:
    return one.log.parent / "home"


def address(one: Started) -> tuple[str, int]:
    return str(one.client.base_url.host), int(one.client.base_url.port or 0)


def key(one: Started) -> str:
    return str(one.client.headers["authorization"]).removeprefix("Bearer ")


def kept(one: Started) -> dict[str, int]:
    """Return every file below the service's home but parts and logs of databases, by its size."""
    files = [path for path in home(one).rglob("*") if path.is_file()]
    told = {str(path.relative_to(home(one))): path.stat().st_size for path in files}
    return {name: size for name, size in told.items()
            if ".uploads" not in name and ".db" not in name and "locks" not in name}  # fmt: skip


def parts(one: Started) -> int:
    folder = home(one) / "blobs" / ".uploads"
    return sum(path.stat().st_blocks * 512 for path in folder.glob("*")) if folder.is_dir() else 0


def listed(one: Started) -> list[object]:
    return [one.client.get(f"/v1/{kind}?limit=200").json() for kind in ("artifacts", "datasets")]


def resident(one: Started) -> int:
    said = Path(f"/proc/{one.process.pid}/status").read_text()
    found = re.search(r"VmRSS:\s+(\d+) kB", said)
    assert found is not None
    return int(found[1]) * 1024


def hammered(one: Started, seed: int, count: int) -> None:
    """Send so many, and hold the service against what it was before."""
    hostile = Hostile(seed, key(one))
    for _ in range(30):  # what a first call brings into memory is no growth
        answer_to(hostile.draw(), address(one), hostile.key)
    before, size, names = kept(one), resident(one), listed(one)
    seen: Counter[tuple[str, int | None]] = Counter()
    for number in range(count):
        sending = hostile.draw()
        status = answer_to(sending, address(one), hostile.key)
        seen[sending.trick, status] += 1
        fine = status is None or 400 <= status < 500
        # A file of ten gigabytes may begin with a few bytes: the rest may come later.
        assert fine or (sending.trick == "huge" and status == 202), (seed, number, sending)
    assert kept(one) == before
    assert listed(one) == names
    assert parts(one) <= 2 * hostile.sent + 4096 * (count + 30)
    assert resident(one) - size < MOST_GROWTH, seen
    assert one.client.get("/readyz").status_code == 200
    assert '"event": "fault"' not in one.log.read_text()
    assert len({trick for trick, _ in seen}) == 12


def test_hostile_uploads_are_refused_and_leave_nothing(started: Started) -> None:
    hammered(started, seed=1, count=400)


@pytest.mark.long
@pytest.mark.parametrize("seed", [2, 3, 4])
def test_many_hostile_uploads_are_refused_and_leave_nothing(started: Started, seed: int) -> None:
    hammered(started, seed=seed, count=2000)


def test_a_file_that_many_send_at_once_is_kept_once_and_whole(started: Started) -> None:
    raw = os.urandom(2 * 2**20)
    path = f"/v1/datasets/{sha(raw)}"
    with ThreadPoolExecutor(8) as pool:
        sent = [pool.submit(started.client.put, path, content=raw) for _ in range(16)]
        seen = Counter(item.result().status_code for item in sent)
    assert set(seen) <= {200, 201, 409}
    assert seen[201] >= 1  # one that begins just as another ends sends it again
    assert started.client.head(path).status_code == 200
    stored = home(started) / "blobs"
    assert [p.read_bytes() for p in stored.rglob(f"*{sha(raw)[9:]}*") if p.is_file()] == [raw]
    assert not list((stored / ".uploads").glob(f"*-{len(raw)}"))


def test_a_bomb_is_kept_as_it_came_and_never_unpacked(started: Started) -> None:
    raw = gzip.compress(bytes(200 * 2**20))
    before = resident(started)
    sent = started.client.put(
        f"/v1/artifacts/{sha(raw)}", content=raw, headers={"Content-Encoding": "gzip"}
    )
    assert sent.status_code == 201
    stored = [p for p in (home(started) / "blobs").rglob(f"*{sha(raw)[9:]}*") if p.is_file()]
    assert [p.stat().st_size for p in stored] == [len(raw)]
    assert resident(started) - before < MOST_GROWTH
