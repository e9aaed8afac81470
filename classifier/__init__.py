"""Text in, ranked knowledge articles out: no Django, no Celery, no network."""
