"""Reads for the pages and the API. Whatever serves a person goes through `visible_to`, and nothing here writes."""
