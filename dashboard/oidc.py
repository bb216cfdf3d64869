"""Sign-in by an OpenID provider, beside local accounts; off unless an issuer is set.

Authlib does the protocol: code flow with PKCE, state and nonce in the signed session cookie, the
ID token's signature, issuer, audience and times. Ours is what a stranger with a valid token is
here: a name, and a role by the provider's groups, or nobody.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import requests
from authlib.integrations.base_client.errors import OAuthError
from authlib.integrations.flask_client import OAuth
from flask import Flask
from joserfc.errors import JoseError
from werkzeug.wrappers import Response

from dashboard.accounts import SignInRefused
from dashboard.permissions import Role
from shared.errors import CarelaneError, SettingsError
from shared.settings import Settings

#: Where the provider sends people back to; to be registered there.
BACK: Final = "/sign-in/oidc/back"
_TIMEOUT_S: Final = 5.0
#: Without a mapping the claim holds our own names; of several, the one that may do most.
_OWN_NAMES: Final = {role.value: role for role in (Role.LEAD, Role.CLINICIAN, *Role)}


class ProviderUnavailable(CarelaneError):
    """The provider cannot be reached, or answers what cannot be used."""


@dataclass(frozen=True, kw_only=True)
class Person:
    """Somebody for whom the provider vouches."""

    subject: str  # issuer and subject: never given to anybody else
    name: str
    role: Role


class Provider:
    """The one provider that is set."""

    def __init__(self, app: Flask, settings: Settings) -> None:
        self._issuer = settings.require("oidc_issuer").rstrip("/")
        self._back = settings.dashboard_url.rstrip("/") + BACK
        self._name_claim = settings.oidc_name_claim
        self._role_claim = settings.oidc_role_claim
        self._roles = roles_from(settings.oidc_roles) if settings.oidc_roles else _OWN_NAMES
        self._client = OAuth(app).register(
            "carelane",
            client_id=settings.require("oidc_client_id"),
            client_secret=settings.require("oidc_client_secret"),
            server_metadata_url=f"{self._issuer}/.well-known/openid-configuration",
            client_kwargs={
                "scope": settings.oidc_scopes,
                "code_challenge_method": "S256",
                "default_timeout": _TIMEOUT_S,
            },
        )

    def send_away(self) -> Response:
        """To the provider's sign-in page; raises ProviderUnavailable."""
        try:
            self._check_issuer()
            answer: Response = self._client.authorize_redirect(self._back)
        except (requests.RequestException, OAuthError, RuntimeError, ValueError) as error:
            raise ProviderUnavailable(f"the OpenID provider: {type(error).__name__}") from error
        return answer

    def welcome(self) -> Person:
        """Who came back with this request.

        Raises:
            SignInRefused: nobody whom the provider vouches for, or nobody with a role here.
            ProviderUnavailable: the provider cannot be asked.
        """
        try:
            self._check_issuer()
            token = self._client.authorize_access_token()
            claims = dict(token.get("userinfo") or {})
            if self._role_claim not in claims or self._name_claim not in claims:
                claims = self._asked_further(token, claims)
        except requests.RequestException as error:
            raise ProviderUnavailable(f"the OpenID provider: {type(error).__name__}") from error
        except (OAuthError, JoseError, RuntimeError, ValueError, KeyError) as error:
            raise SignInRefused(
                "Your organisation's sign-in did not go through. Start again."
            ) from error
        return person_of(claims, self._issuer, self._name_claim, self._role_claim, self._roles)

    def _asked_further(self, token: Any, claims: dict[str, Any]) -> dict[str, Any]:
        """The userinfo endpoint's claims too; it must speak of the same person."""
        more = dict(self._client.userinfo(token=token))
        if not claims or more.get("sub") != claims.get("sub"):
            return claims
        return {**more, **claims}

    def _check_issuer(self) -> None:
        said = str(self._client.load_server_metadata().get("issuer", ""))
        if said.rstrip("/") != self._issuer:
            raise ValueError("the provider's metadata are of another issuer")


def person_of(
    claims: Mapping[str, Any],
    issuer: str,
    name_claim: str,
    role_claim: str,
    roles: Mapping[str, Role],
) -> Person:
    """The person that claims speak of; SignInRefused where they are nobody here. Pure."""
    subject, name = claims.get("sub"), claims.get(name_claim)
    if not isinstance(subject, str) or not subject or not isinstance(name, str) or not name:
        raise SignInRefused(
            f"Your organisation's sign-in does not tell your name ({name_claim}). "
            "Ask whoever runs Carelane."
        )
    held = _listed(claims.get(role_claim))
    role = next((role for value, role in roles.items() if value in held), None)
    if role is None:
        raise SignInRefused("Your account has no role in Carelane. Ask whoever runs it for one.")
    return Person(subject=f"{issuer}|{subject}", name=name, role=role)


def _listed(value: Any) -> set[str]:
    if isinstance(value, str):
        return {value}  # whole: "no clinician" is no clinician
    return {str(each) for each in value} if isinstance(value, list) else set()


def roles_from(text: str) -> dict[str, Role]:
    """`Nurses=clinician; Heads=lead` as a mapping; of several that somebody has the first counts.

    Raises:
        SettingsError: a part is no pair, or names no role.
    """
    found: dict[str, Role] = {}
    for part in filter(None, (each.strip() for each in text.split(";"))):
        value, _, role = part.rpartition("=")
        try:
            found[value.strip()] = Role(role.strip())
        except ValueError:
            value = ""
        if not value.strip():
            names = ", ".join(Role)
            raise SettingsError(
                f"CARELANE_OIDC_ROLES: {part!r} is not VALUE=ROLE with a role of {names}"
            )
    return found
