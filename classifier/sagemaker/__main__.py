"""`python -m classifier.sagemaker serve --model DIR --port 8080`: the model in a folder, for BlazingText's clients.

The key that signed the model comes as hex from the environment variable TRIAGE_MODEL_KEY, or from --key-file.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from classifier.artifact import ArtifactError
from classifier.sagemaker.server import Server

KEY = "TRIAGE_MODEL_KEY"


def main(arguments: Sequence[str]) -> int:
    """Serve until SIGTERM; 1 with the reason where the model cannot be opened, 2 on bad usage."""
    parser = argparse.ArgumentParser(prog="python -m classifier.sagemaker", description=__doc__)
    serve = parser.add_subparsers(dest="command", required=True).add_parser("serve", help="answer /ping, /invocations")
    serve.add_argument("--model", type=Path, default=Path("/opt/ml/model"), help="the model's folder")
    serve.add_argument("--port", type=int, default=8080)
    serve.add_argument("--host", default="0.0.0.0", help="the address to listen on")  # noqa: S104 - as containers do
    serve.add_argument("--threads", type=int, default=8)
    serve.add_argument("--key-file", type=Path, help=f"the key as hex, in place of {KEY}")
    given = parser.parse_args(arguments)
    try:
        key = bytes.fromhex((given.key_file.read_text() if given.key_file else os.environ.get(KEY, "")).strip())
    except (OSError, ValueError) as error:
        print(f"the key cannot be read: {error}", file=sys.stderr)
        return 2
    if not key:
        print(f"set {KEY} to the key that signed the model, as hex, or name a --key-file", file=sys.stderr)
        return 2
    try:
        server = Server(given.model, key=key, port=given.port, threads=given.threads, host=given.host)
    except (ArtifactError, OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    server.run()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
