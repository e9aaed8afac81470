"""What can go wrong with the lake, named by what the caller should do about it.

LakeError
    LakeUnavailable     not reached, overloaded or gone away: try again later
    AlreadyThere        a put with `if_absent` found the key taken
    NotThere            no such object
    Damaged             the bytes are not those that were written: never use them
    AccessDenied        the credentials are wrong or too weak: a person must mend the settings
"""


class LakeError(Exception):
    """The lake refused or failed; the message names the key and how to mend it where that is known."""


class LakeUnavailable(LakeError):
    """The lake does not answer, or not now. Trying again later may work; a put may or may not have happened."""


class AlreadyThere(LakeError):
    """Somebody else wrote this key first."""


class NotThere(LakeError):
    """There is no such object."""


class Damaged(LakeError):
    """The bytes differ from the digest that was sent or kept with them."""


class AccessDenied(LakeError):
    """The lake does not accept these credentials for this."""
