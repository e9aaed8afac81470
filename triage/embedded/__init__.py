"""The embedded broker and lake: real servers from wheels, as children, in one folder, with nothing installed by hand.

Both survive kill -9 of themselves and of whoever started them; a second start in the same folder is refused.
"""

from triage.embedded.home import Embedded
from triage.embedded.servers import EmbeddedError, Endpoints

__all__ = ["Embedded", "EmbeddedError", "Endpoints"]
