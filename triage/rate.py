"""How often somebody may: a bucket for each source, token or caller in this process, filled at its share of the rate.

Counted in the process and not in the database, since a refusal must cost nothing where there is too much already. With
several web processes each lets through its part; several hosts multiply the rate.
"""

import threading
import time
from collections.abc import Hashable


class Buckets:
    """One token each time; a full bucket holds a minute's worth. `per_minute` is this process's share."""

    def __init__(self, per_minute: float) -> None:
        self._per_minute = max(1.0, per_minute)
        self._levels: dict[Hashable, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def take(self, whose: Hashable) -> float:
        """0.0 where they may now, else the seconds until they may again."""
        now = time.monotonic()
        per_second = self._per_minute / 60.0
        with self._lock:
            level, then = self._levels.get(whose, (self._per_minute, now))
            level = min(self._per_minute, level + (now - then) * per_second)
            allowed = level >= 1.0
            self._levels[whose] = (level - 1.0 if allowed else level, now)
        return 0.0 if allowed else (1.0 - level) / per_second

    def left(self, whose: Hashable) -> int:
        """How often they may at once now."""
        with self._lock:
            level, then = self._levels.get(whose, (self._per_minute, time.monotonic()))
        return int(min(self._per_minute, level + (time.monotonic() - then) * self._per_minute / 60.0))

    def forget(self) -> None:
        """Begin with full buckets."""
        with self._lock:
            self._levels.clear()
