"""The one way in which this room says no."""


class ReviewRefused(Exception):
    """What was asked cannot be done now; the message says why and what to do instead."""
