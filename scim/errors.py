"""SCIM error responses (RFC 7644 §3.12)."""

from __future__ import annotations

from typing import Any

URN = "urn:ietf:params:scim:api:messages:2.0:Error"


class ScimError(Exception):
    """A refusal as SCIM describes it: an HTTP status, a `scimType` of Table 9 if any fits, and a sentence.

    detail: for the client's developer; holds names of attributes, never values.
    """

    def __init__(self, status: int, scim_type: str | None, detail: str) -> None:
        super().__init__(detail)
        self.status = status
        self.scim_type = scim_type
        self.detail = detail

    def body(self) -> dict[str, Any]:
        """The JSON of the error; `status` is a string (RFC 7644 §3.12)."""
        body: dict[str, Any] = {"schemas": [URN], "status": str(self.status), "detail": self.detail}
        if self.scim_type is not None:
            body["scimType"] = self.scim_type
        return body


def invalid_syntax(detail: str) -> ScimError:
    """The message violates SCIM's grammar or the schema."""
    return ScimError(400, "invalidSyntax", detail)


def invalid_value(detail: str) -> ScimError:
    """A value does not fit its attribute, or a required value is missing."""
    return ScimError(400, "invalidValue", detail)


def invalid_path(detail: str) -> ScimError:
    """The path of a PATCH operation is malformed, or names a missing attribute."""
    return ScimError(400, "invalidPath", detail)


def invalid_filter(detail: str) -> ScimError:
    """The filter is malformed, too large, or has an impossible comparison."""
    return ScimError(400, "invalidFilter", detail)


def no_target(detail: str) -> ScimError:
    """The path selects nothing."""
    return ScimError(400, "noTarget", detail)


def mutability(detail: str) -> ScimError:
    """The attribute does not permit this change."""
    return ScimError(400, "mutability", detail)


def uniqueness(detail: str) -> ScimError:
    """The value is in use."""
    return ScimError(409, "uniqueness", detail)


def not_found() -> ScimError:
    """No such resource exists, or it is not the caller's (both look the same: C27)."""
    return ScimError(404, None, "There is no such resource.")


def precondition_failed(detail: str) -> ScimError:
    """The resource's version is not the client's (RFC 7644 §3.14)."""
    return ScimError(412, None, detail)
