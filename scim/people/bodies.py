"""A source's body as the strict engine reads it: after its normalisers, and without unknown attributes if it may be."""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.db.models import F

from scim.models import DroppedAttribute
from scim.protocol.dropping import without_unknown
from scim.protocol.endings import states_ending
from scim.protocol.normalise import Form, normalise
from scim.protocol.user import USER

if TYPE_CHECKING:
    from scim.models import Source
    from scim.protocol.schema import Json, ResourceType

_MOST_NAMES = 100  # of a source; the rest are counted together
_REST = "(others)"


def read(source: Source, unverified_body: Json, form: Form, kind: ResourceType = USER, *, counts: bool = True) -> Json:
    """The body of a source, normalised; counts: whether what is dropped is counted."""
    body = normalise(unverified_body, source.normalisers, form, kind)
    if not source.drops_unknown:
        return body
    kept, dropped = without_unknown(body, form, kind)
    if kind is USER and states_ending(body) and not states_ending(kept):
        return body  # `active` in a spelling that is not understood: it is refused, which alarms the managers
    if dropped and counts:
        _count(source, dropped)
    return kept


def _count(source: Source, names: set[str]) -> None:
    rows = DroppedAttribute.objects.filter(source=source)
    for name in sorted(names):
        if rows.filter(name=name).update(count=F("count") + 1):
            continue
        shown = name if rows.count() < _MOST_NAMES else _REST
        row, is_new = DroppedAttribute.objects.get_or_create(source=source, name=shown)
        if not is_new:
            rows.filter(id=row.id).update(count=F("count") + 1)
