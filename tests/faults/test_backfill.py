"""A tenth of the full measurement, without a product around it: what a proxy drops is found by one pull, once."""

import json
from datetime import UTC, datetime

import pytest

from tests import factories
from tests.faults import backfill
from tests.itsm.fakes import standard as fake
from triage import intake, pulling
from triage.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


def test_every_webhook_that_was_dropped_is_found_by_the_next_pull_and_nothing_comes_twice() -> None:
    with fake.running() as itsm:
        source = factories.source(
            credentials=itsm.credentials(), settings={"pull_url": itsm.pull_url}, pull_every=backfill.PERIOD
        )
        proxy, stream = backfill.Proxy("", seed=1), backfill.Stream(itsm, seed=1)
        for number, told in enumerate(stream.events(200)):
            if not proxy.drops(told):
                intake.accept(
                    source=source,
                    key=f"msg_{number}",
                    body=json.dumps(told).encode(),
                    headers={},
                    content_type="application/json",
                    at=datetime.now(UTC),
                )
        before = backfill.counted(itsm, webhooks=stream.sent, dropped=proxy.dropped, seconds=0)
        assert before["dropped"] > 0
        assert before["missing"] > 0
        deliveries = Delivery.objects.count()
        for _ in range(2):
            done = pulling.pull(source.pk, at=datetime.now(UTC), by_hand=True)
            assert done is not None
            assert done.complete
        after = backfill.counted(itsm, webhooks=stream.sent, dropped=proxy.dropped, seconds=0)
    assert (after["found"], after["missing"], after["duplicates"]) == (after["dropped"], 0, 0)
    assert Delivery.objects.count() - deliveries <= 2, "pages without news leave no trace"
