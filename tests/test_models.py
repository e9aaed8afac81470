"""What the database itself refuses, what it keeps encrypted, and who sees which rows."""

from typing import Any

import pytest
from django.apps import apps
from django.db import IntegrityError, connection, models, transaction

from tests import factories
from triage.models import AuditEvent, Customer, Delivery, DeliveryKey, Mode, Prediction, Source, Target, Ticket

pytestmark = pytest.mark.django_db


def refused(make: Any) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        make()


def test_a_probability_outside_0_to_1_is_refused() -> None:
    ticket = factories.ticket()
    for value in (-0.001, 1.000001):
        refused(lambda value=value: factories.prediction(ticket, probability=value))
        refused(lambda value=value: factories.draw(ticket, probability=value))


def test_a_ticket_is_unique_in_its_source() -> None:
    ticket = factories.ticket()
    refused(lambda: factories.ticket(source=ticket.source, external_id=ticket.external_id))


def test_one_prediction_and_one_decision_are_in_force_for_a_text() -> None:
    ticket = factories.ticket()
    factories.prediction(ticket)
    refused(lambda: factories.prediction(ticket))
    factories.prediction(ticket, in_force=False)
    factories.decision(ticket)
    refused(lambda: factories.decision(ticket))


def test_automation_without_certificate_or_expiry_is_refused() -> None:
    refused(lambda: factories.decision(factories.ticket(), mode=Mode.AUTOMATE))


def test_a_delivery_is_seen_once() -> None:
    source = factories.source()
    values = {"source_id": source.pk, "key": "k", "delivery": source.uuid, "sha256": "0" * 64, "seen_at": factories.NOW}
    DeliveryKey.objects.create(**values)
    refused(lambda: DeliveryKey.objects.create(**values))


def test_an_unknown_status_is_refused() -> None:
    ticket = factories.ticket()
    refused(lambda: Ticket.objects.filter(pk=ticket.pk).update(status="lost"))


def test_nothing_points_at_the_append_only_tables() -> None:
    append_only = {AuditEvent, Prediction, Delivery}
    pointing = [
        f"{model.__name__}.{field.name}"
        for model in apps.get_models()
        for field in model._meta.get_fields()
        if isinstance(field, models.ForeignKey) and field.related_model in append_only
    ]
    assert pointing == []


def test_secrets_of_sources_and_targets_are_encrypted_at_rest() -> None:
    source = factories.source(secrets="whsec_plain")
    target = factories.target(Customer.objects.get(), settings='{"password": "plain"}')
    with connection.cursor() as cursor:
        cursor.execute("SELECT secrets FROM triage_source WHERE id = %s", [source.pk])
        (secret,) = cursor.fetchone()
        cursor.execute("SELECT settings FROM triage_target WHERE id = %s", [target.pk])
        (settings,) = cursor.fetchone()
    assert "plain" not in secret + settings
    assert Source.objects.get(pk=source.pk).signing_secrets() == ["whsec_plain"]
    assert Target.objects.get(pk=target.pk).settings == '{"password": "plain"}'


def test_an_encrypted_column_cannot_be_searched() -> None:
    with pytest.raises(TypeError, match="encrypted"):
        Source.objects.filter(secrets="whsec_plain").exists()


def test_a_person_sees_the_rows_of_their_customers_only() -> None:
    mine, other = factories.ticket(), factories.ticket()
    unmapped = factories.ticket(source=factories.source(customer=None), customer=None)
    assert mine.customer is not None
    agent = factories.member(mine.customer)
    assert list(Ticket.objects.visible_to(agent)) == [mine]
    admin = factories.person(is_superuser=True)
    assert set(Ticket.objects.visible_to(admin)) == {mine, other, unmapped}
