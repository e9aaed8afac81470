"""Bells: heard by a real broker, gathered, and never felt by whoever rings, whatever the broker does."""

import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from kombu import Connection

from tests.servers import embedded
from triage import bell
from triage.bell import Ringer
from triage.celery import app


@pytest.fixture(scope="module")
def broker() -> Iterator[str]:
    with embedded() as endpoints:
        yield endpoints.broker_url


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Ringer]:
    """The installation's broker is this one, and this process's ringer a new one."""

    def _use(url: str) -> Ringer:
        monkeypatch.setitem(app.conf, "broker_url", url)
        monkeypatch.setitem(app.conf, "broker_write_url", url)
        ringer = Ringer()
        monkeypatch.setattr(bell, "_ringer", (os.getpid(), ringer))
        return ringer

    return _use


def heard(url: str, queue: str, *, wait: float = 3.0) -> list[tuple[str, list[Any]]]:
    """Messages in a queue, taken out: task and arguments."""
    found: list[tuple[str, list[Any]]] = []
    with Connection(url, transport_options=app.conf.broker_transport_options) as connection:
        simple = connection.SimpleQueue(queue)
        until = time.monotonic() + wait
        while time.monotonic() < until:
            try:
                message = simple.get_nowait()  # to wait in the broker is to wait for a whole second at least
            except simple.Empty:
                time.sleep(0.01)
                continue
            message.ack()
            found.append((message.headers["task"], message.payload[0]))
            until = time.monotonic() + 0.3
    return found


@pytest.fixture
def silent_server() -> Iterator[str]:
    """Takes connections and never says a word, like a broker behind a black hole."""
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen(50)
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


def test_equal_bells_of_a_moment_ring_once_and_each_goes_to_its_queue(
    broker: str, use: Callable[[str], Ringer]
) -> None:
    use(broker)
    for _ in range(50):
        bell.ring("classify_waiting")
    for run in (7, 8, 7):
        bell.ring("execute_run", run)
    assert heard(broker, "classify") == [("triage.tasks.classify_waiting", [])]
    assert sorted(heard(broker, "runbooks")) == [("triage.tasks.execute_run", [7]), ("triage.tasks.execute_run", [8])]


def test_a_later_bell_rings_again(broker: str, use: Callable[[str], Ringer]) -> None:
    use(broker)
    for _ in range(2):
        bell.ring("write_back")
        assert heard(broker, "writeback") == [("triage.tasks.write_back", [])]


def test_ringing_now_says_whether_the_broker_took_it(broker: str, use: Callable[[str], Ringer]) -> None:
    use(broker)
    assert bell.ring_now("land_waiting")
    assert bell.ask_for_beat("landing")
    assert heard(broker, "landing") == [("triage.tasks.land_waiting", []), ("triage.tasks.beat", ["landing"])]


@pytest.mark.parametrize("url", ["redis://127.0.0.1:1/0", "redis+socket:///nowhere/at/all.sock", "gibberish://x"])
def test_a_broker_that_is_gone_is_noticed_at_once_and_then_left_alone(url: str, use: Callable[[str], Ringer]) -> None:
    use(url)
    before = time.monotonic()
    assert not any(bell.ring_now("classify_waiting") for _ in range(100))
    assert time.monotonic() - before < 2


def test_a_broker_that_never_answers_costs_a_second_once_and_ringers_nothing(
    silent_server: str, use: Callable[[str], Ringer]
) -> None:
    use(silent_server)
    before = time.monotonic()
    for number in range(1000):
        bell.ring("execute_run", number)
    assert time.monotonic() - before < 0.5, "who rings does not wait"
    before = time.monotonic()
    assert not bell.ring_now("classify_waiting")
    assert time.monotonic() - before < 3
    before = time.monotonic()
    assert not bell.ring_now("classify_waiting")
    assert time.monotonic() - before < 0.1, "silent after a failure"


def test_a_broker_that_comes_back_is_heard_again(
    broker: str, use: Callable[[str], Ringer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "SILENT_SECONDS", 0.2)
    use("redis://127.0.0.1:1/0")
    assert not bell.ring_now("learn", 1)
    monkeypatch.setitem(app.conf, "broker_url", broker)
    monkeypatch.setitem(app.conf, "broker_write_url", broker)
    assert not bell.ring_now("learn", 1)
    time.sleep(0.25)
    assert bell.ring_now("learn", 1)
    assert heard(broker, "learning") == [("triage.tasks.learn", [1])]


def test_bells_that_nobody_takes_do_not_pile_up(
    silent_server: str, use: Callable[[str], Ringer], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bell, "MOST_WAITING", 10)
    ringer = use(silent_server)
    for number in range(100):
        bell.ring("execute_run", number)
    assert len(ringer._waiting) <= 10


def test_a_forked_child_rings_by_itself(broker: str, use: Callable[[str], Ringer]) -> None:
    use(broker)
    bell.ring_now("write_back")
    heard(broker, "writeback")
    pid = os.fork()
    if pid == 0:
        bell.ring("write_back")
        time.sleep(60)  # its bell rings from a thread; it is ended when that was heard
        os._exit(1)
    found = heard(broker, "writeback")
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert found == [("triage.tasks.write_back", [])]


def test_many_threads_share_one_bell_thread(broker: str, use: Callable[[str], Ringer]) -> None:
    use(broker)
    threads = [threading.Thread(target=bell.ring, args=("write_back",)) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert heard(broker, "writeback") == [("triage.tasks.write_back", [])]
    assert sum(thread.name == "bell" for thread in threading.enumerate()) >= 1
