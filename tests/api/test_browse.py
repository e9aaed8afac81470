"""The description as a page: every operation on it, and nothing that the content security policy would stop."""

import re

import pytest
from django.test import Client

from tests import factories
from tests.web.conftest import client_of
from triage import api

pytestmark = pytest.mark.django_db


def test_every_operation_is_on_the_page(db: None) -> None:
    page = Client().get("/api/").content.decode()
    for path, operations in api.api.get_openapi_schema()["paths"].items():
        for method in operations:
            assert f"<code>{method.upper()} {path}</code>" in page
    for words in ("updated_since", "Idempotency-Key", "tickets:read", "people_needed"):
        assert words in page


def test_the_page_needs_no_script_or_style_of_its_own(db: None) -> None:
    answer = client_of(factories.member(factories.customer())).get("/api/")
    page = answer.content.decode()
    policy = answer["Content-Security-Policy"]
    assert "unsafe" not in policy
    assert not re.search(r"<style|\sstyle=|\son[a-z]+=|javascript:", page)
    for source in re.findall(r"<script[^>]*>", page):
        assert re.search(r'src="/static/[^"]+"', source), source
    assert not re.search(r'(?:src|href)="(?:https?:)?//', page)
