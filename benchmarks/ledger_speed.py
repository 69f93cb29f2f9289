"""Speed of the ledger, beside pymerkle on the same entries, in one run: CPU a core, and wall.

    python benchmarks/ledger_speed.py [--entries 200000] [--environments FOLDER]

Entries are short JSON texts. Each figure is the best of --runs; ratios are to pymerkle, whose tree
lies in SQLite as well. "From SQL" is a proof whose lowest tile was never read before.
"""

import argparse
import hashlib
import json
import random
import secrets
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from figures import Figure, over, tell
from peers import asked, environment

from auditor.domain.json import compute_digest
from auditor.service.store.audit_log_check import SERVICE_ROWS
from auditor.store.ledger import LedgerReader, LedgerWriter, PendingEvent
from auditor.store.ledger_audit import LedgerReference, audit_ledger
from auditor.store.record_store import RecordStore
from auditor.trust.ledger.events import SALT, LedgerEvent, LedgerEventType
from auditor.trust.ledger.merkle import EMPTY, TreeHead, leaf_hash, merkle_root, verify_inclusion
from auditor.trust.ledger.notes import MemoryNoteSigner
from auditor.trust.ledger.tiles import NodeCache

BATCH = 10_000
SINGLES = 200
SEED = 7
GOALS = {"append, batched": 1e5, "proofs, cached": 25e3, "proofs, from SQL": 5e3}
LOG = MemoryNoteSigner("log.example/bench", Ed25519PrivateKey.generate())
PEER = """
import json, os, random, sys, tempfile, time
import pymerkle
count, proofs, seed = map(int, sys.argv[1:])
entries = [b'{"number":%d,"digest":"%064x"}' % (i, i) for i in range(count)]
chance = random.Random(seed)
wanted = [chance.randrange(count) for _ in range(proofs)]
found = {}
def timed(name, job, units):
    cpu, wall = time.process_time(), time.perf_counter()
    out = job()
    found[name] = [units / (time.process_time() - cpu), units / (time.perf_counter() - wall)]
    return out
with tempfile.TemporaryDirectory() as folder:
    tree = pymerkle.SqliteTree(os.path.join(folder, "tree.db"))
    timed("append, batched", lambda: tree.append_entries(entries), count)
    for _ in range(2):
        prove = lambda: [tree.prove_inclusion(i + 1) for i in wanted]
        made = timed("proofs, cached", prove, proofs)
    tree.cache_clear()
    timed("proofs, from SQL", lambda: [tree.prove_inclusion(i + 1) for i in wanted[:200]], 200)
    root = tree.get_state()
    timed("verification", lambda: [
        pymerkle.verify_inclusion(tree.get_leaf(i + 1), root, p) for i, p in zip(wanted, made)
    ], proofs)
    timed("append, single", lambda: [tree.append_entry(e) for e in entries[:200]], 200)
    tree.close()
print(json.dumps({"root": root.hex(), "rates": found}))
"""

Rates = dict[str, list[float]]


def timed(job: Callable[[], object], units: int) -> list[float]:
    """Return units a second of CPU time, and of wall time."""
    cpu, wall = time.process_time(), time.perf_counter()
    job()
    return [units / (time.process_time() - cpu), units / (time.perf_counter() - wall)]


def appended(store: RecordStore, entries: Sequence[bytes]) -> TreeHead:
    """Append entries, a transaction a batch."""
    head = TreeHead(0, EMPTY)
    for start in range(0, len(entries), BATCH):
        with store.engine.begin() as connection:
            writer = LedgerWriter(connection, None, bytes)
            head = writer.append_entries(head, entries[start : start + BATCH])
    return head


def proofs(
    store: RecordStore, head: TreeHead, wanted: Sequence[int], rates: Rates
) -> list[tuple[bytes, ...]]:
    """Prove leaves, first with nothing in memory but the upper tiles, then with all of it."""
    with store.engine.connect() as connection:
        alone = LedgerReader(connection, NodeCache(most=8)).tree(head.size)
        rates["proofs, from SQL"] = timed(
            lambda: [alone.inclusion(at) for at in wanted], len(wanted)
        )
        tree = LedgerReader(connection, NodeCache()).tree(head.size)
        for start in range(0, head.size, 128):
            tree.inclusion(start)
        made: list[tuple[bytes, ...]] = []
        rates["proofs, cached"] = timed(
            lambda: made.extend(tree.inclusion(at) for at in wanted), len(wanted)
        )
        return made


def of_entries(
    folder: Path, entries: Sequence[bytes], wanted: Sequence[int]
) -> tuple[Rates, TreeHead]:
    """Measure the log itself."""
    rates: Rates = {}
    store = RecordStore.open(f"sqlite:///{folder / 'entries.db'}", folder / "blobs")
    heads: list[TreeHead] = []
    rates["append, batched"] = timed(lambda: heads.append(appended(store, entries)), len(entries))
    (head,) = heads
    made = proofs(store, head, wanted, rates)
    leaves = [leaf_hash(entries[at]) for at in wanted]
    rates["verification"] = timed(
        lambda: [
            verify_inclusion(head, at, leaf, proof)
            for at, leaf, proof in zip(wanted, leaves, made, strict=True)
        ],
        len(wanted),
    )
    assert all(map(verify_inclusion, [head] * len(made), wanted, leaves, made))
    rates["tree, from leaves"] = timed(lambda: merkle_root(map(leaf_hash, entries)), len(entries))
    store.close()
    return rates, head


def of_events(folder: Path, count: int) -> Rates:
    """Measure what the auditor does with it: salted leaves, openings, signed checkpoints."""
    rates: Rates = {}
    store = RecordStore.open(f"sqlite:///{folder / 'events.db'}", folder / "blobs", LOG)
    events = [_event(number) for number in range(count)]

    def append() -> None:
        for start in range(0, count, BATCH):
            with store.engine.begin() as connection:
                writer = LedgerWriter(connection, LOG, lambda: secrets.token_bytes(SALT))
                writer.append(events[start : start + BATCH])

    def single() -> None:
        for item in events[:SINGLES]:
            with store.unit_of_work() as work:
                work.append(replace(item.event, id=None), item.document)

    rates["events, batched"] = timed(append, count)
    rates["append, single"] = timed(single, SINGLES)
    steps = []
    rates["re-audit"] = timed(
        lambda: steps.extend(audit_ledger(store.engine, LedgerReference(LOG.key), SERVICE_ROWS)),
        count + SINGLES,
    )
    assert all(step.result.value != "failed" for step in steps), steps
    store.close()
    return rates


def _event(number: int) -> PendingEvent:
    document = str(number).encode()
    subjects = {"artifact": compute_digest(b"a" + document), "policy": compute_digest(b"p")}
    return PendingEvent(
        LedgerEvent(
            LedgerEventType.POLICY, compute_digest(document), "2026-01-01T00:00:00Z", subjects
        ),
        document,
    )


def best(runs: Sequence[Rates]) -> Rates:
    """Return the best of each figure."""
    return {name: [max(run[name][at] for run in runs) for at in (0, 1)] for name in runs[0]}


def show(mine: Rates, peer: Rates) -> None:
    """Print each figure, its ratio to the peer's, and the goal where there is one."""
    print(f"{'':20} {'CPU, 1/s':>12} {'wall, 1/s':>12} {'to pymerkle':>12}  goal")
    for name, (cpu, wall) in mine.items():
        ratio = f"{cpu / peer[name][0]:.1f}x" if name in peer else "-"
        goal = GOALS.get(name)
        kept = "" if goal is None else f"{goal:,.0f}: {'kept' if cpu >= goal else 'missed'}"
        print(f"{name:20} {cpu:12,.0f} {wall:12,.0f} {ratio:>12}  {kept}")


def told(runs: Sequence[Rates], peer: Rates, hashes: float) -> list[Figure]:
    """Return each figure as a ratio to pymerkle's, or to the rate of plain hashes of the leaves."""
    found = []
    for name in runs[0]:
        rates = [run[name][0] for run in runs]
        if name in peer:
            theirs = [rate / peer[name][0] for rate in rates]
            what = f"{name}: a CPU second of ours, of theirs"
            found.append(over("ledger", what, theirs, "pymerkle 7.0.0"))
        what, floor = f"{name}: CPU of one, of hashing one entry", [hashes / rate for rate in rates]
        found.append(over("ledger", what, floor, "SHA-256 of the entries alone", better="less"))
        if name in GOALS:
            what, goal = f"{name}: a CPU second", GOALS[name]
            found.append(over("ledger", what, rates, "nothing", unit="1/s", goal=goal))
    return found


def main() -> None:
    """Run both, and print the comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--proofs", type=int, default=5_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--environments", type=Path)
    asked_for = parser.parse_args()
    count = asked_for.entries
    entries = [b'{"number":%d,"digest":"%064x"}' % (at, at) for at in range(count)]
    chance = random.Random(SEED)  # noqa: S311 -- a sample, not a secret
    wanted = [chance.randrange(count) for _ in range(asked_for.proofs)]
    runs, head = [], TreeHead(0, EMPTY)
    for _ in range(asked_for.runs):
        with tempfile.TemporaryDirectory() as folder:
            rates, head = of_entries(Path(folder), entries, wanted)
            runs.append(rates | of_events(Path(folder), count // 10))
    with tempfile.TemporaryDirectory() as made:
        python = environment(asked_for.environments or Path(made), "pymerkle", ("pymerkle==7.0.0",))
        peer = asked(python, PEER, count, asked_for.proofs, SEED) or {"rates": {}}
    if "root" in peer:
        print(f"the same root as pymerkle: {json.dumps(peer['root'] == head.root.hex())}")
    name = hashlib.sha256(b"".join(entries)).hexdigest()[:12]
    print(f"{count:,} entries ({name}), {asked_for.proofs:,} proofs, best of {asked_for.runs}")
    show(best(runs), peer["rates"])
    (hashes, _) = timed(lambda: [hashlib.sha256(entry).digest() for entry in entries], count)
    tell(*told(runs, peer["rates"], hashes))


if __name__ == "__main__":
    main()
