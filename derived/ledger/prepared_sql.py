"""SQL compiled once from a queryset, cached per database vendor, then only bound and executed.

Compiling a joined SELECT costs ten times its execution (performance.md). Results are model instances with the selected
columns; any other column is read on access, as after `only()`, and tests that count statements notice it. Only text is
cached, never rows.
"""

from __future__ import annotations

from operator import itemgetter
from typing import TYPE_CHECKING, Any, Generic, TypeAlias, TypeVar

from django.db import connection
from django.db.backends.sqlite3.base import SQLiteCursorWrapper
from django.db.models import AutoField, Expression, Field, Model
from django.db.models.base import ModelState

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from django.db.backends.base.base import BaseDatabaseWrapper
    from django.db.backends.utils import CursorWrapper
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


def statement_cursor() -> CursorWrapper:
    """A cursor for repeated text: PostgreSQL receives the values apart from it, and plans once per connection.

    Django's own cursor interpolates the values, so the server parses and plans each statement anew. Django's handling
    around a statement (errors, execute wrappers) still applies. SQLite's driver caches statements itself; the text is
    rewritten for it once (Django's own cursor does that for each execution, which costs as much as the execution).
    """
    if connection.vendor != "postgresql":
        connection.ensure_connection()
        return connection.make_cursor(connection.connection.cursor(factory=_SqliteCursor))
    from psycopg import Cursor  # noqa: PLC0415 - only where it is the driver

    connection.ensure_connection()
    return connection.make_cursor(Cursor(connection.connection))  # type: ignore[arg-type]  # it wraps any cursor


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
    """A SELECT of at most one row of `M` with its joined rows.

    compose: the queryset, with `BoundValue` in place of values.
    """

    def __init__(self, compose: Callable[[], QuerySet[M]]) -> None:
        self._compose = compose
        self._plans: dict[str, _Plan] = {}

    def first(self, **given: object) -> M | None:
        """The row, or None."""
        plan = self.plan()
        with statement_cursor() as cursor:
            cursor.execute(plan.sql, plan.bound(given, connection))
            row = cursor.fetchone()
        return None if row is None else plan.made(row, connection)

    def plan(self) -> _Plan:
        """The compiled statement for this database."""
        found = self._plans.get(connection.vendor)
        if found is None:
            found = self._plans[connection.vendor] = _Plan(self._compose(), connection)
        return found


class _Plan:
    """The text of a SELECT, the positions of its values, and the conversion of a row to instances."""

    def __init__(self, queryset: QuerySet[Any], database: BaseDatabaseWrapper) -> None:
        compiler = queryset.query.get_compiler(connection=database)
        self.sql, self._parameters = compiler.as_sql()
        if compiler.klass_info is None:
            message = "only rows of a model can be prepared"
            raise TypeError(message)
        self._converters = [
            (place, convert, expression)
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


class _Node:
    """A model of a joined SELECT: its columns in the row, and its relation to the model before it."""

    def __init__(self, info: dict[str, Any], select: Sequence[Any]) -> None:
        self._model: type[Model] = info["model"]
        places = info["select_fields"]
        self._names = [select[place][0].target.attname for place in places]
        self._pick = itemgetter(*places) if len(places) > 1 else lambda row, only=places[0]: (row[only],)
        self.key = places[self._names.index(field_of(self._model).attname)]
        self.local, self.remote = info.get("local_setter"), info.get("remote_setter")
        self._nested = [_Node(one, select) for one in info.get("related_klass_infos", ())]

    def made(self, row: Sequence[Any], alias: str) -> Model:
        """The instance with its joined instances, made without `__init__`, which would need every column."""
        instance = self._model.__new__(self._model)
        instance.__dict__.update(zip(self._names, self._pick(row), strict=True))
        state = ModelState()
        state.db, state.adding = alias, False
        instance._state = state  # noqa: SLF001
        for node in self._nested:
            related = None if row[node.key] is None else node.made(row, alias)
            if node.local is not None:
                node.local(instance, related)
            if related is not None and node.remote is not None:
                node.remote(related, instance)
        return instance


_inserts: dict[tuple[str, type[Model]], tuple[str, list[Field[Any, Any]]]] = {}


def _insert(model: type[Model]) -> tuple[str, list[Field[Any, Any]]]:
    """The INSERT of one row of a model, and the fields that it binds."""
    found = _inserts.get((connection.vendor, model))
    if found is None:
        fields = [field for field in options(model).concrete_fields if not isinstance(field, AutoField)]
        names = ", ".join(connection.ops.quote_name(str(field.column)) for field in fields)
        places = ", ".join(["%s"] * len(fields))
        text = f"INSERT INTO {table_of(model)} ({names}) VALUES ({places})"  # noqa: S608 - names of the models
        found = _inserts[connection.vendor, model] = (text, fields)
    return found


def insert_rows(*rows: Model) -> None:
    """Insert rows of any models, in this order: one statement on PostgreSQL, otherwise one for each.

    Keys made by the database are not read back.
    """
    texts, values = [], []
    for row in rows:
        text, fields = _insert(type(row))
        texts.append(text)
        values.append([field.get_db_prep_save(getattr(row, field.attname), connection) for field in fields])
    with statement_cursor() as cursor:
        if connection.vendor == "postgresql":
            earlier = ", ".join(f"w{number} AS ({text})" for number, text in enumerate(texts[:-1]))
            cursor.execute(
                f"WITH {earlier} {texts[-1]}" if earlier else texts[-1], [one for some in values for one in some]
            )
        else:
            for text, some in zip(texts, values, strict=True):
                cursor.execute(text, some)
    for row in rows:
        row._state.adding, row._state.db = False, connection.alias  # noqa: SLF001
