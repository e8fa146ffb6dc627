"""Entity tags in the headers of a request (RFC 9110 §13.1, RFC 7644 §3.14); pure."""

from __future__ import annotations

from scim.errors import precondition_failed


def names(unverified_header: str | None, etag: str) -> bool:
    """True if an If-Match or If-None-Match header names this version; compared weakly, because all tags are weak."""
    tags = [tag.strip() for tag in (unverified_header or "").split(",")]
    return "*" in tags or any(tag.removeprefix("W/") == etag.removeprefix("W/") for tag in tags if tag)


def check(if_match: str | None, etag: str) -> None:
    """Refuse a change of another version than the client's.

    Raises: ScimError 412.
    """
    if if_match and not names(if_match, etag):
        raise precondition_failed("The resource has another version.")
