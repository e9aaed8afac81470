"""One ticket classified in a process of its own, so that a poison ticket takes nothing else along.

`python -m classifier.alone FOLDER` reads the key (hex) and then one JSON object {"subject", "body"} from standard
input and prints one JSON ranking; exit 1 with a reason on standard error, 2 on bad usage.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path

from classifier.artifact import ArtifactError, load
from classifier.text import Document


def main(arguments: Sequence[str]) -> int:
    """Rank the document on standard input with the model in the folder named."""
    if len(arguments) != 1:
        print("usage: python -m classifier.alone FOLDER, with key and document on standard input", file=sys.stderr)
        return 2
    try:
        key = bytes.fromhex(sys.stdin.readline().strip())
        values = json.loads(sys.stdin.read())
        document = Document(subject=str(values["subject"]), body=str(values["body"]))
        ranking = load(Path(arguments[0]), key=key).rank([document])[0]
    except (ArtifactError, KeyError, TypeError, ValueError, RecursionError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    print(json.dumps(ranking.as_dict(), sort_keys=True))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
