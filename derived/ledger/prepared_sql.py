"""SQL compiled once from a queryset, cached per database vendor, then only bound and executed.

Compiling a joined SELECT costs ten times its execution (performance.md). Results are model instances with the selected
columns; any other column is read on access, as after `only()`, and tests that count statements notice it. Only text is
cached, never rows.
"""

from __future__ import annotations

import re
import threading
from datetime import UTC, datetime
from functools import lru_cache
from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar
from uuid import UUID

from django.db import DEFAULT_DB_ALIAS, connection, connections
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.db.backends.sqlite3.operations import DatabaseOperations
from django.db.backends.utils import CursorWrapper
from django.db.models import AutoField, BooleanField, CharField, Expression, Field, ForeignKey, Model, TextField
from django.db.models.base import ModelState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.models import QuerySet
    from django.db.models.options import Options

M = TypeVar("M", bound=Model)
_DriverValue: TypeAlias = Any
_Instance: TypeAlias = Any  # of the root's model


_MOST_TEXTS = 512
_rewritten: dict[str, str] = {}


class _SqliteCursor(SQLiteCursorWrapper):
    """Django's cursor of SQLite, which keeps each rewritten text."""

    def convert_query(self, query: str, *, param_names: list[str] | None = None) -> str:
        """The text with SQLite's placeholders."""
        found = _rewritten.get(query) if param_names is None else None
        if found is None:
            found = str(super().convert_query(query, param_names=param_names))
            if param_names is None and len(_rewritten) < _MOST_TEXTS:
                _rewritten[query] = found
        return found


def options(model: type[Model]) -> Options[Any]:
    """Django's documented metadata of a model: its table, its fields, its primary key."""
    return model._meta  # noqa: SLF001


def table_of(model: type[Model]) -> str:
    """The quoted name of a model's table, for hand-written SQL (SQLite and PostgreSQL quote alike)."""
    return f'"{options(model).db_table}"'


def field_of(model: type[Model], name: str = "pk") -> Field[Any, Any]:
    """A concrete field of a model; by default its primary key."""
    found = options(model).pk if name == "pk" else options(model).get_field(name)
    if not isinstance(found, Field):
        raise TypeError(name)
    return found


def database() -> BaseDatabaseWrapper:
    """The connection of the present thread, which each use of Django's `connection` looks up anew."""
    return connections[DEFAULT_DB_ALIAS]


class _KeptCursor(CursorWrapper):
    """A cursor that is used for one statement after another, and ends with its connection."""

    def __exit__(self, *_: object) -> None:
        """Stay open."""


_kept = threading.local()


def statement_cursor() -> CursorWrapper:
    """A cursor for repeated text: PostgreSQL receives the values apart from it, and plans once per connection.

    Fetch what a statement returns before the next one begins: on PostgreSQL each connection has one such cursor.
    Django's own cursor interpolates the values, so the server parses and plans each statement anew. Django's handling
    around a statement (errors, execute wrappers) still applies. SQLite's driver caches statements itself; the text is
    rewritten for it once (Django's own cursor does that for each execution, which costs as much as the execution).
    """
    here = database()
    here.close_if_health_check_failed()
    here.ensure_connection()
    if here.vendor != "postgresql":
        return here.make_cursor(here.connection.cursor(factory=_SqliteCursor))
    found: _KeptCursor | None = getattr(_kept, "cursor", None)
    if found is None or found.connection is not here.connection:
        from psycopg import Cursor  # noqa: PLC0415 - only where it is the driver

        found = _kept.cursor = _KeptCursor(Cursor(here.connection), here)
    return found


class BoundValue(Expression):
    """A placeholder for a value that is bound at execution, for use in a filter or an annotation.

    like: the column that the value is compared with, whose field converts it for the database.
    """

    def __init__(self, name: str, like: Field[Any, Any]) -> None:
        super().__init__(output_field=like)
        self.name = name

    def as_sql(self, _compiler: object, _connection: object) -> tuple[str, list[BoundValue]]:  # type: ignore[override]  # not a value yet
        """The placeholder, with this object as its parameter, which `bound` later replaces."""
        return "%s", [self]

    def bound(self, given: Mapping[str, object], database: BaseDatabaseWrapper) -> _DriverValue:
        """The value, converted for this database."""
        return self.output_field.get_db_prep_value(given[self.name], database, prepared=False)


def columns(prefix: str, *names: str) -> list[str]:
    """Names for `only()` of columns behind a relation."""
    return [f"{prefix}__{name}" for name in names]


class PreparedSelect(Generic[M]):
    """A SELECT of rows of `M` with their joined rows.

    compose: the queryset, with `BoundValue` in place of values.
    """

    def __init__(self, compose: Callable[[], QuerySet[M]]) -> None:
        self._compose = compose
        self._plans: dict[str, _Plan] = {}

    def first(self, **given: object) -> M | None:
        """The row, or None."""
        plan, here = self.plan(), database()
        with statement_cursor() as cursor:
            cursor.execute(plan.sql, plan.bound(given, here))
            row = cursor.fetchone()
        return None if row is None else plan.made(row, here)

    def all(self, **given: object) -> list[M]:
        """The rows, in the order of the queryset."""
        plan, here = self.plan(), database()
        with statement_cursor() as cursor:
            cursor.execute(plan.sql, plan.bound(given, here))
            rows = cursor.fetchall()
        return [plan.made(row, here) for row in rows]

    def plan(self) -> _Plan:
        """The compiled statement for this database."""
        found = self._plans.get(connection.vendor)
        if found is None:
            found = self._plans[connection.vendor] = _Plan(self._compose(), connection)
        return found


def _aware(value: datetime | None, _expression: object, _database: object) -> datetime | None:
    return value if value is None else value.replace(tzinfo=UTC)


@lru_cache(maxsize=4096)  # a joined row has the same few ids several times
def _uuid(text: str | None) -> UUID | None:
    return None if text is None else UUID(text)


# Shorter forms of SQLite's conversions: the settings, which they ask for each value, say that all times are UTC.
_SQLITE: dict[object, Callable[[Any, object, object], object]] = {
    DatabaseOperations.convert_datetimefield_value: _aware,
    DatabaseOperations.convert_uuidfield_value: lambda value, _expression, _database: _uuid(value),
}


class _Plan:
    """The text of a SELECT, the positions of its values, and the conversion of a row to instances."""

    def __init__(self, queryset: QuerySet[Any], database: BaseDatabaseWrapper) -> None:
        compiler = queryset.query.get_compiler(connection=database)
        self.sql, self._parameters = _with_literals(*compiler.as_sql())
        if compiler.klass_info is None:
            message = "only rows of a model can be prepared"
            raise TypeError(message)
        self._converters = [
            (place, _SQLITE.get(getattr(convert, "__func__", None), convert), expression)
            for place, (converters, expression) in compiler.get_converters(
                [one for one, _, _ in compiler.select]
            ).items()
            for convert in converters
        ]
        self._root = _Node(compiler.klass_info, compiler.select)
        self._annotations: list[tuple[str, int]] = list((compiler.annotation_col_map or {}).items())

    def bound(self, given: dict[str, object], database: BaseDatabaseWrapper) -> list[Any]:
        """The parameters, with the given values in their places."""
        return [one.bound(given, database) if isinstance(one, BoundValue) else one for one in self._parameters]

    def made(self, row: Sequence[Any], database: BaseDatabaseWrapper) -> _Instance:
        """Instances from a row."""
        values = list(row)
        for place, convert, expression in self._converters:
            values[place] = convert(values[place], expression, database)
        instance = self._root.made(values, database.alias)
        for name, place in self._annotations:
            instance.__dict__[name] = values[place]
        return instance


_LITERAL = re.compile(r"[A-Za-z0-9_-]*")


def _with_literals(sql: str, parameters: Sequence[Any]) -> tuple[str, list[Any]]:
    """The statement with its constant texts written into it, and the values that remain to be bound.

    SQLite plans a statement anew at every execution while the use of a partial index depends on a bound value.
    """
    parts, remaining = sql.split("%s"), list[Any]()
    text = parts[0]
    for value, part in zip(parameters, parts[1:], strict=True):
        is_constant = isinstance(value, str) and _LITERAL.fullmatch(value)
        if not is_constant:
            remaining.append(value)
        text += (f"'{value}'" if is_constant else "%s") + part
    return text, remaining


class _Node:
    """A model of a joined SELECT: its columns in the row, and its relation to the model before it."""

    def __init__(self, info: dict[str, Any], select: Sequence[Any]) -> None:
        self._model: type[Model] = info["model"]
        places = info["select_fields"]
        self._names = [select[place][0].target.attname for place in places]
        self._pick = itemgetter(*places) if len(places) > 1 else lambda row, only=places[0]: (row[only],)
        self.key = places[self._names.index(field_of(self._model).attname)]
        relation = info["local_setter"].__self__ if "local_setter" in info else None
        self.name = relation.cache_name if relation is not None else ""  # where Django finds a joined instance again
        is_mutual = relation is not None and (info["reverse"] or info["field"].unique)
        self.remote = info["remote_setter"] if is_mutual else None
        self._nested = [_Node(one, select) for one in info.get("related_klass_infos", ())]

    def made(self, row: Sequence[Any], alias: str) -> Model:
        """The instance with its joined instances, made without `__init__`, which would need every column."""
        instance = self._model.__new__(self._model)
        values = instance.__dict__
        values.update(zip(self._names, self._pick(row), strict=True))
        state = values["_state"] = ModelState()
        state.db, state.adding = alias, False
        if self._nested:
            joined = state.fields_cache = {}
            for node in self._nested:
                related = joined[node.name] = None if row[node.key] is None else node.made(row, alias)
                if related is not None and node.remote is not None:
                    node.remote(related, instance)
        return instance


_AS_IT_IS: dict[type[Field[Any, Any]], type] = {CharField: str, TextField: str, BooleanField: bool}


class _Column:
    """A column that an INSERT binds."""

    def __init__(self, field: Field[Any, Any]) -> None:
        self.name, self.attname = str(field.column), field.attname
        while isinstance(field, ForeignKey):
            field = field.target_field
        self._field, self._as_it_is = field, _AS_IT_IS.get(type(field))

    def bound(self, row: Model, here: BaseDatabaseWrapper) -> _DriverValue:
        """A row's value, converted for this database; not converted where the field would change nothing."""
        value = getattr(row, self.attname)
        is_driver_value = value is None or type(value) is self._as_it_is
        return value if is_driver_value else self._field.get_db_prep_save(value, here)


_inserts: dict[tuple[str, type[Model]], tuple[str, list[_Column]]] = {}


def _insert(model: type[Model], here: BaseDatabaseWrapper) -> tuple[str, list[_Column]]:
    """The INSERT of one row of a model, and the columns that it binds."""
    found = _inserts.get((here.vendor, model))
    if found is None:
        bound = [_Column(field) for field in options(model).concrete_fields if not isinstance(field, AutoField)]
        names = ", ".join(here.ops.quote_name(column.name) for column in bound)
        places = ", ".join(["%s"] * len(bound))
        text = f"INSERT INTO {table_of(model)} ({names}) VALUES ({places})"  # noqa: S608 - names of the models
        found = _inserts[here.vendor, model] = (text, bound)
    return found


def insert_rows(*rows: Model) -> None:
    """Insert rows of any models, in this order: one statement on PostgreSQL, otherwise one for each.

    Keys made by the database are not read back.
    """
    here, texts, values = database(), [], []
    for row in rows:
        text, bound = _insert(type(row), here)
        texts.append(text)
        values.append([column.bound(row, here) for column in bound])
    with statement_cursor() as cursor:
        if here.vendor == "postgresql":
            earlier = ", ".join(f"w{number} AS ({text})" for number, text in enumerate(texts[:-1]))
            cursor.execute(
                f"WITH {earlier} {texts[-1]}" if earlier else texts[-1], [one for some in values for one in some]
            )
        else:
            for text, some in zip(texts, values, strict=True):
                cursor.execute(text, some)
    for row in rows:
        row._state.adding, row._state.db = False, here.alias  # noqa: SLF001
