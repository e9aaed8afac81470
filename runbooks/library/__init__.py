"""The shipped runbooks, one folder each: `runbook.toml` says what it is, the files beside it what it does."""
