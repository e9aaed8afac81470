"""The shipped runbooks, one folder each: `__init__.py` says what it is, `steps.py` what it does."""
