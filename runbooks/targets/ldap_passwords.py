"""How a password is set on an LDAP server, and which mail address is the contact on file of an account."""

from collections.abc import Callable

from runbooks.targets.accounts import PasswordRefused
from runbooks.targets.ldap_connection import Connection, Entry
from runbooks.targets.ldap_settings import Flavour, LdapSettings
from runbooks.targets.ldap_terms import exceptions, ldap3, password_request, prepared, printable, tracking

PASSMODIFY = "1.3.6.1.4.1.4203.1.11.1"
"""RFC 3062: the server hashes, and applies its rules, whatever its attribute for passwords is."""

_AD_RULES = "0000052D"
"""ERROR_PASSWORD_RESTRICTION (MS-ERREF 2.2), with which Active Directory begins its words for any broken rule."""


def contact_of(entry: Entry, settings: LdapSettings) -> str:
    """Return the contact on file; empty where there is none, or several and nobody can say which is meant."""
    found = entry.all(settings.contact_attribute) if settings.contact_attribute else ()
    if not found and settings.contact_may_be_mail:
        found = entry.all(settings.mail_attribute)
    return found[0].strip() if len(found) == 1 else ""


def set_password(connection: Connection, dn: str, password: str, *, flavour: Flavour, run_id: str) -> None:
    """Set the password of one entry; PasswordRefused where the server's rules forbid it.

    Active Directory takes it in unicodePwd only (MS-ADTS 3.1.1.3.1.5), in quotation marks and UTF-16. Other servers
    by the operation that is made for it (RFC 3062) or, where they do not offer it, in userPassword, which they hash.
    """
    controls = [tracking(run_id)]

    def by_attribute(name: str, value: bytes) -> Callable[[ldap3.Connection], object]:
        change = {name: [(ldap3.MODIFY_REPLACE, [value])]}
        return lambda opened: opened.modify(dn, change, controls=controls)

    if flavour == "active_directory":
        request = by_attribute("unicodePwd", f'"{password}"'.encode("utf-16-le"))
    else:
        plain = prepared(password)
        if not plain:
            raise PasswordRefused("it has characters that no password may have")
        request = by_attribute("userPassword", plain)
        if connection.offers(PASSMODIFY):
            # Not ldap3's own extend.standard.modify_password: it turns the server's refusals into words of its own.
            value = password_request(dn, plain)
            request = lambda opened: opened.extended(PASSMODIFY, value, controls)  # noqa: E731
    connection.perform("the new password", lambda opened: _judged(request, opened))


def _judged(request: Callable[[ldap3.Connection], object], opened: ldap3.Connection) -> None:
    try:
        request(opened)
    except exceptions.LDAPConstraintViolationResult as error:
        raise PasswordRefused(_words(error.message)) from None
    except exceptions.LDAPUnwillingToPerformResult as error:
        if _AD_RULES not in str(error.message):
            raise
        raise PasswordRefused(_words(error.message)) from None


def _words(message: object) -> str:
    told = printable(message)
    if _AD_RULES in told or not told:
        return "it does not meet the domain's rules for length, variety, age and former passwords"
    return f"the directory says: {told}"
