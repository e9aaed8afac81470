"""The object store against a real S3 server: races, damage, paging, refused credentials, outages, forks."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests import servers
from tests.lake.wire import wire
from triage.embedded import Embedded, Endpoints
from triage.lake import store as store_module
from triage.lake.store import (
    AccessDenied,
    AlreadyThere,
    Damaged,
    LakeError,
    LakeUnavailable,
    NotThere,
    ObjectStore,
)

CHILD = """
import json, os, sys
from triage.lake.store import ObjectStore
store = ObjectStore(**json.loads(sys.stdin.readline()))
"""


def arguments(endpoints: Endpoints) -> str:
    return json.dumps(
        {
            "endpoint": endpoints.s3_endpoint,
            "bucket": endpoints.bucket,
            "access_key": endpoints.s3_access_key,
            "secret_key": endpoints.s3_secret_key,
        }
    )


def run(program: str, endpoints: Endpoints, **environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        input=arguments(endpoints) + "\n",
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_what_was_put_is_what_is_got_with_its_metadata(store: ObjectStore) -> None:
    body = bytes(range(256)) * 5000
    etag = store.put("raw/a b/ü+%41&<>\x7f.jsonl", body, metadata={"deliveries": "12"})
    assert store.get("raw/a b/ü+%41&<>\x7f.jsonl") == body
    head = store.head("raw/a b/ü+%41&<>\x7f.jsonl")
    assert head["deliveries"] == "12"
    assert head["etag"] == etag
    assert head["size"] == str(len(body))
    assert list(store.list("raw/")) == ["raw/a b/ü+%41&<>\x7f.jsonl"]
    store.put("raw/empty", b"")
    assert store.get("raw/empty") == b""


def test_a_missing_object_is_not_there(store: ObjectStore) -> None:
    with pytest.raises(NotThere, match="models/none"):
        store.get("models/none")
    with pytest.raises(NotThere, match="models/none"):
        store.head("models/none")
    store.delete(["models/none"])


def test_of_eight_racers_for_one_key_one_wins_and_its_bytes_stay(store: ObjectStore) -> None:
    for number in range(3):  # a contended conditional put may wait whole seconds inside the server
        gate = threading.Barrier(8)
        key = f"runs/claims/{number}"

        def race(racer: int, gate: threading.Barrier = gate, key: str = key) -> bool:
            gate.wait()
            try:
                store.put(key, str(racer).encode(), if_absent=True)
            except AlreadyThere:
                return False
            return True

        with ThreadPoolExecutor(8) as pool:
            won = list(pool.map(race, range(8)))
        assert sum(won) == 1
        assert store.get(key) == str(won.index(True)).encode()


def test_a_winner_whose_answer_was_lost_is_told_that_it_won(endpoints: Endpoints, store: ObjectStore) -> None:
    lost: list[bytes] = []

    def lose_the_first(data: bytes) -> bytes | None:
        if lost or not data.startswith(b"HTTP/1.1 200"):
            return data
        lost.append(data)
        return None

    with wire(endpoints.s3_endpoint, response=lose_the_first) as endpoint:
        tampered = servers.store(replace(endpoints, s3_endpoint=endpoint))
        etag = tampered.put("runs/claims/x", b"mine", if_absent=True)
        assert len(lost) == 1
        assert store.head("runs/claims/x")["etag"] == etag
        with pytest.raises(AlreadyThere):
            tampered.put("runs/claims/x", b"mine", if_absent=True)


def test_bytes_changed_on_the_way_in_are_refused_and_nothing_is_kept(endpoints: Endpoints, store: ObjectStore) -> None:
    with (
        wire(endpoints.s3_endpoint, request=lambda data: data.replace(b"pay 1", b"pay 9")) as endpoint,
        pytest.raises(Damaged),
    ):
        servers.store(replace(endpoints, s3_endpoint=endpoint)).put("raw/x", b"pay 1")
    with pytest.raises(NotThere):
        store.get("raw/x")


def test_a_checksum_that_does_not_fit_is_refused_by_the_server(store: ObjectStore) -> None:
    with pytest.raises(Damaged), store_module._explained("raw/x"):
        store._client().put_object(Bucket=store.bucket, Key="raw/x", Body=b"1", ChecksumSHA256="A" * 43 + "=")
    assert list(store.list("")) == []


def test_bytes_changed_on_the_way_out_are_never_handed_over(endpoints: Endpoints, store: ObjectStore) -> None:
    store.put("raw/x", b"pay 1")
    with (
        wire(endpoints.s3_endpoint, response=lambda data: data.replace(b"pay 1", b"pay 9")) as endpoint,
        pytest.raises(Damaged),
    ):
        servers.store(replace(endpoints, s3_endpoint=endpoint)).get("raw/x")


def test_an_object_changed_behind_its_digest_is_damaged(store: ObjectStore) -> None:
    store.put("models/a/1/model.bin", b"good")
    kept = store._client().head_object(Bucket=store.bucket, Key="models/a/1/model.bin")["Metadata"]
    store._client().put_object(Bucket=store.bucket, Key="models/a/1/model.bin", Body=b"evil", Metadata=kept)
    with pytest.raises(Damaged, match="models/a/1/model"):
        store.get("models/a/1/model.bin")


def test_an_object_that_others_dropped_without_a_digest_is_read(store: ObjectStore) -> None:
    store._client().put_object(Bucket=store.bucket, Key="inbox/s/export.ndjson", Body=b"{}")
    assert store.get("inbox/s/export.ndjson") == b"{}"


def test_more_than_a_thousand_keys_are_listed_in_order_and_deleted(store: ObjectStore) -> None:
    keys = [f"raw/{number:05}" for number in range(1050)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda key: store.put(key, b"x"), keys))
    store.put("rax", b"x")
    assert list(store.list("raw/")) == keys
    store.delete(iter(keys))
    assert list(store.list("ra")) == ["rax"]


@pytest.mark.parametrize(
    "call",
    [
        lambda store: store.get("a"),
        lambda store: store.head("a"),
        lambda store: store.put("a", b""),
        lambda store: store.put("a", b"", if_absent=True),
        lambda store: list(store.list("")),
        lambda store: store.delete(["a"]),
        lambda store: store.ensure_bucket(),
    ],
)
def test_a_wrong_secret_is_access_denied(endpoints: Endpoints, call: Callable[[ObjectStore], object]) -> None:
    with pytest.raises(AccessDenied):
        call(servers.store(replace(endpoints, s3_secret_key="wrong")))


def test_a_missing_bucket_is_never_taken_for_a_missing_object(endpoints: Endpoints) -> None:
    other = servers.store(replace(endpoints, bucket=f"t-{uuid.uuid4().hex}"))
    with pytest.raises(LakeError, match="make the bucket") as caught:
        other.get("runs/claims/x")
    assert not isinstance(caught.value, NotThere)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: other.ensure_bucket(), range(4)))
    with pytest.raises(NotThere):
        other.get("runs/claims/x")


@pytest.mark.parametrize("metadata", [{"sha256": "0"}, {"Big": "x"}, {"a": "é"}, {"a": "x\r\nx-amz-acl: public"}])
def test_metadata_that_no_header_can_carry_is_refused(store: ObjectStore, metadata: dict[str, str]) -> None:
    with pytest.raises(LakeError, match="metadata"):
        store.put("raw/x", b"", metadata=metadata)


@pytest.mark.parametrize("part", ["endpoint", "bucket", "access_key", "secret_key", "region"])
def test_an_empty_setting_is_named(part: str) -> None:
    given = {"endpoint": "http://127.0.0.1:1", "bucket": "b", "access_key": "a", "secret_key": "hidden", "region": "r"}
    with pytest.raises(LakeError, match=part.replace("_", " ")):
        ObjectStore(**{**given, part: ""})
    assert "hidden" not in repr(ObjectStore(**given))


def test_a_killed_server_is_unavailable_at_once_and_has_everything_after_its_restart(home: Path) -> None:
    embedded = Embedded(home)
    try:
        store = servers.store(embedded.start())
        for number in range(20):
            store.put(f"raw/{number:02}", str(number).encode())
        (lake,) = (part for part in embedded.parts if part.name == "lake")
        assert lake.process is not None
        os.kill(lake.process.pid, signal.SIGKILL)
        lake.process.wait()
        for call in (lambda: store.get("raw/00"), lambda: store.put("raw/x", b""), lambda: list(store.list(""))):
            began = time.monotonic()
            with pytest.raises(LakeUnavailable):
                call()
            assert time.monotonic() - began < 5
        assert embedded.restart_dead() == ["lake"]
        embedded._await(lake)
        assert [store.get(key) for key in store.list("raw/")] == [str(number).encode() for number in range(20)]
    finally:
        servers.end(embedded)


def test_a_server_that_takes_the_call_and_stays_silent_is_unavailable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "READ_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        endpoint = f"http://127.0.0.1:{silent.getsockname()[1]}"
        store = ObjectStore(endpoint=endpoint, bucket="lake", access_key="a", secret_key="b")
        store._client()  # to make one takes its time, on a busy machine seconds
        began = time.monotonic()
        with pytest.raises(LakeUnavailable, match="timeout"):
            store.get("raw/x")
        assert time.monotonic() - began < 5


def test_children_forked_from_a_parent_that_used_the_store_use_connections_of_their_own(endpoints: Endpoints) -> None:
    program = CHILD + (
        "import threading\n"
        "for n in range(40): store.put(f'k{n}', str(n).encode() * 1000)\n"
        "children = []\n"
        "for _ in range(4):\n"
        "    pid = os.fork()\n"
        "    if not pid:\n"
        "        good = all(store.get(f'k{n}') == str(n).encode() * 1000 for n in range(40))\n"
        "        os._exit(0 if good and store._made[0] == os.getpid() else 1)\n"
        "    children.append(pid)\n"
        "assert all(store.get(f'k{n}') == str(n).encode() * 1000 for n in range(40))\n"
        "sys.exit(sum(os.waitpid(pid, 0)[1] != 0 for pid in children))\n"
    )
    done = run(program, endpoints)
    assert done.returncode == 0, done.stderr


def test_a_fork_while_another_thread_makes_its_client_leaves_the_child_able_to(endpoints: Endpoints) -> None:
    program = CHILD + (
        "import signal, threading\n"
        "new, begun = store._new_client, threading.Event()\n"
        "def slowly():\n"
        "    begun.set()\n"
        "    return new()\n"
        "store._new_client = slowly\n"
        "thread = threading.Thread(target=store._client)\n"
        "thread.start(); begun.wait()\n"
        "pid = os.fork()\n"
        "if not pid:\n"
        "    signal.alarm(20); store.put('b', b'2'); os._exit(0)\n"
        "thread.join()\n"
        "sys.exit(os.waitpid(pid, 0)[1])\n"
    )
    done = run(program, endpoints)
    assert done.returncode == 0, done.stderr


def test_nothing_is_connected_before_the_first_call() -> None:
    program = "import triage.lake.store as s; s.ObjectStore(endpoint='http://127.0.0.1:1', bucket='lake', access_key='a', secret_key='b')\n"
    program += "import sys; sys.exit('deltalake' in sys.modules or 'botocore.client' not in sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=30, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_the_surroundings_own_aws_settings_and_proxy_change_nothing(endpoints: Endpoints, tmp_path: Path) -> None:
    config = tmp_path / "config"
    config.write_text("[default]\nendpoint_url = http://127.0.0.1:9\nnot an ini file", encoding="utf-8")
    done = run(
        CHILD + "store.put('a', b'1'); assert store.get('a') == b'1'",
        endpoints,
        AWS_PROFILE="absent",
        AWS_CONFIG_FILE=str(config),
        AWS_ENDPOINT_URL_S3="http://127.0.0.1:9",
        AWS_SESSION_TOKEN="other",
        HTTP_PROXY="http://127.0.0.1:9",
        http_proxy="http://127.0.0.1:9",
    )
    assert done.returncode == 0, done.stderr
