"""500 hostile strings in every text of the database: no page makes an element, an attribute or a script of any.

All pages are read by Chromium's own parser; some are lived in, with a look out for dialogs, errors and the policy.
"""

import html
import re
from collections.abc import Sequence
from typing import Any

import pytest
from django.utils import timezone

from tests.browser import hostile
from tests.browser.looks import LOOKS, Looker
from tests.browser.pages import Desk, Page, furnish, pages
from tests.web.scene import Scene
from triage.models import Article, ArticleFeed, Delivery, FeedArticle, Notification

# What a page is made of, seen as a browser sees it: nothing of ours has handlers, styles or frames of its own, and no
# name, address or order to the desk's scripts holds a hostile string.
JUDGE = """([text, base]) => {
  const hostile = /xq\\d{3}z/, wrong = [], page = new DOMParser().parseFromString(text, 'text/html')
  const free = new Set(['value', 'title', 'alt', 'aria-label', 'aria-description', 'content', 'placeholder', 'datetime'])
  const tags = new Set(['iframe', 'frame', 'object', 'embed', 'base', 'applet', 'math', 'foreignobject', 'animate', 'set', 'style', 'noembed', 'xmp', 'plaintext', 'marquee', 'listing', 'portal'])
  const addresses = new Set(['href', 'src', 'action', 'formaction', 'xlink:href', 'hx-get', 'hx-post', 'poster', 'data', 'cite', 'background', 'ping'])
  const own = new URL(base)
  const walk = root => {
    for (const one of root.querySelectorAll('*')) {
      const tag = one.localName.toLowerCase(), where = one.outerHTML.slice(0, 200)
      if (tag === 'template') walk(one.content)
      if (hostile.test(tag) || tags.has(tag)) wrong.push(['element', where])
      if (tag === 'script' && !(one.getAttribute('src') || '').startsWith('/static/')) wrong.push(['script', where])
      if (tag === 'link' && !(one.getAttribute('href') || '').startsWith('/static/')) wrong.push(['link', where])
      if (tag === 'meta' && one.httpEquiv) wrong.push(['meta', where])
      for (const { name, value } of one.attributes) {
        if (hostile.test(name) || name.startsWith('on') || name === 'style' || name === 'srcdoc') wrong.push([name, where])
        if (addresses.has(name)) {
          const to = new URL(value, base)
          const plain = to.origin === own.origin || (name === 'href' && /external|noreferrer/.test(one.rel))
          if (!plain || !/^https?:$/.test(to.protocol)) wrong.push([name, where])
        } else if (hostile.test(value) && !free.has(name)) wrong.push([name, where])
      }
    }
    const comments = document.createNodeIterator(root, NodeFilter.SHOW_COMMENT)
    for (let one; (one = comments.nextNode());) if (hostile.test(one.data)) wrong.push(['comment', one.data.slice(0, 120)])
  }
  walk(page)
  return wrong
}"""
LIVED_IN = ("queue", "ticket-run", "blind", "approval", "run-done", "notifications", "overview", "delivery", "article")


def unescaped(text: str) -> list[str]:
    """Hostile strings that stand in a page letter by letter, though they hold what HTML gives a meaning."""
    there = hostile.strings()
    found = []
    for match in hostile.MARK.finditer(text):
        one = there[int(match[1])]
        begins = match.start() - one.index(match[0])
        safe = html.escape(one)
        if safe != one and text.startswith(one, begins) and not text.startswith(safe, begins):
            found.append(one)
    return found


def _furnished(scene: Scene) -> Desk:
    desk, at = furnish(scene, at=timezone.now()), timezone.now()
    hostile.poison()
    told = f'{{"subject": "{hostile.strings()[0]}", "body": "x"}}{hostile.whole()}'
    Delivery.objects.update(body=told.encode(), size=len(told))
    feed, article = ArticleFeed.objects.get(slug="wiki"), Article.objects.filter(fed=None).first()
    for number, address in enumerate(hostile.addresses()):
        Notification.objects.create(kind="x", key=f"h{number}", text=address, link=address[:300], created_at=at)
        FeedArticle.objects.create(feed=feed, external_id=f"h{number}", url=address, problem="x", changed_at=at)
    FeedArticle.objects.create(feed=feed, external_id="h", article=article, url=hostile.addresses()[0], changed_at=at)
    return desk


@pytest.mark.slow
def test_no_page_makes_anything_of_a_hostile_string(chromium: Any, scene: Scene, live_server: Any) -> None:
    desk = _furnished(scene)
    there = pages(desk)
    looker = Looker(chromium, live_server.url, desk.sessions, axe=False)
    found = _read(desk, there, looker.tab("desktop"), live_server.url)
    _live_in([page for page in there if page.name in LIVED_IN], looker)
    looker.close()
    assert not found, "\n".join(found)
    wrong = [one for one in looker.found if "pixels too wide" not in one]
    assert not wrong, "\n".join(wrong)


def _read(desk: Desk, there: Sequence[Page], parser: Any, base: str) -> list[str]:
    """What is wrong with the pages as Chromium's parser reads them."""
    found, shown = [], set()
    for page in there:
        answer = desk.client(page.who).get(page.path)
        text = answer.content.decode()
        shown |= set(hostile.MARK.findall(text))
        assert answer.status_code == page.status, page.name
        assert page.part or "<h1" in text, f"{page.name} has no heading"
        assert "content-security-policy" in answer.headers, page.name
        found += [f"{page.name}: as it is: {one}" for one in unescaped(text)[:3]]
        found += [f"{page.name}: {what}: {where}" for what, where in parser.evaluate(JUDGE, [text, base])[:3]]
    assert len(shown) == hostile.COUNT
    return found


def _live_in(there: Sequence[Page], looker: Looker) -> None:
    """What happens where the scripts of the desk meet the strings."""
    look = LOOKS[0]
    tab = looker.tab(look.size)
    tab.add_init_script("window.xss = () => { window.__xss = true }")
    for page in there:
        looker.look(page, look)
        if tab.evaluate("window.__xss"):
            looker.found.append(f"{page.name}: a hostile string ran")


def test_the_judge_sees_what_is_not_escaped(chromium: Any) -> None:
    page = chromium.new_page()
    blind = []
    for one in hostile.strings():
        text = f'<!doctype html><title>x</title><body><a title="{one}">{one}</a> <script>{one}</script>'
        if not page.evaluate(JUDGE, [text, "http://127.0.0.1:8000/"]):
            blind.append(one)
    page.close()
    assert not blind


def test_a_string_that_is_not_escaped_is_found() -> None:
    one = hostile.strings()[0]
    assert unescaped(f"<p>{one}</p>") == [one]
    assert unescaped(f"<p>{html.escape(one)}</p>") == []
    assert len(set(re.findall(r"xq\d{3}z", hostile.whole()))) == hostile.COUNT
