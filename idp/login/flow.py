"""A login transaction: the factors that this browser has verified, for ten minutes, for one account (ruling 6).

The transaction is in the browser's anonymous store, ends with the login, and is never combined with another.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING
from uuid import UUID, uuid4

from django.shortcuts import redirect

from derived import clock
from derived.errors import Reason, Refused
from derived.ledger import status
from derived.models import Credential
from derived.rules.kinds import Kind
from idp.config import config
from idp.login import password, purpose, throttle
from idp.login.session import take_up_repeated
from scim.models import Person, RecordEmail, Source
from scim.people.directory import person_by_login_name
from scim.protocol.values import fold

if TYPE_CHECKING:
    from django.http import HttpRequest, HttpResponse

_KEY = "login"
_LONGEST_NAME, _MOST_ALIKE = 320, 100
LASTS = timedelta(minutes=10)


def first_factor(request: HttpRequest, username: str, secret: str, *, now: datetime) -> None:
    """Check a password; a correct one opens the transaction, without disclosing whether the name exists (C67).

    Raises: TryLater, Refused(WRONG_FACTOR), also for a right password whose authenticator is disabled for this browser.
    """
    credential = credential_of(username, now=now)
    place = place_of(request, credential, username)
    counted = throttle.count_password_attempt(request, str(credential.account_id) if credential else "", now=now)
    tried = throttle.count_attempt(place, now=now)
    guess = _counted(request, credential, now=now)
    if guess is None:
        throttle.count_decoy(place, now=now)
    stored_hash = guess.credential.password_totp.password_hash if guess else ""
    if not password.matches(secret, stored_hash) or guess is None:
        if guess is not None:
            throttle.record_last_guess(guess, now=now)
        raise Refused(Reason.WRONG_FACTOR)
    throttle.uncount_guess(guess)
    throttle.take_back(tried, now=now)
    open_transaction(request, guess.credential, place, now=now, counted=counted)


def place_of(request: HttpRequest, credential: Credential | None, username: str) -> str:
    """The back-off place of tries at a login name."""
    return throttle.backoff_key(request, str(credential.account_id) if credential else fold(username[:_LONGEST_NAME]))


def _counted(request: HttpRequest, credential: Credential | None, *, now: datetime) -> throttle.Guess | None:
    """The guess at a password, counted; None where there is none, or where it is disabled for this browser."""
    if credential is None:
        return None
    try:
        return throttle.count_guess(credential, request, now=now)
    except Refused:
        return None


def open_transaction(
    request: HttpRequest, credential: Credential, place: str, *, now: datetime, counted: str = ""
) -> None:
    """Note that this browser has shown the password of a credential; the next factor has ten minutes.

    counted: the network's counter that the password has raised; a complete login lowers it.
    """
    request.session.cycle_key()
    state = {"credential": str(credential.id), "at": now.timestamp(), "place": place, "counted": counted}
    request.session[_KEY] = state


def counted_password(request: HttpRequest) -> str:
    """The network's counter that the password of this transaction has raised; "" for none."""
    return str(request.session.get(_KEY, {}).get("counted", ""))


def credential_of(username: str, *, now: datetime) -> Credential | None:
    """The live password of a login name, or of the person who alone has an e-mail address; a name comes first."""
    person = person_of(username)
    if person is None:
        return None
    rows = Credential.objects.filter(account_id=person.account_id, kind=Kind.PASSWORD_TOTP)
    return status.live_only(rows, now=now).select_related("account", "password_totp").first()


def person_of(username: str) -> Person | None:
    """The person with a login name, or who alone has an e-mail address; a name comes first."""
    return person_by_login_name(username) or _person_by_address(username)


def _person_by_address(typed: str) -> Person | None:
    """The one person with this e-mail address; None if several have it, or it is none.

    An address counts where the person's own notices go, so that a record that is not adopted adds none (ruling 27).
    """
    wanted = fold(typed.strip())
    if "@" not in wanted or len(wanted) > _LONGEST_NAME or not wanted.isprintable():
        return None
    rows = RecordEmail.objects.filter(source__in=list(Source.objects.values_list("id", flat=True)), value_fold=wanted)
    ids = set(rows.values_list("record__person_id", flat=True).distinct()[: _MOST_ALIKE + 1]) - {None}
    if len(ids) > _MOST_ALIKE:
        return None  # it is nobody's own
    found = [
        person
        for person in Person.objects.filter(id__in=ids).select_related("account")
        if wanted in {fold(one) for one in person.addresses()}
    ]
    return found[0] if len(found) == 1 else None


def password_verified(request: HttpRequest, *, now: datetime) -> tuple[Credential, str] | None:
    """The credential whose password this browser has just verified, and the back-off key; or None."""
    state = request.session.get(_KEY)
    if not state or now - datetime.fromtimestamp(state["at"], tz=UTC) > LASTS:
        return None
    row = Credential.objects.filter(id=state["credential"]).select_related("account", "password_totp").first()
    if row is None or not status.is_live(row, row.account, now=now):
        return None
    return row, state["place"]


def without_password(request: HttpRequest) -> HttpResponse:
    """The answer to a second step without its first: on, if this browser has signed in since, else from the start.

    The form of a second step that is sent twice leads where it led the first time.
    """
    if (session := take_up_repeated(request, now=clock.now())) is not None:
        return _onward(request, session.account_id)
    found = purpose.of_request(request)
    return redirect(found.destination() if purpose.is_fulfilled(request) else found.url())


def finish(request: HttpRequest, credential: Credential) -> HttpResponse:
    """After `session.establish`: remember this browser, and go where this login leads."""
    return _onward(request, credential.account_id)


def _onward(request: HttpRequest, account_id: UUID) -> HttpResponse:
    response = redirect(purpose.of_request(request).destination())
    throttle.remember(response, account_id, secure=config().is_https, nonce=uuid4().hex)
    return response
