"""The REST API: one file for each noun; tokens instead of sessions, errors as RFC 9457 says, described by OpenAPI 3.1.

It shows and does what the desk shows and does, through the same rules, and never more than the token's scopes.
"""

from triage.api.root import api, urls

__all__ = ["api", "urls"]
