"""What the pages print and no test runs as it is printed: why, and which test runs the like."""

SERVICE = ("needs a service", "tests/cli/test_audits_at_a_service.py")
PEOPLE = ("needs a service and its people", "tests/cli/test_decisions_at_a_service.py")
AGENT = ("needs a service and its agent", "tests/service/api/test_leases_of_agents.py")
AUTHORITY = ("needs a time-stamping authority", "tests/cli/test_the_timestamp_command.py")
AUTHORITIES = ("needs a certificate authority", "tests/cli/test_audit_of_a_signed_model.py")
TOKEN = ("needs a token", "tests/trust/keys/test_tokens.py")
HOURS = ("takes minutes to hours", "tests/selftest")
BROWSER = ("starts a browser", "tests/cli/test_audits_on_paper.py")
OWNER = ("needs an owner's policy", "tests/cli/test_trust_policies_in_use.py")
WORKED = ("is run there", "tests/cli/test_waivers_by_the_page.py")
WAIVED = ("needs a record that fails", "tests/cli/test_waivers_in_use.py")
CHALLENGED = ("needs a counterexample", "tests/cli/test_the_challenge_command.py")
SCHEDULES = ("needs a service that audits again", "tests/service/api/test_schedules.py")
BACKUP = ("needs PostgreSQL", "tests/operations/test_backups_of_a_service.py")
FETCHED = ("fetches its data", "tests/cli/test_audit_files_under_pins.py")
INSTALLED = ("installs from a checkout or an index", "tests/project/test_wheel.py")
CALLED = ("calls a service", "tests/service/api")
IMAGES = ("needs Docker or Kubernetes", "tests/operations/test_charts.py")
WORKER = ("installs another runtime", "tests/targets")

EXAMPLE = ("is run by another test of the same file", "tests/cli/test_commands_of_the_pages.py")

COMMANDS = {
    "README.md": {
        "auditor serve": SERVICE,
        "auditor audit audit.yaml --server http://127.0.0.1:8400": SERVICE,
    },
    "docs/agents.md": {
        "auditor serve --targets targets.yaml --agents npu": AGENT,
        "auditor worker --server https://auditor.example.org": AGENT,
    },
    "docs/compare.md": {
        "auditor audit audit.yaml --only quality.accuracy": EXAMPLE,
        "auditor compare before after --key before/signer.pub": EXAMPLE,
    },
    "docs/keys.md": {
        "auditor timestamp add report --url": AUTHORITY,
        "auditor timestamp add model.sig --url": AUTHORITY,
        "auditor timestamp add report --renew": AUTHORITY,
        "auditor verify report --key signer.pub --tsa-roots": AUTHORITY,
        "auditor verify model/ --signature model.sig --roots": AUTHORITIES,
        "auditor sign model/ --out model.sig --key 'pkcs11:": TOKEN,
    },
    "docs/ledger.md": {
        "auditor ledger witness https://witness.example/prefix": (
            "needs a witness",
            "tests/cli/test_the_witness_command.py",
        ),
    },
    "docs/lineage.md": {
        "auditor challenge report --examples x.npz": CHALLENGED,
        "auditor challenge report --examples x.npz --inputs": CHALLENGED,
    },
    "docs/operations.md": {
        "auditor serve": SERVICE,
        'AUDITOR_DATABASE_URL="$NEW_URL" auditor restore': BACKUP,
        "auditor backup /mnt/backup/auditor --no-database": BACKUP,
    },
    "docs/people.md": {
        "auditor waive report --rule accuracy …": PEOPLE,
        "auditor approve sha256:…": PEOPLE,
        "auditor flag sha256:…": PEOPLE,
    },
    "docs/reading-a-report.md": {
        "auditor render report --pdf report.pdf": BROWSER,
        "auditor audit audit.yaml --pdf": BROWSER,
    },
    "docs/sealed.md": {
        "auditor audit audit.yaml --server": SERVICE,
        "auditor gate --artifact model.onnx --policy release.yaml": SERVICE,
    },
    "docs/selftest-results.md": {
        "auditor selftest --full --rows full.jsonl": HOURS,
        "auditor selftest --curve --rows curve.jsonl": HOURS,
    },
    "docs/selftest.md": {
        "auditor selftest": HOURS,
        "auditor selftest --full --rows full.jsonl": HOURS,
        "auditor selftest --curve --rows curve.jsonl": HOURS,
        "auditor selftest --family bias --keep specimens": HOURS,
    },
    "docs/service.md": {
        "auditor serve --targets targets.yaml": SERVICE,
        "auditor audit audit.yaml --wait-for-target 10m": SERVICE,
        "auditor gate --artifact model.onnx --policy policy.yaml": SERVICE,
        'auditor schedule add audit.yaml --cron "0 3 * * *"': SCHEDULES,
        "auditor schedule add audit.yaml --watch /srv/batches/credit --on": SCHEDULES,
        "auditor serve --watch-root /srv/batches": SCHEDULES,
        "auditor schedule add audit.yaml --watch /srv/batches/credit --batch-role": SCHEDULES,
        "auditor worker --target npu --targets targets.yaml": AGENT,
    },
    "docs/signatures.md": {
        "auditor sign model/ --out model.sig --key leaf.key": AUTHORITIES,
        "auditor verify model/ --signature model.sig --roots": AUTHORITIES,
        "auditor verify model/ --signature model.sig --trusted-root": AUTHORITIES,
    },
    "docs/tokens.md": {
        "auditor audit audit.yaml": SERVICE,
        "- auditor audit audit.yaml": SERVICE,
        "auditor serve --oidc oidc.yaml": SERVICE,
    },
    "docs/trust.md": {
        "auditor trust lint trust.yaml": OWNER,
        "auditor trust sign trust.yaml": OWNER,
        "auditor trust accept trust.yaml": OWNER,
        "auditor trust show trust.yaml": OWNER,
        "auditor gate … --trust trust.yaml": OWNER,
    },
    "docs/waivers.md": {
        "auditor audit audit.yaml --policy strict.yaml": WORKED,
        "auditor waive report --rule accurate": WORKED,
        "auditor judge report --waiver w.json --waiver-key anna/decision.pub --out waived": WORKED,
        "auditor verify waived": WORKED,
        "auditor gate --artifact model.onnx --policy strict.yaml": WORKED,
        "auditor comment waived": WORKED,
        "auditor waive report --rule accuracy": WAIVED,
        "auditor judge report --waiver w.json --waiver-key anna/decision.pub --out r": WAIVED,
        "auditor audit audit.yaml --waiver w.json": WAIVED,
        "auditor approve report --by": WAIVED,
        "auditor gate --artifact model.onnx --policy policy.yaml --record report-waived": WAIVED,
        "auditor keys new --role decision": WAIVED,
    },
    "examples/adult/README.md": {"auditor audit": FETCHED},
    "examples/employment/README.md": {"auditor audit": FETCHED},
}
"""Commands of ours, by how they begin."""

PROGRAMS = {
    ("README.md", "make"): ("makes environments", "tests/project/test_make.py"),
    ("README.md", "pip"): INSTALLED,
    ("docs/agents.md", "curl"): CALLED,
    ("docs/agents.md", "jq"): CALLED,
    ("docs/agents.md", "pip"): INSTALLED,
    ("docs/checks-of-your-own.md", "pip"): INSTALLED,
    ("docs/ci.md", "pip"): INSTALLED,
    ("docs/compare.md", "python"): EXAMPLE,
    ("docs/first-gate.md", "pip"): INSTALLED,
    ("docs/first-gate.md", "python"): (
        "is run there",
        "tests/cli/test_the_page_on_a_first_gate.py",
    ),
    ("docs/index.md", "pip"): INSTALLED,
    ("docs/keys.md", "cat"): AUTHORITY,
    ("docs/keys.md", "openssl"): AUTHORITY,
    ("docs/operations.md", "chmod"): IMAGES,
    ("docs/operations.md", "docker"): IMAGES,
    ("docs/operations.md", "echo"): IMAGES,
    ("docs/operations.md", "helm"): IMAGES,
    ("docs/operations.md", "kubectl"): IMAGES,
    ("docs/operations.md", "mkdir"): IMAGES,
    ("docs/operations.md", "openssl"): IMAGES,
    ("docs/operations.md", "pg_dump"): BACKUP,
    ("docs/operations.md", "pg_restore"): BACKUP,
    ("docs/operations.md", "pip"): INSTALLED,
    ("docs/people.md", "curl"): CALLED,
    ("docs/publishing.md", "python3"): ("is run there", "tests/cli/test_evidence_bundles.py"),
    ("docs/python.md", "pip"): INSTALLED,
    ("docs/sealed.md", "curl"): CALLED,
    ("docs/selftest-results.md", "python"): HOURS,
    ("docs/service.md", "curl"): CALLED,
    ("docs/service.md", "jq"): CALLED,
    ("docs/service.md", "pip"): INSTALLED,
    ("docs/targets.md", "scripts/make_worker_env.sh"): WORKER,
    ("examples/adult/README.md", "python"): FETCHED,
    ("examples/employment/README.md", "python"): FETCHED,
}
"""Other programs in blocks of commands, by page; those of pages that are run whole are not here."""

BLOCKS = {
    "docs/dp-claims.md": (
        "a sketch with … where the owner's network is",
        "tests/metrics/privacy_accounting",
    ),
}
"""Pages with Python that is not run."""
