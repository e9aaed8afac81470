"""Runs a runbook's phases as AWS Systems Manager Automation executions; the only file of runbooks/ that knows boto3.

Formats are those of the API's version 2014-11-06 (API reference of AWS Systems Manager; botocore's service model).
"""

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from runbooks import parameters as values
from runbooks import source
from runbooks.base import Runbook
from runbooks.outcome import Outcome
from runbooks.runners import elsewhere, ssm_sources
from runbooks.runners.jobs import LaunchLost, LaunchRefused, RemoteError
from runbooks.runners.ssm_executions import Executions, Unanswered
from runbooks.runners.ssm_sources import DocumentPhases
from runbooks.targets import ssm as accounts
from runbooks.targets.sqlite import TargetError
from runbooks.targets.ssm import SsmSettings
from runbooks.watch import QUIET, Watch

if TYPE_CHECKING:
    from boto3.session import Session
    from botocore.exceptions import ClientError

CONNECT_SECONDS, READ_SECONDS, READ_ATTEMPTS = 3, 10, 3
DOCUMENTS_MOST = 20
THROTTLED: Final = frozenset({"ThrottlingException", "Throttling", "RequestLimitExceeded", "TooManyRequestsException"})
MISMATCH: Final = "IdempotentParameterMismatch"


def execute(
    runbook: Runbook,
    *,
    parameters: Mapping[str, str],
    target: Mapping[str, str],
    run_id: str,
    handed: Mapping[str, str] | None = None,
    watch: Watch = QUIET,
    job: str = "",
    time_limit: float | None = None,
) -> Outcome:
    """Execute the runbook once, or go on with it; arguments and result as those of `runners.python.execute`.

    handed: must be empty. target: see `runbooks.targets.ssm.parse`; where a parameter is a host, documents get the
    instance that it is. job: what `watch.on_job` was last told.
    """
    return elsewhere.carried_out(
        "Automation",
        runbook,
        lambda: _executions(runbook, parameters, target, run_id, job=job),
        target=target,
        run_id=run_id,
        handed=handed,
        watch=watch,
        job=job,
        time_limit=time_limit,
    )


def _executions(
    runbook: Runbook, parameters: Mapping[str, str], target: Mapping[str, str], run_id: str, *, job: str = ""
) -> Executions:
    settings = accounts.parse(target)
    given = {name: str(value) for name, value in values.typed(runbook, parameters).items()}
    hosts = [parameter.name for parameter in runbook.parameters if parameter.kind == "host"]
    given |= {name: settings.instance(given[name]) for name in hosts if name in given}
    client = Client(settings, f"triage-{run_id}")
    return Executions(client, _phases(runbook), settings, given, run_id=run_id, runbook=runbook.key, job=job)


def plan(
    runbook: Runbook, *, parameters: Mapping[str, str], target: Mapping[str, str], run_id: str
) -> dict[str, object]:
    """What would be started for the action, as `runbooks.runners.PLANS` asks."""
    try:
        return _executions(runbook, parameters, target, run_id).planned("action")
    except (RemoteError, LaunchRefused, ValueError) as error:
        raise TargetError(f"the action would not be started: {error}") from error


def version(runbook: Runbook, *, target: Mapping[str, str]) -> str:
    """Return a sha256 over all documents that a run would start, and those that their steps name; TargetError.

    By the hash that AWS keeps of each version. A document that a step names without a version counts as it is now.
    """
    client = Client(accounts.parse(target), "triage-version")
    waiting = [(phase.document, phase.version) for phase in _phases(runbook).by_name().values()]
    seen: dict[tuple[str, str], str] = {}
    try:
        while waiting:
            one = waiting.pop()
            if one in seen:
                continue
            if len(seen) == DOCUMENTS_MOST:
                raise TargetError(f"the documents of {runbook.key} name more than {DOCUMENTS_MOST} others")
            told, content = client.document(*one)
            seen[one] = f"{one[0]} {told.get('DocumentVersion')} {told.get('HashType')} {told.get('Hash')}"
            waiting += sorted(ssm_sources.documents(content))
    except RemoteError as error:
        raise TargetError(str(error)) from error
    return source.digest(["ssm", *sorted(seen.values())])


def look(target: Mapping[str, str]) -> str:
    """Reach the account, change nothing, and say what there is; TargetError."""
    settings = accounts.parse(target)
    try:
        Client(settings, "triage-look").ask("describe_automation_executions", MaxResults=1)
    except RemoteError as error:
        raise TargetError(str(error)) from error
    return f"signed in to AWS Systems Manager in {settings.region}"


def _phases(runbook: Runbook) -> DocumentPhases:
    return DocumentPhases.model_validate_json(json.dumps(dict(runbook.settings)))


class Client:
    """The account's Systems Manager. Clients are made when first asked: boto3 loads for whoever needs it only."""

    def __init__(self, settings: SsmSettings, session_name: str) -> None:
        self._settings = settings
        self._session_name = re.sub(r"[^\w+=,.@-]", "-", session_name)[:64]
        self._credentials: dict[str, str] = {}
        self._made: dict[int, Any] = {}

    def ask(self, operation: str, **request: Any) -> dict[str, Any]:
        """Ask what changes nothing, repeated by botocore where AWS throttles or does not answer; RemoteError."""
        with _explained():
            answer: dict[str, Any] = getattr(self._client(READ_ATTEMPTS), operation)(**request)
        return answer

    def start(self, request: Mapping[str, Any]) -> str:
        """Start an execution with one request; its id. RemoteError, LaunchRefused or LaunchLost, such as Unanswered."""
        from botocore import exceptions

        # What cannot have reached AWS.
        unsent = (exceptions.EndpointConnectionError, exceptions.ConnectTimeoutError)
        never = (exceptions.ParamValidationError, exceptions.NoCredentialsError, exceptions.PartialCredentialsError)
        client = self._client(1)
        try:
            answer = client.start_automation_execution(**request)
        except exceptions.ClientError as error:
            raise _refusal(error) from error
        except unsent as error:
            raise RemoteError(f"AWS was not reached: {error}") from error
        except never as error:
            raise LaunchRefused(str(error)) from error
        except exceptions.BotoCoreError as error:
            raise Unanswered(str(error)) from error
        execution = answer.get("AutomationExecutionId")
        if not isinstance(execution, str) or not re.fullmatch(r"[0-9a-fA-F-]{36}", execution):
            raise LaunchLost("AWS answered without the execution's id")
        return execution

    def document(self, name: str, wanted: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """What AWS says of a document, and its content where that is an Automation; `wanted` empty: the default."""
        which = {"Name": name, **({"DocumentVersion": wanted} if wanted else {})}
        told = self.ask("describe_document", **which)["Document"]
        if told.get("DocumentType") != "Automation":
            return told, {}
        text = self.ask("get_document", **which, DocumentFormat="JSON")["Content"]
        try:
            content = json.loads(text)
        except (ValueError, RecursionError) as error:
            raise RemoteError(f"the document {name} cannot be read") from error
        if not isinstance(content, dict):
            raise RemoteError(f"the document {name} cannot be read")
        return told, content

    def _client(self, attempts: int) -> Any:
        if attempts not in self._made:
            self._credentials = self._credentials or self._signing()
            self._made[attempts] = self._new("ssm", self._settings.endpoint_url, self._credentials, attempts)
        return self._made[attempts]

    def _signing(self) -> dict[str, str]:
        """The credentials for this run: the settings' own, or what the role is given for an hour."""
        settings = self._settings
        given = {
            "aws_access_key_id": settings.access_key_id,
            "aws_secret_access_key": settings.secret_access_key,
            "aws_session_token": settings.session_token,
        }
        own = {name: secret.get_secret_value() for name, secret in given.items() if secret is not None}
        if not settings.role_arn:
            return own
        request = {"RoleArn": settings.role_arn, "RoleSessionName": self._session_name, "DurationSeconds": 3600}
        if settings.external_id:
            request["ExternalId"] = settings.external_id
        with _explained():
            sts = self._new("sts", settings.sts_endpoint_url, own, READ_ATTEMPTS)
            lent = sts.assume_role(**request)["Credentials"]
        return {
            "aws_access_key_id": lent["AccessKeyId"],
            "aws_secret_access_key": lent["SecretAccessKey"],
            "aws_session_token": lent["SessionToken"],
        }

    def _new(self, service: str, url: str, credentials: Mapping[str, str], attempts: int) -> Any:
        from botocore.config import Config

        options: dict[str, Any] = {
            "connect_timeout": CONNECT_SECONDS,
            "read_timeout": READ_SECONDS,
            "retries": {"mode": "standard", "total_max_attempts": attempts},
            # The environment of the worker has no say in where a customer's account is.
            "ignore_configured_endpoint_urls": True,
        }
        with _making:
            make: Any = _session().client
            where = {"region_name": self._settings.region, "endpoint_url": url or None}
            return make(service, config=Config(**options), **where, **credentials)


# Clients may be used by several threads at once, sessions may not.
_making = threading.Lock()


@cache
def _session() -> "Session":
    """The process's own session, which reads the descriptions of AWS's services once."""
    import boto3

    return boto3.session.Session()


@contextmanager
def _explained() -> Iterator[None]:
    """Turn what botocore raises into RemoteError."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        yield
    except ClientError as error:
        raise RemoteError(_said(error)) from error
    except BotoCoreError as error:
        raise RemoteError(f"AWS was not reached: {error}") from error


def _refusal(error: "ClientError") -> Exception:
    """What an error that AWS answered to a start says about whether it was taken."""
    code = error.response.get("Error", {}).get("Code", "")
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    if code in THROTTLED:
        return RemoteError(_said(error))
    if code == MISMATCH:
        # This run's phase was started before, with other parameters: that execution is the one to look for.
        return LaunchLost(_said(error))
    return Unanswered(_said(error)) if status >= 500 else LaunchRefused(_said(error))


def _said(error: "ClientError") -> str:
    told = error.response.get("Error", {})
    return f"AWS answered {error.operation_name} with {told.get('Code', '')}: {told.get('Message', '')}"
