"""Columns for text that is looked up, sorted and paged by: both databases must agree about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


class CodePoints(models.CharField):  # type: ignore[type-arg]
    """Text that is compared and ordered by its code points, on every database.

    SQLite does so by itself; PostgreSQL would use the locale that its cluster was made with, so the column says "C".
    An index on it then serves prefixes too.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> Any:  # noqa: ANN401 - Django's TypedDict is its own
        """The column's type, and its collation where there is a choice."""
        found = super().db_parameters(connection)
        return {**found, "collation": "C"} if connection.vendor == "postgresql" else found
