"""Access to clients: the questions, the operator's rules, and the people who decide on requests (EN-1, C16, P34).

Access requests themselves are in `scim.access.requests`. `may_enter` and `claims_for` read the database at every use: a
rule that no longer matches a person refuses at the next request, whether or not the stored access has ended yet. A role
counts only if its source is trusted for `roles` by name; a group counts because the operator named it (ruling 10).
"""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from django.db.models import F

from scim.access import roles
from scim.access.belonging import groups_of
from scim.models import Access, AccessRule, AccessState, Group, Person, RoleName
from scim.protocol import trust
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from django.db.models import QuerySet

    from scim.protocol.schema import Json

KINDS = ("everyone", "person", "group", "role", "attribute")
USUAL_DAYS, MOST_DAYS = 90, 365


# --- questions ---


def may_enter(person: Person, client_key: str, *, now: datetime) -> bool:
    """True if a person may enter a client now; a client without rules admits everybody."""
    rules = _rules(client_key)
    return not rules or bool(_held(person, rules, now=now))


def claims_for(person: Person, client_key: str, *, now: datetime) -> dict[str, list[str]]:
    """The access claims of a person for a client: only entitlements, groups and roles named by its own rules."""
    held = _held(person, _rules(client_key), now=now)
    groups = {rule.subject for rule in held if rule.kind == "group"}
    named = (
        Group.objects.filter(id__in=groups).order_by("display_name").values_list("display_name", flat=True)
        if groups
        else []
    )
    found = {
        "entitlements": sorted({rule.entitlement for rule in held if rule.entitlement}),
        "groups": list(named),
        "roles": sorted({rule.subject for rule in held if rule.kind == "role"}),
    }
    return {name: values for name, values in found.items() if values}


def matches(rule: AccessRule, person: Person, *, within: frozenset[str] | None = None) -> bool:
    """True if a rule matches a person now; within: the ids of their groups, if already known."""
    match rule.kind:
        case "everyone":
            return True
        case "person":
            return rule.subject == str(person.id)
        case "group":
            return rule.subject in (groups_of(person) if within is None else within)
        case "role":
            return rule.subject in _values(person.profile.get("roles"))
        case "attribute":
            name, _, wanted = rule.subject.partition("=")
            return fold(wanted) in {fold(one) for one in _values(_attribute(person, name))}
        case _:
            return False


@dataclass(frozen=True)
class RuleResult:
    """The result of a rule for a person, in words.

    asks: the rule's condition; found: the person's value and its source.
    """

    holds: bool
    asks: str
    found: str


def rule_result(rule: AccessRule, person: Person) -> RuleResult:
    """The result of a rule for a person, for approvers (EN-1)."""
    holds = rule.ended_at is None and matches(rule, person)
    name = rule.subject.partition("=")[0]
    match rule.kind:
        case "group":
            found = "a member" if holds else "not a member"
        case "role":
            found = f"{', '.join(_values(person.profile.get('roles'))) or 'no role'}{_said_by(person, 'roles')}"
        case "attribute":
            has = ", ".join(_values(_attribute(person, name))) or "is not known"
            found = f"{name.rpartition(':')[2]} {has}{_said_by(person, name)}"
        case _:
            found = ""
    return RuleResult(holds=holds, asks=in_words(rule), found=found)


def in_words(rule: AccessRule) -> str:
    """The people that a rule matches, in words."""
    name, _, wanted = rule.subject.partition("=")
    match rule.kind:
        case "group":
            group = Group.objects.filter(id=rule.subject).first()
            return f"members of {group.display_name if group else 'a group that is gone'}"
        case "role":
            return f"people in the role {rule.subject}"
        case "attribute":
            return f"people whose {name.rpartition(':')[2]} is {wanted}"
        case "person":
            return "one person, by name"
        case _:
            return "everybody"


def _said_by(person: Person, name: str) -> str:
    told = person.provenance.get(name, {})
    return f", as {told['source']} says" if isinstance(told, dict) and told.get("source") else ""


def _rules(client_key: str) -> list[AccessRule]:
    return list(AccessRule.objects.filter(client_key=client_key, ended_at__isnull=True).order_by("id"))


def _held(person: Person, rules: Sequence[AccessRule], *, now: datetime) -> list[AccessRule]:
    """The rules that give a person access now: they match, and any needed approval is current."""
    if not rules:
        return []
    within = groups_of(person) if any(rule.kind == "group" for rule in rules) else frozenset()
    matching = [rule for rule in rules if matches(rule, person, within=within)]
    assigned: set[int] = set()
    if any(rule.by_request for rule in matching):
        assigned = set(_assigned(person, now=now).values_list("rule_id", flat=True))
    return [rule for rule in matching if not rule.by_request or rule.id in assigned]


def _assigned(person: Person, *, now: datetime) -> QuerySet[Access]:
    return Access.objects.filter(
        person=person, state=AccessState.ASSIGNED, epoch=F("person__account__epoch"), expires_at__gt=now
    )


def _attribute(person: Person, full_name: str) -> Json:
    extension, _, name = full_name.rpartition(":")
    home = person.profile.get(extension, {}) if extension else person.profile
    return home.get(name) if isinstance(home, dict) else None


def _values(value: Json) -> list[str]:
    given = value if isinstance(value, list) else [value]
    return [str(one.get("value") if isinstance(one, dict) else one) for one in given if one not in (None, "")]


# --- the operator's rules ---


def add_rule(  # noqa: PLR0913 - the fields of a rule
    client_key: str,
    kind: str,
    subject: str = "",
    *,
    entitlement: str = "",
    by_request: bool = False,
    words: str = "",
    most_days: int = USUAL_DAYS,
    now: datetime,
) -> AccessRule:
    """Add a rule; a client with rules admits only people who match one.

    words: the description for people who may request access. most_days: the longest period of an approval.
    Raises: ValueError for a kind, a group, a person or an attribute that does not exist.
    """
    if kind == "attribute":
        name, equals, value = subject.partition("=")
        if not equals or not value:
            message = "an attribute rule is written name=value, as in department=IT"
            raise ValueError(message)
        subject = f"{next(iter(trust.full_names([name])))}={value}"
    elif (why := _unknown(kind, subject)) is not None:
        raise ValueError(why)
    if not 1 <= most_days <= MOST_DAYS:
        message = f"an approval lasts from 1 to {MOST_DAYS} days"
        raise ValueError(message)
    return AccessRule.objects.create(
        client_key=client_key,
        kind=kind,
        subject=subject,
        entitlement=entitlement,
        by_request=by_request,
        words=words.strip()[:200],
        most_days=most_days,
        created_at=now,
    )


def _unknown(kind: str, subject: str) -> str | None:
    if kind not in KINDS:
        return f"a rule is about one of {', '.join(KINDS)}"
    rows: dict[str, Any] = {"group": Group.objects.filter(deleted_at__isnull=True), "person": Person.objects}
    if kind in rows:
        try:
            known = rows[kind].filter(id=uuid.UUID(subject)).exists()
        except ValueError:
            known = False
        return None if known else f"there is no {kind} {subject}"
    return "a role rule names a role" if kind == "role" and not subject else None


# --- approvers ---


def decides_all(person: Person, *, now: datetime) -> bool:
    """True if a person is an identity manager now."""
    return roles.has(person, RoleName.MANAGER, now=now)


def owned_by(person: Person, *, now: datetime) -> list[tuple[str, str]]:
    """The clients, each with an entitlement or "" for all, on whose requests a person decides as an owner."""
    rows = roles.live(now=now).filter(person=person, role=RoleName.OWNER).order_by("id")
    return [roles.parts_of(scope) for scope in rows.values_list("scope", flat=True)]


def may_decide(person: Person, rule: AccessRule, *, now: datetime, about: Person | None = None) -> bool:
    """True if a person decides on requests under a rule; about: on one of this person."""
    scope = roles.scope_of(rule.client_key, rule.entitlement)
    return bool(roles.may(person, roles.Verb.APPROVE, about=about, scope=scope, now=now))
