from __future__ import annotations

from typing import Any

import pytest

from dashboard.accounts import SignInRefused
from dashboard.oidc import person_of, roles_from
from dashboard.permissions import Role
from shared.errors import SettingsError

ROLES = {"Heads": Role.LEAD, "Nurses": Role.CLINICIAN}


def _person(**claims: Any) -> Any:
    known = {"sub": "s1", "preferred_username": "ada", **claims}
    return person_of(known, "https://id.example", "preferred_username", "groups", ROLES)


@pytest.mark.parametrize(
    ("groups", "role"),
    [
        (["Nurses"], Role.CLINICIAN),
        (["Everybody", "Nurses", "Heads"], Role.LEAD),
        ("Nurses", Role.CLINICIAN),
    ],
)
def test_the_first_of_the_mapping_that_somebody_has_is_their_role(
    groups: object, role: Role
) -> None:
    person = _person(groups=groups)

    assert (person.role, person.subject) == (role, "https://id.example|s1")


@pytest.mark.parametrize("groups", [None, [], ["lead"], {"Nurses": True}, 7, "no Nurses"])
def test_who_has_none_of_the_mapped_values_is_nobody_here(groups: object) -> None:
    with pytest.raises(SignInRefused, match="no role in Carelane"):
        _person(groups=groups)


@pytest.mark.parametrize("claims", [{"sub": ""}, {"sub": 7}, {"preferred_username": None}])
def test_without_a_subject_or_a_name_nobody_comes_in(claims: dict[str, Any]) -> None:
    with pytest.raises(SignInRefused, match="preferred_username"):
        _person(groups=["Nurses"], **claims)


def test_a_mapping_is_read_in_its_order() -> None:
    found = roles_from("cn=nurses,ou=x = clinician; Heads=lead;")

    assert list(found.items()) == [("cn=nurses,ou=x", Role.CLINICIAN), ("Heads", Role.LEAD)]


@pytest.mark.parametrize("text", ["Nurses", "=lead", "Nurses=doctor"])
def test_a_mapping_that_cannot_be_meant_stops_the_start_in_words(text: str) -> None:
    with pytest.raises(SettingsError, match="CARELANE_OIDC_ROLES"):
        roles_from(text)
