"""A Systems Manager on loopback: AWS's JSON 1.1 protocol, real signatures, and the rules of its API reference.

Requests are checked with botocore's own service model and signer. What a document's execution does is told by
`behave`; how the wire fails, by `throttle`, `drop` and `break_down`. An executed step is counted once an execution.
"""

import hashlib
import json
import re
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import botocore.session
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.validate import ParamValidator

KEY, SECRET = "AKIATRIAGETESTS01", "secret-of-the-tests-4711"
ROLE = "arn:aws:iam::123456789012:role/triage"
LENT_KEY, LENT_SECRET, LENT_TOKEN = "ASIALENTTESTS01", "lent-secret-4711", "lent-token-4711"
REGION = "eu-central-1"
ENDED = ("Success", "Failed", "TimedOut", "Cancelled", "Rejected", "CompletedWithFailure")

_MODEL = botocore.session.Session().get_service_model("ssm")


class Refused(Exception):
    """An error as AWS answers it."""

    def __init__(self, code: str, message: str = "refused", status: int = 400) -> None:
        super().__init__(message)
        self.code, self.status = code, status


@dataclass
class Behaviour:
    """What an execution's status is at each look, the last one again and again; stubborn: a stop does not end it."""

    statuses: tuple[str, ...] = ("Success",)
    stubborn: bool = False
    failure: str = ""
    output: str = ""
    counters: Mapping[str, int] = field(default_factory=dict)


@dataclass
class Account:
    """One account and region: documents, executions, and what has been asked."""

    documents: dict[str, dict[str, dict[str, Any]]] = field(default_factory=dict)
    executions: dict[str, dict[str, Any]] = field(default_factory=dict)
    behaviours: dict[str, Behaviour] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    throttle: Counter[str] = field(default_factory=Counter)
    drop: Counter[str] = field(default_factory=Counter)
    break_down: Counter[str] = field(default_factory=Counter)
    roles: list[dict[str, str]] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)
    url: str = ""

    def put(self, name: str, version: str = "1", *, kind: str = "Automation", **content: Any) -> None:
        """Add a document's version."""
        text = json.dumps({"schemaVersion": "0.3", **content})
        digest = hashlib.sha256(text.encode()).hexdigest()
        self.documents.setdefault(name, {})[version] = {"text": text, "hash": digest, "kind": kind}

    def behave(self, document: str, *statuses: str, **more: Any) -> None:
        """Say how executions of this document go."""
        self.behaviours[document] = Behaviour(statuses or ("Success",), **more)

    def started(self, document: str = "") -> list[dict[str, Any]]:
        """The executions there are, of one document where it is named, in their order."""
        found = sorted(self.executions.values(), key=lambda one: one["number"])
        return [one for one in found if not document or one["request"]["DocumentName"] == document]

    def approve(self, document: str) -> None:
        """A person says yes to every execution of this document."""
        self.behave(document)

    def settings(self, **more: str) -> dict[str, str]:
        """A target's settings for this account."""
        own = {"access_key_id": KEY, "secret_access_key": SECRET}
        return {"region": REGION, "endpoint_url": self.url, **own, **more}

    def answered(self, operation: str, given: dict[str, Any]) -> tuple[dict[str, Any], bool]:
        """The answer to one request, and whether it gets lost on its way back."""
        _valid(operation, given)
        with self.lock:
            self.asked[operation] += 1
            if _take(self.throttle, operation):
                raise Refused("ThrottlingException", "Rate exceeded")
            answer = getattr(self, operation)(given)
            if _take(self.break_down, operation):
                raise Refused("InternalServerError", "it broke down after it was done", 500)
            return answer, _take(self.drop, operation)

    # The operations, as the API reference has them.

    def StartAutomationExecution(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        document = self._document(given, "AutomationDefinition")
        for other in self.executions.values():
            if other["request"].get("ClientToken") == given.get("ClientToken") is not None:
                if other["request"] != given:
                    raise Refused("IdempotentParameterMismatch")
                return {"AutomationExecutionId": other["id"]}
        if len(given.get("Tags", [])) > 5:
            raise Refused("ValidationException", "more than 5 tags")
        _fits(json.loads(document["text"]), given)
        number = str(uuid.uuid4())
        self.executions[number] = {
            "id": number, "request": given, "looks": 0, "stopped": False, "at": time.time(),
            "number": len(self.executions),
        }  # fmt: skip
        return {"AutomationExecutionId": number}

    def GetAutomationExecution(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        one = self._execution(given)
        status = self._status(one)
        one["looks"] += 1
        behaviour = self._behaviour(one)
        step: dict[str, Any] = {
            "StepName": "work", "Action": "aws:approve" if status == "Waiting" else "aws:runCommand",
            "StepStatus": status, "StepExecutionId": f"step-{one['id']}",
        }  # fmt: skip
        if status in ENDED and behaviour.output:
            step["Outputs"] = {"Output": [behaviour.output]}
        answer = {**self._metadata(one, status), "StepExecutions": [step], "StepExecutionsTruncated": False}
        if behaviour.counters:
            answer["ProgressCounters"] = dict(behaviour.counters)
        if status == "Failed":
            answer["FailureMessage"] = behaviour.failure or "Step fails when it is Execute/Cancelling action."
        return {"AutomationExecution": answer}

    def DescribeAutomationExecutions(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        rows = list(reversed(self.started()))
        for one in given.get("Filters", []):
            if one["Key"] == "DocumentNamePrefix":
                rows = [row for row in rows if row["request"]["DocumentName"].startswith(tuple(one["Values"]))]
            elif one["Key"] == "StartTimeAfter":
                since = time.mktime(time.strptime(one["Values"][0], "%Y-%m-%dT%H:%M:%SZ")) - time.timezone
                rows = [row for row in rows if row["at"] > since]
            else:
                raise Refused("InvalidFilterKey")
        first, size = int(given.get("NextToken") or 0), min(given.get("MaxResults", 10), 10)
        page = [self._metadata(row, self._status(row)) for row in rows[first : first + size]]
        more = {"NextToken": str(first + size)} if len(rows) > first + size else {}
        return {"AutomationExecutionMetadataList": page, **more}

    def StopAutomationExecution(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        one = self._execution(given)
        if self._status(one) in ENDED:
            raise Refused("InvalidAutomationStatusUpdateException")
        one["stopped"] = not self._behaviour(one).stubborn
        return {}

    def ListTagsForResource(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        if given["ResourceType"] != "Automation" or given["ResourceId"] not in self.executions:
            raise Refused("InvalidResourceId")
        return {"TagList": self.executions[given["ResourceId"]]["request"].get("Tags", [])}

    def DescribeDocument(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        one = self._document(given)
        return {
            "Document": {
                "Name": given["Name"], "DocumentVersion": one["version"], "Status": "Active", "HashType": "Sha256",
                "Hash": one["hash"], "DocumentType": one["kind"], "DocumentFormat": "YAML", "SchemaVersion": "0.3",
            }
        }  # fmt: skip

    def GetDocument(self, given: dict[str, Any]) -> dict[str, Any]:  # noqa: N802 - AWS's name
        one = self._document(given)
        return {"Name": given["Name"], "Content": one["text"], "DocumentFormat": "JSON", "DocumentType": one["kind"]}

    def _document(self, given: dict[str, Any], kind: str = "") -> dict[str, Any]:
        versions = self.documents.get(given.get("DocumentName") or given.get("Name", ""))
        if versions is None:
            raise Refused("AutomationDefinitionNotFoundException" if kind else "InvalidDocument", "no such document")
        version = given.get("DocumentVersion", "$DEFAULT")
        version = max(versions, key=int) if version.startswith("$") else version
        if version not in versions:
            raise Refused("AutomationDefinitionVersionNotFoundException" if kind else "InvalidDocumentVersion")
        return {**versions[version], "version": version}

    def _execution(self, given: dict[str, Any]) -> dict[str, Any]:
        if given["AutomationExecutionId"] not in self.executions:
            raise Refused("AutomationExecutionNotFoundException")
        return self.executions[given["AutomationExecutionId"]]

    def _behaviour(self, one: dict[str, Any]) -> Behaviour:
        return self.behaviours.get(one["request"]["DocumentName"], Behaviour())

    def _status(self, one: dict[str, Any]) -> str:
        statuses = self._behaviour(one).statuses
        return "Cancelled" if one["stopped"] else statuses[min(one["looks"], len(statuses) - 1)]

    def _metadata(self, one: dict[str, Any], status: str) -> dict[str, Any]:
        request = one["request"]
        kept = ("DocumentName", "DocumentVersion", "Targets", "TargetParameterName", "MaxConcurrency", "MaxErrors")
        return {
            "AutomationExecutionId": one["id"], "AutomationExecutionStatus": status, "ExecutionStartTime": one["at"],
            "Mode": "Auto", **{name: request[name] for name in kept if name in request},
        }  # fmt: skip


def _fits(content: dict[str, Any], given: dict[str, Any]) -> None:
    declared, values = content.get("parameters", {}), given.get("Parameters", {})
    rated = given.get("TargetParameterName")
    wrong = [name for name in values if name not in declared]
    wrong += [name for name, one in declared.items() if "default" not in one and name not in values and name != rated]
    for name, texts in values.items():
        one = declared.get(name, {})
        for text in texts:
            if "allowedValues" in one and text not in one["allowedValues"]:
                wrong.append(name)
            if "allowedPattern" in one and not re.search(one["allowedPattern"], text):
                wrong.append(name)
    if wrong:
        raise Refused("InvalidAutomationExecutionParametersException", f"parameters {sorted(set(wrong))}")


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet an answer: two would wait for each other
    account: Account

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.headers.get("X-Amz-Target"):
            self._systems_manager(body)
        else:
            self._security_token(parse_qs(body.decode()), body)

    def _systems_manager(self, body: bytes) -> None:
        operation = self.headers["X-Amz-Target"].removeprefix("AmazonSSM.")
        account = self.account
        dropped = False
        try:
            self._signed(body, "ssm")
            answer, dropped = account.answered(operation, json.loads(body))
        except Refused as error:
            self._answer(error.status, {"__type": f"com.amazonaws.ssm#{error.code}", "Message": str(error)})
            return
        if dropped:
            self.close_connection = True
            self.connection.close()
        else:
            self._answer(200, answer)

    def _security_token(self, form: dict[str, list[str]], body: bytes) -> None:
        self._signed(body, "sts")
        given = {name: texts[0] for name, texts in form.items()}
        self.account.roles.append(given)
        lent = f"<AccessKeyId>{LENT_KEY}</AccessKeyId><SecretAccessKey>{LENT_SECRET}</SecretAccessKey>"
        lent += f"<SessionToken>{LENT_TOKEN}</SessionToken><Expiration>2036-01-01T00:00:00Z</Expiration>"
        text = f"<AssumeRoleResult><Credentials>{lent}</Credentials></AssumeRoleResult>"
        if given.get("RoleArn") != ROLE or given.get("ExternalId") != "our-id":
            error = "<Error><Code>AccessDenied</Code><Message>not allowed to take on the role</Message></Error>"
            self._send(403, f"<ErrorResponse>{error}</ErrorResponse>".encode(), "text/xml")
            return
        whole = f'<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">{text}</AssumeRoleResponse>'
        self._send(200, whole.encode(), "text/xml")

    def _signed(self, body: bytes, service: str) -> None:
        """Sign the request again with the secret that belongs to its key, and compare."""
        told = re.fullmatch(
            r"AWS4-HMAC-SHA256 Credential=([^/]+)/(\d{8})/([^/]+)/([^/]+)/aws4_request, "
            r"SignedHeaders=([^,]+), Signature=([0-9a-f]{64})",
            self.headers.get("Authorization", ""),
        )
        secret = {KEY: SECRET, LENT_KEY: LENT_SECRET}.get(told[1]) if told else None
        if not told or secret is None or told[4] != service or told[3] != REGION:
            raise Refused("UnrecognizedClientException", "The security token included in the request is invalid.")
        headers = {name: self.headers[name] for name in told[5].split(";")}
        again = AWSRequest("POST", f"http://{self.headers['Host']}{self.path}", headers=headers, data=body)
        again.context["timestamp"] = self.headers["X-Amz-Date"]
        signer = SigV4Auth(Credentials(told[1], secret), service, REGION)
        to_sign = signer.string_to_sign(again, signer.canonical_request(again))
        lent = told[1] != LENT_KEY or self.headers.get("X-Amz-Security-Token") == LENT_TOKEN
        if signer.signature(to_sign, again) != told[6] or not lent:
            raise Refused("InvalidSignatureException", "The signature does not match.")

    def _answer(self, status: int, answer: Mapping[str, Any]) -> None:
        self._send(status, json.dumps(answer).encode(), "application/x-amz-json-1.1")

    def _send(self, status: int, body: bytes, kind: str) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("x-amzn-RequestId", str(uuid.uuid4()))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Tests keep quiet."""


def _take(counter: Counter[str], operation: str) -> bool:
    counter[operation] -= 1
    return counter[operation] >= 0


def _valid(operation: str, given: dict[str, Any]) -> None:
    """What AWS's front door refuses: wrong shapes, and texts that do not match their pattern."""
    shape = _MODEL.operation_model(operation).input_shape
    assert shape is not None
    report = ParamValidator().validate(given, shape)
    wrong = [report.generate_report()] if report.has_errors() else []
    for name, member in shape.members.items():
        pattern = member.metadata.get("pattern")
        if pattern and isinstance(given.get(name), str) and not re.fullmatch(pattern.strip("^$"), given[name]):
            wrong.append(f"{name} does not match {pattern}")
    if wrong:
        raise Refused("ValidationException", "; ".join(wrong))


@contextmanager
def serving() -> Iterator[Account]:
    """An account on loopback, ended afterwards."""
    account = Account()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"account": account}))
    server.daemon_threads = True
    account.url = f"http://127.0.0.1:{server.server_address[1]}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield account
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
