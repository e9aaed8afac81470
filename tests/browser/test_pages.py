"""Every address that shows something is in the list of pages. That each is there: tests/browser/test_hostile.py."""

from pathlib import Path

import pytest
from django.utils import timezone

from tests.browser import pages
from tests.web import scene as scenes

pytestmark = pytest.mark.django_db


@pytest.fixture
def desk(tmp_path: Path) -> pages.Desk:
    scene = scenes.build(at=timezone.now(), folder=tmp_path)
    scenes.busy(scene, at=timezone.now())
    return pages.furnish(scene, at=timezone.now())


def test_every_address_that_shows_something_is_in_the_list_of_pages(desk: pages.Desk) -> None:
    there = pages.pages(desk)
    assert len({page.name for page in there}) == len(there)
    listed = {page.route for page in there} - {""}
    assert pages.routes() - listed == pages.EXCEPTIONS.keys(), "put new addresses into tests/browser/pages.py"
    assert listed <= pages.routes()
