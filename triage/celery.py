"""The Celery application: queues, routes and the Redis settings that were measured to lose least.

Messages are bells that carry ids at most; whatever Celery or Redis loses, the reconciler finds in the database.
"""

import os

from celery import Celery
from celery.signals import worker_process_init
from kombu import Queue

from triage.environment import environment

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "triage.settings")

CLASSIFY, RUNBOOKS, LANDING, WRITEBACK, LEARN = "classify", "runbooks", "landing", "writeback", "learning"
POOLS = (CLASSIFY, RUNBOOKS, LANDING, WRITEBACK, LEARN)

app = Celery("triage")
app.conf.update(
    broker_url=environment().broker_url or "redis://127.0.0.1:6379/0",
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        "visibility_timeout": environment().broker_visibility,
        "unacked_restore_interval": 5,
        "unacked_restore_throttle": 1,
        "socket_timeout": 30,
        "socket_connect_timeout": 5,
        "socket_keepalive": True,
        "health_check_interval": 25,
        "global_keyprefix": "triage:",
    },
    task_ignore_result=True,
    task_serializer="json",
    accept_content=["json"],
    task_create_missing_queues=False,
    task_queues=[Queue(name) for name in POOLS],
    task_default_queue=CLASSIFY,
    task_acks_late=True,
    task_reject_on_worker_lost=False,
    task_routes={
        "triage.tasks.classify_waiting": {"queue": CLASSIFY},
        "triage.tasks.execute_run": {"queue": RUNBOOKS},
        "triage.tasks.land_waiting": {"queue": LANDING},
        "triage.tasks.write_back": {"queue": WRITEBACK},
        "triage.tasks.look_elsewhere": {"queue": WRITEBACK},
        "triage.tasks.pull_sources": {"queue": WRITEBACK},
        "triage.tasks.sync_articles": {"queue": WRITEBACK},
        "triage.tasks.tell_people": {"queue": WRITEBACK},
        "triage.tasks.learn": {"queue": LEARN},
        "triage.tasks.beat": {"queue": LANDING},  # named at each call: every pool has to prove itself
    },
    worker_prefetch_multiplier=1,
    worker_max_tasks_per_child=1000,
    worker_max_memory_per_child=1_500_000,  # kilobytes: a model cache and 600 MB
    worker_soft_shutdown_timeout=25.0,
    worker_hijack_root_logger=False,
    worker_send_task_events=False,
    timezone="UTC",
)
app.autodiscover_tasks(["triage"])


@worker_process_init.connect  # Celery's own hook for a fresh pool child
def _die_with_the_worker(**_: object) -> None:
    """A pool child whose worker was killed would go on alone, unseen; the kernel ends it instead."""
    from triage.processes import die_with_parent

    die_with_parent()
