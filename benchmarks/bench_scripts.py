"""The scripts that make up the table, in its order, and how each is run for it."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Script:
    """A script, the area that it speaks of, and what it is told.

    ``quick`` ones take a few minutes. ``peers`` says that it makes environments for peers, which
    are kept from one run to the next.
    """

    name: str
    area: str
    words: tuple[str, ...] = ()
    quick: bool = False
    peers: bool = False


SCRIPTS = (
    Script(
        "evasion_white_box.py",
        "attacks",
        ("--rows-standard", "500", "--minutes-standard", "10"),
    ),
    Script("evasion_queries.py", "attacks"),
    Script("evasion_norms.py", "attacks", ("--rows", "100")),
    Script("evasion_trees.py", "attacks"),
    Script("evasion_attackbench.py", "attacks", ("--rows", "50", "--norms", "linf", "l2")),
    Script("evasion_art.py", "attacks"),
    Script("linf_against_torchattacks.py", "attacks", quick=True),
    Script("membership_against_peers.py", "attacks", ("--quick",), quick=True),
    Script("training_scan_against_peers.py", "attacks", peers=True),
    Script("backdoor_zoo.py", "attacks"),
    Script("twin_coverage.py", "attacks"),
    Script("calibration_against_peers.py", "statistics", quick=True, peers=True),
    Script("drift_against_peers.py", "statistics", quick=True, peers=True),
    Script("slices_and_groups.py", "statistics", peers=True),
    Script("slices_as_audited.py", "statistics", quick=True),
    Script("accounting_against_peers.py", "statistics", quick=True, peers=True),
    Script("hashing_against_peers.py", "hashing", quick=True, peers=True),
    Script("disclosure_speed.py", "hashing", quick=True),
    Script("ledger_speed.py", "ledger", quick=True, peers=True),
    Script("judging.py", "policy", quick=True),
    Script("service_load.py", "service"),
    Script("service_engine.py", "service"),
    Script("service_at_scale.py", "service"),
    Script("session_overhead.py", "whole audits", quick=True),
    Script("latency_against_loadgen.py", "whole audits", quick=True),
    Script("whole_audits.py", "whole audits", quick=True),
    Script("scale.py", "scale", quick=True),
    Script("memory_bounds.py", "scale"),
    Script("real_size_audits.py", "real size", ("--autoattack", "100")),
)

PARTS = frozenset({"service_readers.py"})
"""Scripts that others run as a process of their own."""
