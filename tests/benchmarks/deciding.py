"""Tickets a second that prediction claims, decides and stores on SQLite, with and without the model's own time.

`python -m tests.benchmarks.deciding [--tickets 4000]`; prints one JSON object.
"""

import argparse
import json
import os
import random
import tempfile
import time
from typing import Any


def main() -> None:
    """Suggest-only batches of 200 in a fresh installation, measured after one batch to warm up."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=4000)
    count = parser.parse_args().tickets
    with tempfile.TemporaryDirectory(prefix="triage-benchmark-") as home:
        os.environ["TRIAGE_HOME"] = home
        os.environ["DJANGO_SETTINGS_MODULE"] = "triage.settings"
        import django
        from django.core.management import call_command

        django.setup()
        call_command("migrate", verbosity=0)
        print(json.dumps(measure(count)))


def measure(count: int) -> dict[str, Any]:
    """Seconds spent in all and inside the model, over `count` tickets."""
    from django.db import transaction

    from classifier.estimator import ArticleClassifier
    from tests import factories, past, trained
    from triage import prediction

    customer = factories.customer()
    source = factories.source(customer=customer)
    for label in past.PROBLEMS:
        factories.article(key=label)
    trained.release(customer)
    texts = [document for document, _ in past.tickets(300, seed=5)]
    rng = random.Random(1)
    with transaction.atomic():
        for _ in range(count + 200):
            document = rng.choice(texts)
            factories.ticket(source=source, subject=document.subject, body=document.body)
    spent = 0.0
    rank = ArticleClassifier.rank

    def timed(self: ArticleClassifier, *given: Any, **named: Any) -> Any:
        nonlocal spent
        began = time.perf_counter()
        try:
            return rank(self, *given, **named)
        finally:
            spent += time.perf_counter() - began

    ArticleClassifier.rank = timed  # type: ignore[method-assign]  # only to take the time inside it
    prediction.classify_batch(at=factories.NOW, limit=200)
    spent, began = 0.0, time.perf_counter()
    while prediction.classify_batch(at=factories.NOW, limit=200).more:
        pass
    whole = time.perf_counter() - began
    return {
        "tickets": count,
        "per_second": round(count / whole),
        "per_second_without_model": round(count / (whole - spent)),
    }


if __name__ == "__main__":
    main()
