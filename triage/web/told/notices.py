"""What people are told of on the desk, what they choose to hear by mail, and what tokens may be made for."""

from django.utils.translation import gettext_noop as _

SENTENCES = (
    # notifications
    _("%(run)s for %(ticket)s waits for %(whom)s."),
    _("a second person"),
    _("approval"),
    _("%(run)s for %(ticket)s: nobody knows whether it happened."),
    _("%(run)s for %(ticket)s: failed."),
    _("%(run)s for %(ticket)s: undone."),
    _("%(run)s for %(ticket)s: undo failed."),
    _(
        "%(runbook)s no longer starts: %(wrong)s of its last %(of)s runs went wrong. "
        "Look at them, then close the circuit."
    ),
    _("The certificate for %(runbooks)s was revoked: %(why)s"),
    _("The certificate for %(runbooks)s expires on %(when)s."),
    _("%(ticket)s: a blind check contradicts what was run."),
    _("%(who)s stopped automation: nothing starts until somebody allows it again."),
    _("The ITSM was not told of %(ticket)s; tell it by hand."),
    _("%(source)s refuses our credentials (401): enter the new ones. What waits is told then."),
    _("Source %(source)s sent a message whose signature is wrong. Compare the secrets on both sides."),
    _("Source %(source)s could not be pulled since %(when)s UTC: %(why)s"),
    _("Articles of the feed %(feed)s could not be listed since %(when)s UTC: %(why)s"),
    _(
        "%(n)s articles of the feed %(feed)s are missing in what it lists. That is too many to retire them unasked: "
        "look whether they are really gone, and say so on the page of articles."
    ),
    _(
        "Article %(article)s was retired in its knowledge base. Its tickets no longer start the runbook %(runbooks)s, "
        "also where a certificate covers it; the certificate stays."
    ),
    _(
        "The password of %(account)s was changed through a link, and the mail that says so to the contact on file "
        "did not go out: %(why)s"
    ),
    _("Mail to %(address)s does not arrive: %(why)s."),
    _("The event endpoint %(name)s was switched off. %(why)s"),
    _("It answered that it is gone (410)."),
    _("It failed for days: %(why)s"),
    _(
        "The reconciler was last there at %(when)s UTC: what gets stuck stays stuck. Start `triage reconcile` again, "
        "or look why `triage up` cannot."
    ),
    _("%(ticket)s: a run for it has ended."),
    _("%(ticket)s: a run for it waits for approval."),
    _("%(ticket)s: nobody knows whether a run for it happened."),
    _("%(ticket)s: a check of it needs a look."),
    _("%(ticket)s: the ITSM could not be told of it; tell it by hand."),
    _("%(ticket)s: it needs a look."),
    # kinds of notifications, on the page where people choose
    _("A run waits for approval"),
    _("Nobody knows whether a run happened"),
    _("A run failed, and so did its undoing"),
    _("A run failed"),
    _("A run was undone"),
    _("A run succeeded"),
    _("A runbook no longer starts: too many runs went wrong"),
    _("A certificate was revoked"),
    _("A certificate expires within 14 days"),
    _("A blind check contradicts a run"),
    _("Automation was switched off"),
    _("A source's signature was refused, once a day"),
    _("A source refused our credentials while it was told something, once a day"),
    _("A source could not be pulled for an hour"),
    _("Articles of a feed could not be listed for an hour"),
    _("A feed no longer lists many of its articles; they wait for a word before they are retired"),
    _("An article that leads to a runbook was retired in its knowledge base"),
    _("The ITSM could not be told of a ticket"),
    _("A changed password could not be told to its owner"),
    _("An event endpoint was switched off after failing for days"),
    _("A ticket was decided"),
    _("The reconciler has stopped"),
    _("A mail could not be delivered"),
    _("the runbook's owner"),
    _("approvers"),
    _("model stewards"),
    _("administrators"),
    _("approvers, model stewards and administrators"),
    _("the provider's administrators"),
    # what tokens may be made for
    _("read approvals"),
    _("grant and refuse approvals"),
    _("read runs"),
    _("read tickets"),
    _("open the panel in the ITSM for agents"),
    _("ask what Triage would make of a text"),
    _("read verdicts"),
    _("have a verdict's runbook run"),
    _("read articles"),
    _("write and retire articles"),
    _("read runbooks"),
    _("read certificates"),
    _("read model releases"),
    _("publish model releases and roll back"),
)
