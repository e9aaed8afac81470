"""The shipped runbooks, one folder each: `runbook.toml` says what it is, `steps.py` what it does."""
