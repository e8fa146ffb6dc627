"""Text columns for lookup, order and paging, on which both databases must agree."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from django.db import models

if TYPE_CHECKING:
    from django.db.backends.base.base import BaseDatabaseWrapper


_Parameters: TypeAlias = Any  # a TypedDict of django-stubs


class CodePoints(models.CharField):  # type: ignore[type-arg]
    """Text that is compared and ordered by its code points, on every database.

    SQLite does so by default; PostgreSQL would use its cluster's locale, so the column has collation "C". An index on
    it then also serves prefixes.
    """

    def db_parameters(self, connection: BaseDatabaseWrapper) -> _Parameters:
        """The column's type, with its collation on PostgreSQL."""
        found = super().db_parameters(connection)
        return {**found, "collation": "C"} if connection.vendor == "postgresql" else found
