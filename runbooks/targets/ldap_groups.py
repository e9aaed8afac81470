"""Groups behind an LDAP server: who is in which, which may be asked for by ticket, and which lead to privilege."""

from runbooks.targets.accounts import Group
from runbooks.targets.ldap_connection import Connection, Entry
from runbooks.targets.ldap_settings import LdapSettings
from runbooks.targets.ldap_terms import any_of, escaped, parts
from runbooks.targets.sqlite import TargetError

DEEPEST = 20
"""Levels of groups in groups that are followed; whoever is in deeper ones counts as privileged."""


class LdapGroups:
    """The groups of one client. TargetError at once where the settings name a group that does not exist."""

    def __init__(self, settings: LdapSettings, connection: Connection) -> None:
        self._settings = settings
        self._connection = connection
        # As the server spells them, so that they compare with what it returns. A misspelt one would protect nobody.
        self._privileged = frozenset(self._found(dn) for dn in settings.privileged_groups)
        self._open = frozenset(self._found(dn) for dn in settings.self_service_groups)
        self._owned = frozenset(self._found(dn) for dn in settings.owned_groups) - self._open
        self._owners: dict[str, str] = {}
        self._entries: dict[str, list[Entry]] | None = None

    def listed(self) -> tuple[Group, ...]:
        """Return all groups by name, read once a client; a name that two groups share can't be asked for."""
        title = self._settings.group_title_attribute
        if self._entries is None:
            self._entries = self._by_name("")
        return tuple(
            Group(
                name=name,
                title=entries[0].one(title) or name,
                self_service=len(entries) == 1 and entries[0].dn in self._open,
                privileged=any(self._leads_to_privilege(entry) for entry in entries),
                owners=self._owners_of(entries[0]) if len(entries) == 1 and entries[0].dn in self._owned else (),
            )
            for name, entries in sorted(self._entries.items())
        )

    def changeable(self, name: str) -> Entry:
        """Return the one group of exactly this name, as it is now, if runbooks may change it; else TargetError."""
        entries = self._by_name(f"({self._settings.group_name_attribute}={escaped(name)})").get(name, [])
        if not entries:
            raise TargetError(f"the directory has no group {name!r}")
        if len(entries) > 1 or not self._askable(entries[0]) or self._leads_to_privilege(entries[0]):
            raise TargetError(f"{name} can't be changed by a runbook")
        return entries[0]

    def of(self, dn: str, uid: str) -> tuple[str, ...]:
        """Return the names of the groups that hold this account as a member themselves, by name."""
        settings = self._settings
        member = f"({settings.member_attribute}={escaped(self.member(dn, uid))})"
        matching = f"(&{settings.group_filter}{member})"
        entries = self._connection.search(settings.groups_base, matching, [settings.group_name_attribute])
        return tuple(sorted({name for entry in entries if (name := entry.one(settings.group_name_attribute))}))

    def member(self, dn: str, uid: str) -> str:
        """Return what stands for this account in a group."""
        return dn if self._settings.members_by == "dn" else uid

    def reach_privilege(self, dn: str, uid: str) -> bool:
        """Say whether a privileged group has this entry as a member, itself or through groups that it is in."""
        if not self._privileged:
            return False
        seen, level = {dn}, [dn]
        for _ in range(DEEPEST):
            above = self._holders(level, uid)
            if above & self._privileged:
                return True
            level, uid = sorted(above - seen), ""
            if not level:
                return False
            seen |= above
        return True

    def _holders(self, dns: list[str], uid: str) -> set[str]:
        settings = self._settings
        # Privilege may be held by another attribute than the one that the settings name for ordinary groups.
        names = {"member", "uniqueMember"} | ({settings.member_attribute} if settings.members_by == "dn" else set())
        found: set[str] = set()
        for part in parts(dns):
            held = "".join(any_of(name, part) for name in sorted(names))
            by_uid = f"(memberUid={escaped(uid)})" if uid else ""
            found.update(entry.dn for entry in self._connection.search(settings.base_dn, f"(|{held}{by_uid})", []))
        return found

    def _leads_to_privilege(self, group: Entry) -> bool:
        """Whether members of the group are privileged; followed upward only for those that may be asked for."""
        return group.dn in self._privileged or (self._askable(group) and self.reach_privilege(group.dn, ""))

    def _askable(self, group: Entry) -> bool:
        return group.dn in self._open or group.dn in self._owned

    def _owners_of(self, group: Entry) -> tuple[str, ...]:
        """The uids of the group's owners that are accounts; an owner that is a group of people is none."""
        settings = self._settings
        for dn in group.all(settings.owner_attribute):
            if dn not in self._owners:
                entry = self._connection.entry(dn, settings.account_filter, [settings.uid_attribute])
                self._owners[dn] = entry.one(settings.uid_attribute) if entry else ""
        return tuple(sorted({self._owners[dn] for dn in group.all(settings.owner_attribute)} - {""}))

    def _by_name(self, matching: str) -> dict[str, list[Entry]]:
        settings = self._settings
        attributes = [settings.group_name_attribute, settings.group_title_attribute, settings.owner_attribute]
        listed: dict[str, list[Entry]] = {}
        for entry in self._connection.search(settings.groups_base, f"(&{settings.group_filter}{matching})", attributes):
            listed.setdefault(entry.one(settings.group_name_attribute), []).append(entry)
        listed.pop("", None)
        return listed

    def _found(self, dn: str) -> str:
        entry = self._connection.entry(dn, "(objectClass=*)", [])
        if entry is None:
            raise TargetError(f"the directory has no group {dn!r}, which the settings name: mend them")
        return entry.dn
