"""Models in force are verified whenever they are loaded, kept in bounded memory, and never another customer's."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import SecretStr

from runbooks.targets.directory import create
from tests import factories, past, trained
from tests.factories import NOW
from triage import serving
from triage.embedded import Endpoints
from triage.environment import environment
from triage.lake import here
from triage.lake.errors import LakeUnavailable
from triage.models import Article, Release
from triage.serving import NoModel, releases

pytestmark = pytest.mark.django_db

TEXTS = [document for document, _ in past.tickets(10, seed=11)]


@pytest.fixture(autouse=True)
def _nothing_loaded() -> None:
    releases._loaded.clear()


def test_a_workers_parent_imports_the_tasks_without_opening_any_model() -> None:
    asked = "from triage.serving import releases; print(len(releases._loaded), *sys.modules)"
    found = subprocess.run(
        [sys.executable, "-c", f"import django, sys; django.setup(); import triage.tasks; {asked}"],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    assert found[0] == "0"
    assert "deltalake" not in found  # its threads do not survive the fork


def test_a_customer_without_a_release_has_no_model() -> None:
    assert serving.in_force(factories.customer()) is None
    assert serving.in_force(trained.release(factories.customer(), status=Release.Status.CANDIDATE).customer) is None


def test_the_release_in_force_is_looked_up_each_time() -> None:
    customer = factories.customer()
    first = trained.release(customer)
    assert serving.in_force(customer).release == first  # type: ignore[union-attr]  # it is there
    Release.objects.filter(pk=first.pk).update(status=Release.Status.RETIRED)
    assert serving.in_force(customer) is None
    second = trained.release(customer)
    assert serving.in_force(customer).release == second  # type: ignore[union-attr]  # it is there


def test_a_loaded_model_is_used_again_and_the_longest_unused_one_is_let_go(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment(), "model_cache", 2)
    one, two, three = (trained.release(factories.customer()) for _ in range(3))
    first = serving.load(one)
    serving.load(two)
    assert serving.load(one).classifier is first.classifier
    serving.load(three)
    assert [kept.release for kept in releases._loaded.values()] == [one, three]


def test_a_missing_model_is_fetched_from_the_lake_and_answers_alike(lake: Endpoints) -> None:
    made = trained.release(factories.customer())
    trained.upload(made)
    shutil.rmtree(serving.folder_of(made))
    found = serving.load(made)
    assert found.classifier.rank(TEXTS) == trained.model().rank(TEXTS)
    assert found.digest == made.digest
    assert [path.name for path in serving.folder_of(made).parent.iterdir()] == [made.version]


def test_a_model_damaged_on_this_host_is_fetched_anew(lake: Endpoints) -> None:
    made = trained.release(factories.customer())
    trained.upload(made)
    trained.damage(serving.folder_of(made) / "model.bin")
    assert serving.load(made).classifier.rank(TEXTS) == trained.model().rank(TEXTS)


@pytest.mark.parametrize("name", ["model.bin", "linear.npz", "manifest.json"])
def test_a_model_damaged_in_the_lake_too_serves_nobody(lake: Endpoints, name: str) -> None:
    made = trained.release(factories.customer())
    trained.damage(serving.folder_of(made) / name)
    trained.upload(made)
    with pytest.raises(NoModel, match=f"The model {made.version} is damaged or incomplete in the lake"):
        serving.load(made)
    assert not serving.folder_of(made).exists()


def test_a_model_that_the_lake_lacks_serves_nobody(lake: Endpoints) -> None:
    made = trained.release(factories.customer())
    shutil.rmtree(serving.folder_of(made))
    with pytest.raises(NoModel, match="incomplete"):
        serving.load(made)


def test_another_customers_model_is_refused_even_where_its_files_are_whole(lake: Endpoints) -> None:
    mine, theirs = trained.release(factories.customer()), trained.release(factories.customer())
    trained.upload(theirs)
    shutil.rmtree(serving.folder_of(mine))
    for file in serving.folder_of(theirs).iterdir():
        here.store().put(trained.key(mine, file.name), file.read_bytes())
    with pytest.raises(NoModel, match="another model"):
        serving.load(mine)


def test_a_lake_that_is_down_says_so_and_hinders_nobody_who_has_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(environment(), "lake_endpoint", "http://127.0.0.1:9")
    monkeypatch.setattr(environment(), "lake_access_key", "a")
    monkeypatch.setattr(environment(), "lake_secret_key", SecretStr("b"))
    made = trained.release(factories.customer())
    assert serving.load(made).digest == made.digest
    releases._loaded.clear()
    shutil.rmtree(serving.folder_of(made))
    with pytest.raises(LakeUnavailable):
        serving.load(made)


def test_a_customers_own_article_replaces_the_shared_one_of_its_label() -> None:
    customer = factories.customer()
    factories.article(key="A", runbook="record_only")
    factories.article(key="A", customer=customer, runbook="")
    factories.article(key="A", customer=factories.customer(), runbook="unlock_account")
    with serving.offered(customer) as articles:
        assert articles["A"].runbook is None
    with serving.offered(factories.customer()) as articles:
        assert articles["A"].runbook.key == "record_only"  # type: ignore[union-attr]  # it is there


def test_translations_share_a_label_and_those_that_disagree_lead_to_no_runbook() -> None:
    customer = factories.customer()
    factories.article(key="A-en", translation_group="A", runbook="record_only")
    factories.article(key="A-de", translation_group="A", runbook="record_only", language="de")
    factories.article(key="B-en", translation_group="B", runbook="record_only")
    factories.article(key="B-de", translation_group="B", runbook="unlock_account", language="de")
    with serving.offered(customer) as articles:
        assert articles["A"].runbook.key == "record_only"  # type: ignore[union-attr]  # it is there
        assert articles["B"].runbook is None


def test_an_article_is_live_while_one_of_its_translations_is() -> None:
    customer = factories.customer()
    factories.article(key="A-en", translation_group="A", retired_at=NOW)
    other = factories.article(key="A-de", translation_group="A")
    with serving.offered(customer) as articles:
        assert articles["A"].live is True
    Article.objects.filter(pk=other.pk).update(retired_at=NOW)
    with serving.offered(customer) as articles:
        assert articles["A"].live is False


def test_a_target_that_is_missing_or_lost_is_named(tmp_path: Path) -> None:
    customer = factories.customer()
    factories.article(key="A", runbook="unlock_account")
    with serving.offered(customer) as articles:
        assert articles["A"].trouble == "not exactly one directory is set up that the runbook could work on"
    file = tmp_path / "directory.sqlite3"
    factories.target(customer, kind="directory", settings=f'{{"path": "{file}"}}')
    with serving.offered(customer) as articles:
        assert articles["A"].trouble.startswith("the directory cannot be used")
    create(file, [])
    with serving.offered(customer) as articles:
        assert (articles["A"].trouble, articles["A"].directory is None) == ("", False)
