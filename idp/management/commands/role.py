"""`manage.py role`: the roles of people: give, end, list, and what each may do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError

from derived import clock
from idp import clients
from idp.config import config
from idp.management.verbs import SECOND, Noun, no_arguments
from scim.access import roles, same_human
from scim.access.roles import Verb
from scim.models import GIVEN_ROLES, Person, Role, RoleName, RoleReview
from scim.people import appointing, opening, reviewing
from scim.people.appointing import MOST_DAYS, Wish
from scim.people.directory import person_by_login_name
from scim.people.opening import Opening

if TYPE_CHECKING:
    from django.core.management.base import CommandParser

_ROLES = [one.value for one in GIVEN_ROLES if one != RoleName.EMERGENCY]


def _which(parser: CommandParser) -> None:
    parser.add_argument("name", help="the login name of the person")
    parser.add_argument("role", choices=_ROLES)
    parser.add_argument("--client", default="", metavar="CLIENT_ID", help="of an owner: the client")
    parser.add_argument("--entitlement", default="", help="of an owner: only this entitlement of the client")
    parser.add_argument("--because", required=True, help="why, in 4 to 300 characters; it stays on record")


def _give(parser: CommandParser) -> None:
    _which(parser)
    parser.add_argument("--days", type=int, default=MOST_DAYS, help=f"for how long (default and most: {MOST_DAYS})")


def _open(parser: CommandParser) -> None:
    parser.add_argument("--because", required=True, help="why, in 4 to 300 characters; everybody reads it")
    parser.add_argument("--hours", type=int, default=4, help=f"for how long (default: 4, most: {opening.MOST_HOURS})")


def _review(parser: CommandParser) -> None:
    parser.add_argument("--begin", action="store_true", help="begin one now, unless one is open")


def _list(parser: CommandParser) -> None:
    parser.add_argument("--role", choices=[*_ROLES, RoleName.EMERGENCY.value], help="only this role")
    parser.add_argument("--ended", action="store_true", help="former terms too")


class Command(Noun):
    """The verbs for roles."""

    help = (
        "Roles: give, end, list, waiting, matrix, open (emergency access), review. The first two managers are given "
        "here; from then on a role takes two people, of whom one is signed in to the console."
    )
    configures = True
    verbs: ClassVar = {
        "give": ("Give a person a role, for a year at most.", _give),
        "end": ("End a role.", _which),
        "list": ("Who has which role, by whom, and until when.", _list),
        "waiting": ("Roles that wait for a second person.", no_arguments),
        "matrix": ("What each role may do.", no_arguments),
        "open": (
            "Emergency access for two people, --as and --with: to suspend, revoke and appoint. Everybody is told.",
            _open,
        ),
        "review": ("What the review of this quarter has decided, and what waits; begins one that is due.", _review),
    }
    reads: ClassVar = frozenset({"list", "waiting", "matrix"})
    asks: ClassVar = {"give": Verb.APPOINT, "end": Verb.APPOINT, "open": Verb.APPOINT, "review": Verb.APPOINT}
    methods: ClassVar = {"list": "all", "open": "open_access"}
    two_steps: ClassVar = frozenset({"give", "end", "review"})

    def give(self, options: dict[str, Any]) -> str:
        """Give a role."""
        now, person, role = clock.now(), _person(options), RoleName(options["role"])
        wish = Wish(
            person=person, role=role, scope=_scope(options, role), days=options["days"], reason=options["because"]
        )
        _require_words(options)
        if not 1 <= wish.days <= MOST_DAYS:
            message = f"--days is from 1 to {MOST_DAYS}."
            raise CommandError(message)
        made = appointing.give(wish, actor=self.actor, now=now)
        if made is None:
            return SECOND
        alone = appointing.acts_alone(self.actor, RoleName.MANAGER, now=now)
        hint = " Appoint a second manager: what one alone may not do waits for them." if alone else ""
        where = f" They find their work at {config().issuer}/console."
        return f"{person.display_name()} is {role.label} until {made.until:%Y-%m-%d}.{where}{hint}"

    def end(self, options: dict[str, Any]) -> str:
        """End a role."""
        now, person, role = clock.now(), _person(options), RoleName(options["role"])
        _require_words(options)
        scope = _scope(options, role)
        row = roles.live(now=now).filter(person=person, role=role, scope=scope).first()
        if row is None:
            message = "This person does not have this role. See: manage.py role list"
            raise CommandError(message)
        return "ended" if appointing.end(row, because=options["because"], actor=self.actor, now=now) else SECOND

    def all(self, options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the roles."""
        rows = Role.objects.all() if options["ended"] else roles.live(now=clock.now())
        if options["role"]:
            rows = rows.filter(role=options["role"])
        return [
            {
                "person": one.person.login_name or one.person.user_name,
                "role": one.role,
                "scope": " ".join(roles.parts_of(one.scope)).strip(),
                "since": one.since,
                "until": one.until,
                "ended": one.ended_at,
                "given_by": named(one.given_by),
                "seconded_by": named(one.seconded_by),
                "reason": one.reason,
            }
            for one in rows.select_related("person").order_by("role", "person__login_name_fold", "id")
        ]

    def waiting(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List what waits for a second person."""
        return [
            {"act": one.act, "by": named(one.by), "at": one.at, **_said(one.said, one.about)}
            for one in appointing.waiting(now=clock.now())
        ]

    def open_access(self, options: dict[str, Any]) -> str:
        """Open emergency access for the two people who are named."""
        _require_words(options)
        first, second = same_human.of_actor(self.actor), person_by_login_name(options["second"])
        if first is None or second is None or not second.account.is_active:
            message = "Two people open it together: --as NAME --with NAME."
            raise CommandError(message)
        if not 1 <= options["hours"] <= opening.MOST_HOURS:
            message = f"--hours is from 1 to {opening.MOST_HOURS}."
            raise CommandError(message)
        wanted = Opening(first=first, second=second, hours=options["hours"], because=options["because"])
        made = opening.open_access(wanted, now=clock.now())
        return (
            f"open until {made.until:%Y-%m-%d %H:%M} UTC: both sign in, at {config().issuer}/console. All managers and "
            f"auditors are told. Somebody else reviews it within a day, at {config().issuer}/console/reviews"
        )

    def review(self, options: dict[str, Any]) -> list[dict[str, Any]] | str:
        """List the newest review, or begin one."""
        if options["begin"] and reviewing.begin(now=clock.now()) is None:
            message = "A review is open already, or nobody has a role. See: manage.py role review"
            raise CommandError(message)
        newest = RoleReview.objects.order_by("-opened_at").first()
        if newest is None:
            return "No review has begun. The worker begins one each quarter; or: manage.py role review --begin"
        return [
            {
                "person": one.snapshot["login_name"],
                "role": one.snapshot["role"],
                "scope": " ".join(roles.parts_of(one.snapshot["scope"])).strip(),
                "last_used": one.snapshot["last_used_at"],
                "due": newest.due_at,
                "decision": one.decision or "waits",
                "decided_by": named(one.decided_by),
                "because": one.because,
            }
            for one in newest.roles.order_by("id")
        ]

    def matrix(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List what each role may do."""
        return [
            {"verb": verb.value, **{name.value: row[name].value if name in row else "" for name in RoleName}}
            for verb, row in roles.MATRIX.items()
        ]


def named(actor: str) -> str:
    """An actor with the login name of its person."""
    kind, _, own = actor.partition(":")
    found = same_human.of_actor(actor) if own else None
    return f"{found.get_username()} ({kind})" if found else actor


def _said(said: dict[str, str], about: str) -> dict[str, str]:
    if "role" in said:
        person = Person.objects.filter(id=said["person"]).first()
        return {"person": person.get_username() if person else "", "role": said["role"], "because": said["reason"]}
    row = Role.objects.filter(id=about).select_related("person").first()
    return {
        "person": row.person.get_username() if row else "",
        "role": row.role if row else "",
        "because": said.get("because", ""),
    }


def _person(options: dict[str, Any]) -> Person:
    found = person_by_login_name(options["name"])
    if found is None:
        message = f"There is no person {options['name']}. See: manage.py person list"
        raise CommandError(message)
    return found


def _scope(options: dict[str, Any], role: RoleName) -> str:
    if bool(options["client"]) != (role == RoleName.OWNER):
        message = "An owner takes --client, and no other role does."
        raise CommandError(message)
    if options["client"] and clients.find(options["client"]) is None:
        message = f"There is no client {options['client']}. See: manage.py client list"
        raise CommandError(message)
    return roles.scope_of(options["client"], options["entitlement"]) if options["client"] else ""


def _require_words(options: dict[str, Any]) -> None:
    words = options["because"].strip()
    if not appointing.LEAST_WORDS <= len(words) <= appointing.MOST_WORDS or not words.isprintable():
        message = "Say in --because why, in 4 to 300 characters on one line."
        raise CommandError(message)
