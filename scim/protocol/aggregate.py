"""Merge sources into one profile: by authority, precedence and freshness, with provenance (ID-1, ID-2, ID-7); pure.

The unit is an attribute: the best trusted source for it supplies its whole value. The best source has the first
precedence; then the latest write; then the first name, so the order of arrival never matters. `active` differs: a
single trusted source that says false is enough, and likewise the status of the assurance extension. Nothing here grants
access: `roles` and `entitlements` are only source data (ruling 10).
Attributes with which an account could be taken over (login name, mail targets, IAL) come from adopted records only
(ruling 9): `guarded_attributes`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from scim.protocol import trust
from scim.protocol.assurance import DECEASED

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from scim.protocol.schema import Json, Resource

_MOST_IAL = 3


@dataclass(frozen=True, kw_only=True)
class SourceStatement:
    """The statements of a source about a person.

    source: its name. precedence: lower goes first. at: its last write. trusted_for: None for everything. returns:
    `active: true` that waits for a manager's approval (C29). adopted: whether it reaches the person at all: the record
    is adopted, and the source is enabled (ruling 27). vouched_ial: the highest IAL the source may state, and its
    meaning if the source states none. namespace: as in `models.Source`.
    """

    source: str
    precedence: int
    active: bool
    resource: Resource
    at: datetime
    trusted_for: Collection[str] | None = None
    returns: bool = False
    adopted: bool = True
    vouched_ial: int = 0
    namespace: str = ""

    def is_believed(self, name: str) -> bool:
        """True if this source is trusted for an attribute."""
        return self.trusted_for is None or name in self.trusted_for

    def believed(self) -> dict[str, Json]:
        """Its trusted attributes, without `active`, which is merged separately."""
        return {
            name: value
            for name, value in trust.assigned_attributes(self.resource).items()
            if name != trust.ACTIVE and self.is_believed(name)
        }

    @property
    def holds(self) -> bool:
        """True if its `active: true` counts."""
        return self.active and not self.returns


class SelectionReason(StrEnum):
    """The reason why a source's value was taken for an attribute, or not."""

    ONLY = "only"
    PRECEDENCE = "precedence"
    FRESHNESS = "freshness"
    NAME = "name"
    NOT_TRUSTED = "not trusted"
    NOT_ADOPTED = "not adopted"


@dataclass(frozen=True)
class Profile:
    """The merged facts about a person: attributes as in SCIM (an extension's under its URN), and their provenance.

    provenance: attribute name (`URN:name` in an extension) -> {"source", "since", "why"}; since: ISO 8601, when the
    value was first taken.
    """

    attributes: Resource
    provenance: dict[str, dict[str, str]]
    active: bool
    suspended: bool = False
    deceased: bool = False


def merge(said: Sequence[SourceStatement], before: Profile | None = None) -> Profile:
    """The profile from all statements; before: the last profile, whose `since` is kept for unchanged values.

    Statements that are not adopted reach nobody: this is the one place of that rule (ruling 27; for groups, the SQL of
    `scim.access.belonging`). Without any source that is trusted for `active`, the person is not active.
    """
    said = [one for one in said if one.adopted]
    attributes: Resource = {}
    provenance: dict[str, dict[str, str]] = {}
    for key, claims in _claims(said).items():
        best = claims[0]
        value = best.believed()[key]
        extension, _, name = key.rpartition(":")
        home = attributes.setdefault(extension, {}) if extension else attributes
        if isinstance(home, dict):
            home[name] = value
        provenance[key] = {"source": best.source, "since": _since(key, value, best, before), "why": _why(claims)}
    deciding = [one for one in said if one.is_believed(trust.ACTIVE)]
    deceased = any(states_deceased(one) for one in said)
    active = bool(deciding) and all(one.holds for one in deciding) and not deceased
    return Profile(attributes, provenance, active, any(states_suspended(one) for one in said), deceased)


def _claims(said: Sequence[SourceStatement]) -> dict[str, list[SourceStatement]]:
    """The trusted sources for each attribute, best first."""
    found: dict[str, list[SourceStatement]] = {}
    for one in _ranked(said):
        for name in one.believed():
            found.setdefault(name, []).append(one)
    return found


def _ranked(said: Iterable[SourceStatement]) -> list[SourceStatement]:
    return sorted(said, key=lambda one: (one.precedence, -one.at.timestamp(), one.source))


def _why(claims: Sequence[SourceStatement]) -> SelectionReason:
    if len(claims) == 1:
        return SelectionReason.ONLY
    best, next_best = claims[:2]
    if best.precedence != next_best.precedence:
        return SelectionReason.PRECEDENCE
    return SelectionReason.FRESHNESS if best.at != next_best.at else SelectionReason.NAME


def states_suspended(one: SourceStatement) -> bool:
    """True if a trusted source states a suspended account; an unknown status also suspends."""
    status = one.believed().get(trust.STATUS)
    return status is not None and str(status).lower() != "active"


def states_deceased(one: SourceStatement) -> bool:
    """True if a trusted source states that the person has died."""
    return str(one.believed().get(trust.STATUS, "")).lower() == DECEASED


def _since(key: str, value: Json, one: SourceStatement, before: Profile | None) -> str:
    if before is not None and key in before.provenance and before.provenance[key]["source"] == one.source:
        extension, _, name = key.rpartition(":")
        home: Json = before.attributes.get(extension) if extension else before.attributes
        if isinstance(home, dict) and home.get(name) == value:
            return before.provenance[key]["since"]
    return one.at.isoformat()


@dataclass(frozen=True, kw_only=True)
class ExplainedValue:
    """A source's value for an attribute, with whether it was taken and why."""

    source: str
    value: Json
    stands: bool
    why: SelectionReason


def explain(said: Sequence[SourceStatement]) -> dict[str, list[ExplainedValue]]:
    """All values of every attribute by source, `active` included, with the reasons of taking or not taking each."""
    found: dict[str, list[ExplainedValue]] = {}
    adopted = [one for one in said if one.adopted]
    ranks = _claims(adopted)
    for one in _ranked(said):
        for name, value in trust.assigned_attributes(one.resource).items():
            if not one.adopted:
                told = ExplainedValue(source=one.source, value=value, stands=False, why=SelectionReason.NOT_ADOPTED)
            elif not one.is_believed(name):
                told = ExplainedValue(source=one.source, value=value, stands=False, why=SelectionReason.NOT_TRUSTED)
            elif name == trust.ACTIVE:
                told = _explained_active(one, adopted)
            else:
                told = ExplainedValue(
                    source=one.source, value=value, stands=ranks[name][0] is one, why=_why(ranks[name])
                )
            found.setdefault(name, []).append(told)
    return {name: sorted(tolds, key=lambda told: not told.stands) for name, tolds in sorted(found.items())}


def _explained_active(one: SourceStatement, said: Sequence[SourceStatement]) -> ExplainedValue:
    deciding = [other for other in said if other.is_believed(trust.ACTIVE)]
    effective = all(other.holds for other in deciding)
    return ExplainedValue(
        source=one.source,
        value=one.holds,
        stands=one.holds == effective,
        why=SelectionReason.ONLY if len(deciding) == 1 else SelectionReason.PRECEDENCE,
    )


def updated_at(profile: Profile) -> str | None:
    """The newest time of all attributes (ID-7), ISO 8601; None for an empty profile."""
    return max((origin["since"] for origin in profile.provenance.values()), default=None)


@dataclass(frozen=True, kw_only=True)
class GuardedAttributes:
    """The attributes with which an account could be taken over, from adopted records only (ruling 9)."""

    user_name: str
    contact: Resource
    ial: int


def guarded_attributes(said: Sequence[SourceStatement]) -> GuardedAttributes:
    """The login name, the mail targets and the IAL from the adopted records."""
    adopted = _ranked(one for one in said if one.adopted)
    names = [login_name(one.believed()["userName"], one.namespace) for one in adopted if "userName" in one.believed()]
    emails = [one.believed()["emails"] for one in adopted if "emails" in one.believed()]
    vouching = [one for one in adopted if one.vouched_ial]
    return GuardedAttributes(
        user_name=names[0] if names else "",
        contact={"emails": emails[0]} if emails else {},
        ial=_ial(vouching[0]) if vouching else 0,
    )


def login_name(user_name: Json, namespace: str) -> str:
    """The login name for a source's user name: with the namespace that an operator gave the source, if any."""
    return f"{namespace}/{user_name}" if namespace else str(user_name)


def _ial(one: SourceStatement) -> int:
    """The IAL that a source vouches for: its statement, capped by its limit; the limit if it states none.

    A source may always state less, even if it is not trusted for the attribute.
    """
    level = trust.assigned_attributes(one.resource).get(trust.IAL)
    if not isinstance(level, int) or isinstance(level, bool):
        return one.vouched_ial
    return max(0, min(level, one.vouched_ial, _MOST_IAL))


def addresses(attributes: Mapping[str, Json]) -> list[str]:
    """Every e-mail address of a profile once, the primary first; for notices."""
    emails = _emails(attributes)
    ordered = sorted(emails, key=lambda email: email.get("primary") is not True)
    return list(dict.fromkeys(str(email["value"]) for email in ordered))


def invitation_address(attributes: Mapping[str, Json]) -> str | None:
    """The address of an invitation: the primary work address, else the primary, else a work one, else the first."""

    def rank(email: Resource) -> tuple[bool, bool]:
        return (email.get("primary") is not True, str(email.get("type", "")).lower() != "work")

    best = min(_emails(attributes), key=rank, default=None)
    return None if best is None else str(best["value"])


def _emails(attributes: Mapping[str, Json]) -> list[Resource]:
    found = attributes.get("emails")
    emails = found if isinstance(found, list) else []
    return [email for email in emails if isinstance(email, dict) and isinstance(email.get("value"), str)]


def display_name(attributes: Mapping[str, Json]) -> str:
    """The display name, also compared to detect a change of name; empty if no source has any."""
    name = attributes.get("name")
    parts: Resource = name if isinstance(name, dict) else {}
    joined = " ".join(str(parts[part]) for part in ("givenName", "middleName", "familyName") if parts.get(part))
    return str(attributes.get("displayName") or parts.get("formatted") or joined or "")
