"""What the tests of the Action, the template and the hook put into a repository."""

FAKE = """\
#!/usr/bin/env python3
import json, sys
print(json.dumps(sys.argv[1:]))
"""
"""A command that prints what it is given."""


def policy(least: float) -> str:
    """Return a policy of one rule: how often a model is right at least."""
    return f"""\
apiVersion: auditor/v1
kind: Policy
metadata: {{name: ours, version: 1.0.0, owner: tests@example.org, least_budget: smoke}}
rules:
  - id: accurate
    title: It is right
    severity: high
    effect: deny
    measure: quality.accuracy/accuracy
    at_least: {least}
"""
