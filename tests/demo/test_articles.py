"""The knowledge articles of the sample company."""

from runbooks.registry import RUNBOOKS
from triage.demo import articles


def test_there_are_at_least_24_articles_each_with_a_text_worth_reading() -> None:
    english = [article for article in articles.articles() if article.language == "en"]
    assert len(english) >= 24
    assert all(len(article.body.split()) >= 60 for article in english)
    assert all(article.symptoms and article.aliases for article in english)


def test_keys_are_unique_and_a_translation_names_its_english_article_as_its_group() -> None:
    every = articles.articles()
    english = {article.key for article in every if article.language == "en"}
    assert len({article.key for article in every}) == len(every)
    assert all(article.translation_group in english for article in every)
    assert all(article.translation_group == article.key for article in every if article.language == "en")


def test_every_runbook_article_is_there_in_four_languages_and_its_runbook_is_registered() -> None:
    runbooks = articles.runbook_articles()
    assert {*runbooks.values()} == {"unlock_account", "add_to_group", "raise_mailbox_quota"}
    for key, runbook in runbooks.items():
        versions = [article for article in articles.articles() if article.translation_group == key]
        assert {version.language for version in versions} == {"en", "de", "fr", "ja"}
        assert {version.runbook for version in versions} == {runbook}
        assert runbook in RUNBOOKS
