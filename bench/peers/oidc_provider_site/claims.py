"""What it says of a person, by its documented setting."""

from __future__ import annotations

from typing import Any


def userinfo(claims: dict[str, Any], user: Any) -> dict[str, Any]:  # noqa: ANN401
    """Name and address."""
    claims["name"], claims["given_name"], claims["family_name"], claims["email"] = (
        user.get_full_name(),
        user.first_name,
        user.last_name,
        user.email,
    )
    return claims
