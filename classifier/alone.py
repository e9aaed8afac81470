"""Tickets classified in a process of their own, one after the other, so that a poison one takes nothing else along.

`python -m classifier.alone FOLDER` reads the key (hex) and then one JSON object {"subject", "body"} a line from
standard input and prints one JSON ranking a line, at once; exit 1 with a reason on standard error, 2 on bad usage.
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
        model = load(Path(arguments[0]), key=key)
        answered = 0
        for line in sys.stdin:
            values = json.loads(line)
            document = Document(subject=str(values["subject"]), body=str(values["body"]))
            print(json.dumps(model.rank([document])[0].as_dict(), sort_keys=True), flush=True)
            answered += 1
    except (ArtifactError, KeyError, TypeError, ValueError, RecursionError, MemoryError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        return 1
    if not answered:
        print("no document came; send one JSON object a line", file=sys.stderr)
    return 0 if answered else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
