"""The `confluence` feed keeps the contract of all feeds, and what is its own."""

import time
from typing import ClassVar

import pytest

from tests.feeds.contract import HOUR, MINUTE, START, OverHttp
from tests.feeds.fakes.confluence import Cloud
from triage.feeds import storage_format

pytestmark = pytest.mark.django_db


class TestCloud(OverHttp):
    """The contract."""

    kind: ClassVar = "confluence"
    library_kind: ClassVar = Cloud

    def test_a_space_or_label_that_is_not_shown_to_us_is_a_failure_and_no_empty_listing(self, library: Cloud) -> None:
        keys = self.several(library, 2)
        library.pages[keys[1]]["labels"] = ["other"]
        labelled = self.connected(library, settings={"label": "kb"})
        assert self.well(labelled).counts.added == 1
        library.pages[keys[0]]["labels"] = []
        self.full(labelled)
        assert "carries the label kb" in self.sync(labelled, START + HOUR).failure
        assert self.article(keys[0]).retired_at is None
        hidden = self.connected(library, slug="hidden", settings={"spaces": ["KB", "HR"]})
        assert "no space HR" in self.sync(hidden).failure

    def test_a_page_of_a_label_that_was_archived_is_retired(self, library: Cloud) -> None:
        keys = self.several(library, 3)
        feed = self.connected(library, settings={"label": "kb"})
        self.well(feed)
        library.retire(keys[0], changed=START + HOUR)
        assert self.well(feed, START + HOUR + MINUTE).counts.retired == 1


MACROS = """<p>Run:</p><ac:structured-macro ac:name="code" ac:macro-id="x"><ac:parameter ac:name="language">bash
</ac:parameter><ac:plain-text-body><![CDATA[a < b && echo "<p>"
exit]]></ac:plain-text-body></ac:structured-macro><ac:task-list><ac:task><ac:task-id>7</ac:task-id><ac:task-status>
incomplete</ac:task-status><ac:task-body>Call back</ac:task-body></ac:task></ac:task-list><ac:parameter/>
<ac:structured-macro ac:name="info"><ac:rich-text-body><p>Ask <ac:link><ri:user ri:userkey="1"/></ac:link>first.</p>
</ac:rich-text-body></ac:structured-macro>"""


def test_macros_become_what_a_reader_sees() -> None:
    lines = [line for line in storage_format.to_text(MACROS).splitlines() if line]
    assert lines == ["Run:", 'a < b && echo "<p>"', "exit", "Call back", "Ask first."]


@pytest.mark.parametrize(
    "piece", ["<![CDATA[", "<ac:parameter ", "<ac:parameter>", "<ac:task-id", "<ac:task>", "]]>", "<ac:parameter/>"]
)
def test_storage_format_is_read_in_linear_time_whatever_it_holds(piece: str) -> None:
    started = time.process_time()
    storage_format.to_text(piece * (400_000 // len(piece)))
    assert time.process_time() - started < 2
