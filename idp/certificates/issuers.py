"""Issuers' certificates by authorityInfoAccess (RFC 5280 §4.2.2.1), from hosts that an operator listed.

Fetched certificates are not trusted: they are material for paths, like those that a client sends.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from idp.certificates import store
from idp.certificates.configuration import ders_of_file
from idp.certificates.reading import Unreadable, authority
from idp.certificates.store import StatusRequest

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from asn1crypto.x509 import Certificate

    from idp.certificates.configuration import Folder

_MOST_ROUNDS = 4
_MOST_QUESTIONS = 6
_MOST_CERTIFICATES = 50  # of one answer: bridges publish long lists
_KEPT = timedelta(days=7)


def fetch_issuers(
    leaf: Certificate, known: Iterable[Certificate], here: Folder, deadline: store.FetchDeadline, *, now: datetime
) -> list[Certificate]:
    """The CA certificates found by following the URLs upwards from a leaf."""
    found: dict[bytes, Certificate] = {}
    asked: set[str] = set()
    edge = [leaf]
    everything = [*known, *here.anchors]
    for _ in range(_MOST_ROUNDS):
        questions = [
            StatusRequest(kind="issuer", url=url) for one in edge for url in _pointers(one) if url not in asked
        ]
        questions = questions[: _MOST_QUESTIONS - len(asked)]
        asked |= {one.url for one in questions}
        new = [one for one in _fetch(questions, here, deadline, now=now) if one.sha256 not in found]
        found |= {one.sha256: one for one in new}
        edge = _possible_issuers(edge, [*everything, *found.values()])
        if not edge:
            break
    return list(found.values())


def _possible_issuers(edge: list[Certificate], everything: list[Certificate]) -> list[Certificate]:
    """The possible issuers of these certificates, except self-signed ones."""
    names = {one.issuer.hashable for one in edge}
    below = {one.sha256 for one in edge}
    return [
        one
        for one in everything
        if one.subject.hashable in names and one.subject != one.issuer and one.sha256 not in below
    ][:_MOST_QUESTIONS]


def _pointers(one: Certificate) -> list[str]:
    access = one.authority_information_access_value or ()
    urls = [
        entry["access_location"].native
        for entry in access
        if entry["access_method"].native == "ca_issuers"
        and entry["access_location"].name == "uniform_resource_identifier"
    ]
    return [url for url in urls if url.startswith(("http://", "https://"))][:2]


def _fetch(
    questions: list[StatusRequest], here: Folder, deadline: store.FetchDeadline, *, now: datetime
) -> list[Certificate]:
    rows = store.stored_objects(questions, now=now)
    came = store.send_requests(
        [one for one in questions if store.is_due(one, rows, needed=False, now=now)], here.policy, deadline, now=now
    )
    found = []
    for one in questions:
        row = rows.get(one.key)
        body = came.get(one.key) or (bytes(row.body) if row is not None and row.body is not None else b"")
        if not body:
            continue
        certificates = ca_certificates_of(body)
        found += certificates
        if one.key in came:
            if certificates:
                store.store_object(one, body, until=now + _KEPT, now=now)
            else:
                store.record_unusable(one, now=now)
    return found


def ca_certificates_of(body: bytes) -> list[Certificate]:
    """The CA certificates of a response in any form."""
    try:
        ders = ders_of_file(body)[:_MOST_CERTIFICATES]
    except ValueError:
        return []
    found = []
    for der in ders:
        try:
            found.append(authority(der))
        except Unreadable:
            continue
    return found
