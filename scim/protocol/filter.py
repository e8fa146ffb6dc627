"""The only module that uses scim2-filter-parser: text -> tree, or ScimError (RFC 7644 §3.4.2.2 and §3.5.2).

Its grammar is used; its lexer, its SQL and its Q are not: they drop unknown names (29 % of valid random filters become
"no WHERE"), give `and` and `or` the same precedence, and lose the types of literals. The steps here: own tokens -> its
grammar -> precedence restored -> every name looked up in the schema, every literal checked -> `tree`. Unknown names are
refused before any row is read. A parser is created per call, because a shared one is not thread-safe.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from scim2_filter_parser import ast
from scim2_filter_parser.parser import SCIMParser, SCIMParserError

from scim.errors import ScimError, invalid_filter, invalid_path
from scim.protocol.schema import Attribute, AttributePath, Returned, Type
from scim.protocol.tokens import FilterToken, TypedLiteral, tokens
from scim.protocol.tree import And, Compare, Not, Operand, Or, Present, Tree, Within, comparable, instant
from scim.protocol.values import boolean

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from scim.protocol.schema import ResourceType

_Node: TypeAlias = Any  # the engine's classes are untyped

LONGEST_PATH = 512
MOST_COMPARISONS = 50
_LONGEST_SHOWN = 120
_ORDER = frozenset({"gt", "ge", "lt", "le"})
_TEXT_ONLY = frozenset({"co", "sw", "ew"})


@dataclass(frozen=True)
class PatchPath:
    """The path of a PATCH operation: its attribute, and which elements of it."""

    target: AttributePath
    only: Tree | None = None


def parse_filter(text: str, kind: ResourceType) -> Tree:
    """The tree of a filter over a resource type.

    Raises: ScimError invalidFilter for bad grammar, unknown names, impossible comparisons, or exceeded limits.
    """
    return _parse(tokens(text), _Reader(kind))


def parse_path(text: str, kind: ResourceType) -> PatchPath:
    """The target of a PATCH path: `attr`, `attr.sub`, `attr[filter]` or `attr[filter].sub`, or a whole extension.

    Raises: ScimError invalidPath, or invalidFilter for a fault between the brackets.
    """
    if len(text) > LONGEST_PATH:
        raise invalid_path(f"The path is longer than {LONGEST_PATH} characters.")
    extension = kind.extension(text)
    if extension is not None:
        return PatchPath(AttributePath(extension.urn, None))
    try:
        found = tokens(text)
    except ScimError as error:
        raise invalid_path(error.detail) from None
    return _path(found, kind)


def _path(found: list[FilterToken], kind: ResourceType) -> PatchPath:
    rest = list(found)
    urn = _text(rest.pop(0)) if rest and rest[0].type == "SCHEMA_URI" else None
    name = _text(rest.pop(0)) if rest and rest[0].type == "ATTRNAME" else None
    sub = _text(rest.pop()) if rest and rest[-1].type == "SUBATTR" else None
    located = kind.locate(name, urn=urn, sub=sub) if name is not None else None
    if located is None:
        named = ".".join(filter(None, (name, sub)))[:_LONGEST_SHOWN]
        raise invalid_path(f"The path names no attribute of this resource type: {named or 'it begins with no name'}.")
    if not rest:
        return PatchPath(located)
    attribute = located.attribute
    if rest[0].type != "LBRACKET" or rest[-1].type != "RBRACKET" or attribute is None:
        raise invalid_path("The path is not well formed.")
    if not attribute.multi_valued or attribute.type != Type.COMPLEX:
        raise invalid_path(f"{attribute.name} has no elements to select from.")
    return PatchPath(located, _parse(rest[1:-1], _Reader(kind, inside=attribute)))


def _text(token: FilterToken) -> str:
    return token.value if isinstance(token.value, str) else ""


def _parse(found: Iterable[FilterToken], reader: _Reader) -> Tree:
    try:
        parsed = SCIMParser().parse(iter(found))
        if parsed is None:
            raise invalid_filter("The filter is empty or not complete.")
        return reader.tree(parsed)
    except (SCIMParserError, AttributeError):
        # AttributeError: its only known crash, on nested value paths. Its messages quote tokens, so they are not passed
        # on.
        raise invalid_filter("The filter is not well formed.") from None
    except RecursionError:
        raise invalid_filter("The filter is nested too deep.") from None


class _Reader:
    """Convert the engine's tree; inside: the attribute whose elements a value path filters."""

    def __init__(
        self, kind: ResourceType, *, inside: Attribute | None = None, counted: list[int] | None = None
    ) -> None:
        self._kind = kind
        self._inside = inside
        self._counted = counted if counted is not None else [0]

    def tree(self, node: _Node) -> Tree:
        """The tree of an engine's node."""
        if isinstance(node, ast.AttrExpr):
            return self._attribute_expression(node)
        if node.negated:
            return Not(self.tree(node.expr))
        if node.namespace is not None:
            return self._value_path(node)
        if isinstance(node.expr, ast.LogExpr):
            return self._regrouped(node)
        return self.tree(node.expr)

    def _regrouped(self, node: _Node) -> Tree:
        """Restore the precedence of `and` over `or`: the engine's flat chain is cut at every `or`.

        Parentheses appear in its tree as one more Filter level, so the chain ends at them.
        """
        operands, operators = _chain(node)
        groups = [[self.tree(operands[0])]]
        for operator, operand in zip(operators, operands[1:], strict=True):
            if operator == "or":
                groups.append([])
            groups[-1].append(self.tree(operand))
        terms = tuple(And(tuple(group)) if len(group) > 1 else group[0] for group in groups)
        return Or(terms) if len(terms) > 1 else terms[0]

    def _value_path(self, node: _Node) -> Tree:
        target, reader = self._elements(node.namespace)
        return Within(target, reader.tree(node.expr))

    def _elements(self, namespace: _Node) -> tuple[AttributePath, _Reader]:
        if self._inside is not None or not isinstance(namespace.attr_name, str):
            raise invalid_filter("A value path is inside another.")
        target = self.located(namespace.attr_name, namespace.uri, None)
        attribute = target.attribute
        if attribute is None or not attribute.multi_valued or attribute.type != Type.COMPLEX:
            raise invalid_filter(f"{target.name} has no elements to select from.")
        return target, _Reader(self._kind, inside=attribute, counted=self._counted)

    def _attribute_expression(self, node: _Node) -> Tree:
        path = node.attr_path
        if not isinstance(path.attr_name, ast.AST):
            target = self.located(path.attr_name, path.uri, path.sub_attr.value if path.sub_attr else None)
            return self.comparison(target, node)
        # `emails[type eq "work"].value eq "x"` (Entra): a single element satisfies both.
        inner = path.attr_name
        if inner.namespace is None or inner.namespace.sub_attr is None:
            raise invalid_filter("A value path cannot be compared; one of its sub-attributes can.")
        target, reader = self._elements(inner.namespace)
        compared = reader.comparison(reader.located(inner.namespace.sub_attr.value, None, None), node)
        return Within(target, And((reader.tree(inner.expr), compared)))

    def located(self, name: str, urn: str | None, sub: str | None) -> AttributePath:
        if self._inside is None:
            found = self._kind.locate(name, urn=urn, sub=sub)
        else:
            attribute = self._inside.sub(name)
            found = AttributePath(None, attribute) if attribute is not None and urn is None and sub is None else None
        if found is None or found.last is None or found.last.returned == Returned.NEVER:
            raise invalid_filter("The filter names an attribute that does not exist.")
        return found

    def comparison(self, target: AttributePath, node: _Node) -> Tree:
        self._counted[0] += 1
        if self._counted[0] > MOST_COMPARISONS:
            raise invalid_filter(f"The filter has more than {MOST_COMPARISONS} comparisons.")
        operator: str = node.value
        if operator == "pr":
            return Present(target)
        literal = node.comp_value.value
        if not isinstance(literal, TypedLiteral):
            raise invalid_filter("The filter compares with a value that is not a literal.")
        target = _simple(target)
        return Compare(target, operator, _operand(target, operator, literal), literal.value)


def _chain(node: _Node) -> tuple[list[_Node], list[str]]:
    """The operands and operators of a chain of `and` and `or` without parentheses, from left to right."""
    plain = isinstance(node, ast.Filter) and not node.negated and node.namespace is None
    if plain and isinstance(node.expr, ast.LogExpr):
        left, left_operators = _chain(node.expr.expr1)
        right, right_operators = _chain(node.expr.expr2)
        return left + right, [*left_operators, node.expr.op, *right_operators]
    return [node], []


def _simple(target: AttributePath) -> AttributePath:
    """The compared attribute: for a complex attribute its `value`, if it has one (RFC 7644 §3.4.2.2, `emails co`)."""
    attribute = target.last
    if attribute is None or attribute.type != Type.COMPLEX:
        return target
    value = attribute.sub("value")
    if target.sub is not None or value is None:
        raise invalid_filter(f"{target.name} is complex; compare one of its sub-attributes.")
    return AttributePath(target.extension, target.attribute, value)


def _operand(target: AttributePath, operator: str, literal: TypedLiteral) -> Operand:
    """The literal in the compared form of its attribute.

    Raises: ScimError invalidFilter for an impossible comparison.
    """
    attribute = target.last
    value = literal.value
    if value is None and operator in {"eq", "ne"}:
        return None
    if attribute is None or value is None:
        raise invalid_filter(f"{target.name} cannot be compared so.")
    convert: Callable[[AttributePath, str, TypedLiteral], Operand] = {
        Type.BOOLEAN: _boolean,
        Type.INTEGER: _number,
        Type.DECIMAL: _number,
        Type.DATETIME: _moment,
    }.get(attribute.type, _string)
    return convert(target, operator, literal)


def _boolean(target: AttributePath, operator: str, literal: TypedLiteral) -> Operand:
    if operator not in {"eq", "ne"}:
        raise invalid_filter(f"{target.name} is a boolean: it has no order and no parts.")
    try:
        return boolean(literal.value, where=target.name)
    except ScimError as error:
        raise invalid_filter(error.detail) from None


def _number(target: AttributePath, operator: str, literal: TypedLiteral) -> Operand:
    if operator in _TEXT_ONLY or isinstance(literal.value, bool | str):
        raise invalid_filter(f"{target.name} is a number.")
    return literal.value


def _moment(target: AttributePath, operator: str, literal: TypedLiteral) -> Operand:
    found = instant(literal.value) if isinstance(literal.value, str) else None
    if operator in _TEXT_ONLY or found is None:
        raise invalid_filter(f"{target.name} is compared with a dateTime.")
    return found


def _string(target: AttributePath, operator: str, literal: TypedLiteral) -> Operand:
    attribute = target.last
    if not isinstance(literal.value, str) or attribute is None:
        raise invalid_filter(f"{target.name} is compared with a string.")
    if attribute.type == Type.BINARY and operator in _ORDER:
        raise invalid_filter(f"{target.name} is binary: it has no order.")
    return comparable(attribute, literal.value) if literal.value else ""
