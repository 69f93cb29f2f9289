"""A harness for atheris, which looks for inputs by what code they reach.

Run by hand for as long as wanted, `fuzz_with_atheris.py CORPUS -runs=1000000` for instance,
with atheris and auditor installed. The folder CORPUS is filled with good bundles first.
"""

import resource
import sys
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["auditor.trust"]):
    from auditor.trust.signatures import model_signing

from authority_forge import MOMENT
from bundle_mutations import BUNDLES, TRUST, means_the_same, says_the_same
from signature_forge import FILES

from auditor.trust.verification_result import VerificationProfile

MOST_MEMORY = 2 << 30
"""In bytes. The fuzzer's own limit takes the memory of whoever started it for its own."""


def look(raw: bytes) -> None:
    """Anything but a verdict is a defect; so is a yes to what says something else."""
    for profile in VerificationProfile:
        found = model_signing.verify_model(raw, TRUST, FILES, moment=MOMENT, profile=profile)
        if found.verified and not (says_the_same(raw) or means_the_same(raw)):
            raise AssertionError(found)


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    corpus = Path(sys.argv[1])
    for number, raw in enumerate(BUNDLES):
        (corpus / f"good-{number}.json").write_bytes(raw)
    atheris.Setup(sys.argv, look)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
