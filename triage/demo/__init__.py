"""The sample world of `triage demo`: articles, people and tickets of an invented company."""
