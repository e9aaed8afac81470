"""Asking the worker that learns for something, from a page: a training, a comparison, a grouping."""

from collections.abc import Callable

from django.contrib import messages

from triage import bell, learning
from triage.models import Job
from triage.web.page import DeskRequest, refuse


def ask(request: DeskRequest, work: Callable[[], Job], *, said: str) -> None:
    """Ask for it and say so on the next page, in the words of `said`; what JobRefused says where it was not begun."""
    try:
        job = work()
    except learning.JobRefused as error:
        refuse(request, error)
    else:
        bell.ring("learn", job.pk)
        messages.success(request, said)
