"""The settings of signing in: what would let nobody in, or anybody, stops the start and says how to mend it."""

import pytest
from django.contrib.auth.models import AnonymousUser

from triage.environment import EnvironmentInvalid, environment, roles_by_group
from triage.permissions import administered, can_administer_some


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({"oidc_issuer": "http://login.example.org"}, "https://"),
        ({"oidc_issuer": "https://login.example.org/?x=1"}, "https://"),
        ({"oidc_issuer": "login.example.org"}, "https://"),
        ({"oidc_issuer": "https://login.example.org"}, "TRIAGE_OIDC_CLIENT_ID"),
        ({"oidc_scopes": "email profile"}, "openid"),
        ({"oidc_roles": "{"}, "not JSON"),
        ({"oidc_roles": '{"a": "nordwind:agent"}'}, "a list for each group"),
        ({"oidc_roles": '{"a": ["nordwind"]}'}, "customer:role"),
        ({"oidc_roles": '{"a": [":agent"]}'}, "customer:role"),
        ({"local_passwords": "false"}, "nobody could sign in"),
        ({"second_factor": "sometimes"}, "optional, admins or everyone"),
    ],
)
def test_a_setting_that_cannot_be_stops_the_start(
    values: dict[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in values.items():
        monkeypatch.setenv(f"TRIAGE_{name.upper()}", value)
    environment.cache_clear()
    try:
        with pytest.raises(EnvironmentInvalid, match=said):
            environment()
    finally:
        monkeypatch.undo()
        environment.cache_clear()


def test_groups_stand_for_roles_at_customers() -> None:
    table = roles_by_group('{"desk": ["nordwind:agent", "contoso:agent"], "leads": ["nordwind:admin"]}')
    assert table == {
        "desk": {("nordwind", "agent"), ("contoso", "agent")},
        "leads": {("nordwind", "admin")},
    }


@pytest.mark.django_db
def test_nobody_administers_nothing() -> None:
    assert administered(AnonymousUser()) == []
    assert not can_administer_some(AnonymousUser())
