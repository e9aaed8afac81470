"""What the log never holds."""

import json
import logging

import pytest

from triage.logs import JsonLines


@pytest.mark.parametrize("path", ["/set-password/", "/sign-in/"])
def test_a_one_time_link_is_not_in_the_log(path: str) -> None:
    secret = "s3cr3t-of-a-link"
    record = logging.makeLogRecord({"msg": "Service Unavailable: %s", "args": (f"{path}{secret}/",)})
    told = json.loads(JsonLines().format(record))
    assert told["message"] == f"Service Unavailable: {path}***/"
    links: dict[str, str] = {}
    with pytest.raises(KeyError) as raised:
        _ = links[f"{path}{secret}/"]
    record.exc_info = (raised.type, raised.value, raised.tb)
    assert secret not in json.loads(JsonLines().format(record))["error"]
