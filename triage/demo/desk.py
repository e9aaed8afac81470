"""What arrives at the sample company's service desk: one ticket at a time, of a mixture of articles and writers."""

import random
from collections.abc import Sequence

from runbooks.targets.directory import Account
from triage.demo import accounts, alerts, articles, texture
from triage.demo.asks import Ask, Asks, written_account, written_size
from triage.demo.letters import letter
from triage.demo.phrases import LANGUAGES, Lexicon
from triage.demo.samples import Sample, stamp
from triage.demo.values import gaps

_LANGUAGE_SHARES = (0.6, 0.16, 0.12, 0.12)
_OUT_OF_SCOPE, _NOISE, _AMBIGUOUS = 0.07, 0.18, 0.02
_MONITORED, _OTHERS = 0.62, 0.08
_FORMS = 0.22
_TIMES_SAID = (0.42, 0.46, 0.12)
_STRAY, _UNCLEAR = "stray", "unclear"
_CARDS = 300
_PRIORITIES = ("low", "normal", "normal", "normal", "high", "urgent")
_CHANNELS = ("mail", "portal", "phone", "chat")
_CHANNEL_SHARES = (0.5, 0.45, 0.03, 0.02)


class Desk:
    """Makes tickets of one pool of phrases for the people of one directory."""

    def __init__(self, lexicon: Lexicon, people: Sequence[Account], rng: random.Random) -> None:
        self._lexicon = lexicon
        self._rng = rng
        self._asks = Asks(people, accounts.groups(), rng)
        self._subjects = _cards()
        self._left: list[str] = []
        self._kinds = {content["key"]: content["kind"] for content in articles.files()}
        self._monitored = {content["key"] for content in articles.files() if content.get("monitored")}
        self._runbooks = articles.runbook_articles()

    def ticket(self, offset: int) -> Sample:
        """The ticket that arrives at this moment; its external id is still empty."""
        # Dealt and not drawn, so that a short stream has the mixture too.
        self._left = self._left or self._rng.sample(self._subjects, len(self._subjects))
        article = self._left.pop()
        if article == _STRAY:
            return self._stray(offset)
        if article == _UNCLEAR:
            return self._unclear(offset)
        machine = self._lexicon.symptoms(article, "machine")
        if machine and self._rng.random() < (_MONITORED if article in self._monitored else _OTHERS):
            return self._alert(article, self._rng.choice(machine), offset)
        if article not in self._runbooks:
            return self._problem(article, offset)
        if self._rng.random() < _FORMS:
            return self._form(article, offset)
        return self._request(article, offset)

    def _language(self) -> str:
        return self._rng.choices(LANGUAGES, _LANGUAGE_SHARES)[0]

    def _letter(
        self,
        writer: Account,
        symptoms: Sequence[str],
        language: str,
        offset: int,
        *,
        given: dict[str, str] | None = None,
        clauses: Sequence[str] = (),
        truth: str | None = None,
        fields: dict[str, str] | None = None,
        parameters: dict[str, str] | None = None,
    ) -> Sample:
        subject, body = letter(
            self._lexicon,
            self._rng,
            symptoms=symptoms,
            language=language,
            given={} if given is None else given,
            name=writer.display_name,
            clauses=clauses,
        )
        # Fields are there where a portal asked for them.
        channel = "portal" if fields else self._rng.choices(_CHANNELS, _CHANNEL_SHARES)[0]
        return Sample(
            external_id="",
            subject=subject,
            body=body,
            requester=writer.mail,
            channel=channel,
            actor="person",
            language=language,
            kind=self._kinds.get(truth or "", "request"),
            priority=self._rng.choice(_PRIORITIES),
            offset=offset,
            fields=fields or {},
            truth=truth,
            truth_parameters=parameters or {},
            template=symptoms[0],
        )

    def _stray(self, offset: int) -> Sample:
        """Something that no article answers."""
        language = self._language()
        writer = self._asks.anybody()
        if self._rng.random() >= _NOISE:
            return self._letter(writer, [self._rng.choice(self._lexicon.out_of_scope[language])], language, offset)
        subject = self._rng.choice(("", "", *self._lexicon.general("subjects", language)))
        return Sample(
            external_id="",
            subject=subject,
            body=texture.noise(self._rng),
            requester=writer.mail,
            channel="mail",
            actor="person",
            language=language,
            kind="request",
            priority="normal",
            offset=offset,
        )

    def _unclear(self, offset: int) -> Sample:
        """Something that can mean several articles; which one it was is chance."""
        group = self._rng.choice(self._lexicon.ambiguous)
        language = self._language()
        truth = self._rng.choice(group.articles)
        return self._letter(
            self._asks.anybody(), [self._rng.choice(group.lines[language])], language, offset, truth=truth
        )

    def _problem(self, article: str, offset: int) -> Sample:
        language = self._language()
        phrases = self._lexicon.symptoms(article, language)
        symptoms = self._rng.sample(phrases, self._rng.choices((1, 2, 3), _TIMES_SAID)[0])
        return self._letter(self._asks.anybody(), symptoms, language, offset, truth=article)

    def _request(self, article: str, offset: int) -> Sample:
        """A letter about an article with a runbook: mostly complete, at times lacking a value or naming too many."""
        rng, language = self._rng, self._language()
        ask = self._asks.ask(article)
        phrases = self._lexicon.symptoms(article, language)
        symptom = rng.choice(phrases)
        if _lacks_group(article, symptom) or "{other}" in symptom:
            symptom = rng.choice(phrases)  # a second draw makes the rare ones rarer
        whose, given, clauses = self._whose(ask, symptom, language)
        if ask.quota_mb and "{quota}" not in symptom and rng.random() < 0.93:
            clauses.append(rng.choice(self._lexicon.general("quota_clauses", language)))
        complete = not _lacks_group(article, symptom)
        if ask.quota_mb:
            complete = any("{quota}" in text for text in (symptom, *clauses))
        symptoms = [symptom]
        plain = [phrase for phrase in phrases if phrase != symptom and not gaps(phrase) & {"account", "other", "group"}]
        if plain and whose is ask.account and ask.runbook != "add_to_group" and rng.random() < 0.45:
            second = rng.choice(plain)
            complete = complete or "{quota}" in second
            symptoms.append(second)
        fields = self._portal_fields(ask) if whose is ask.account and complete and rng.random() < 0.12 else None
        known = complete and whose is not None and self._may_be_asked(ask)
        return self._letter(
            ask.account,
            symptoms,
            language,
            offset,
            given=given,
            clauses=clauses,
            truth=article,
            fields=fields,
            parameters=ask.parameters(whose) if known and whose else None,
        )

    def _whose(self, ask: Ask, symptom: str, language: str) -> tuple[Account | None, dict[str, str], list[str]]:
        """Whose account the symptom is about (None: cannot be told), what it names, and clauses that say so."""
        rng = self._rng
        given = {"group": ask.group, "quota": written_size(ask.quota_mb or 1024, language, rng)}
        if "{other}" in symptom:
            named = rng.choice((ask.other.display_name, written_account(ask.other, rng)))
            return ask.other, {**given, "other": named}, []
        if "{account}" in symptom:
            whose = ask.other if rng.random() < 0.1 else ask.account
            return whose, {**given, "account": written_account(whose, rng)}, []
        given |= {"account": written_account(ask.account, rng), "other": ask.other.uid}
        chance = rng.random()
        if chance < 0.04:
            return None, given, [rng.choice(self._lexicon.general("two_accounts", language))]
        if chance < 0.4:
            return ask.account, given, [rng.choice(self._lexicon.general("account_clauses", language))]
        return ask.account, given, []

    def _may_be_asked(self, ask: Ask) -> bool:
        return not ask.group or any(group.self_service for group in accounts.groups() if group.name == ask.group)

    def _portal_fields(self, ask: Ask) -> dict[str, str]:
        return {**ask.parameters(ask.account), "category": "service request"}

    def _form(self, article: str, offset: int) -> Sample:
        rng = self._rng
        ask = self._asks.ask(article)
        template = rng.choice(self._lexicon.symptoms(article, "form"))
        given = {
            "account": ask.account.uid,
            "group": ask.group,
            "quota": written_size(ask.quota_mb or 1024, "en", rng),
        }
        subject, body = alerts.form(rng, template=template, given=given)
        return Sample(
            external_id="",
            subject=subject,
            body=body,
            requester=ask.account.mail,
            channel="portal",
            actor="person",
            language="en",
            kind="request",
            priority="normal",
            offset=offset,
            fields=self._portal_fields(ask),
            truth=article,
            truth_parameters=ask.parameters(ask.account) if self._may_be_asked(ask) else {},
            template=template,
        )

    def _alert(self, article: str, template: str, offset: int) -> Sample:
        rng = self._rng
        given: dict[str, str] = {}
        parameters: dict[str, str] = {}
        if article in self._runbooks:
            ask = self._asks.ask(article)
            given = {"account": ask.account.uid, "group": ask.group}
            given["quota"] = written_size(ask.quota_mb or 1024, "en", rng)
            given |= {"used": str(ask.account.quota_used_mb), "limit": str(ask.account.quota_mb)}
            # A warning about a full mailbox does not say how large it should be.
            told = not ask.quota_mb and self._may_be_asked(ask)
            parameters = ask.parameters(ask.account) if told or "{quota}" in template else {}
        elif "{account}" in template:
            given = {"account": self._asks.anybody().uid}
        subject, body, fields = alerts.alert(
            self._lexicon, rng, article=article, template=template, given=given, stamp=stamp(offset)
        )
        if "account" in given and rng.random() < 0.7:
            fields["account"] = given["account"]
        return Sample(
            external_id="",
            subject=subject,
            body=body,
            requester=rng.choice(alerts.SENDERS),
            channel="monitoring",
            actor="machine",
            language="en",
            kind="incident",
            priority=rng.choice(_PRIORITIES),
            offset=offset,
            fields=fields,
            truth=article,
            truth_parameters=parameters,
            template=template,
        )


def _cards() -> list[str]:
    """What tickets are about, each as often as its share of _CARDS says: article keys, _STRAY, _UNCLEAR."""
    weights = {content["key"]: float(content["weight"]) for content in articles.files()}
    scale = (1 - _OUT_OF_SCOPE - _AMBIGUOUS) / sum(weights.values())
    shares = {_STRAY: _OUT_OF_SCOPE, _UNCLEAR: _AMBIGUOUS} | {key: weight * scale for key, weight in weights.items()}
    return [subject for subject, share in shares.items() for _ in range(round(share * _CARDS))]


def _lacks_group(article: str, symptom: str) -> bool:
    return articles.runbook_articles()[article] == "add_to_group" and "{group}" not in symptom
