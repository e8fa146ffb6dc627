"""`manage.py access`: rules of access to clients, requests, and assignments."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from django.core.management.base import CommandError, CommandParser

from derived import clock
from idp import clients
from idp.config import config
from idp.management.verbs import SECOND, Noun, no_arguments
from scim.access import entitlements, requests, roles
from scim.access.roles import Verb
from scim.models import Access, AccessRule, AccessState, Person, Role, RoleName
from scim.people import appointing
from scim.people.appointing import Wish
from scim.protocol.values import fold

if TYPE_CHECKING:
    from collections.abc import Iterable


def _rule(parser: CommandParser) -> None:
    parser.add_argument(
        "client_id", help="the client that people may enter by this rule, and from now on only by its rules"
    )
    parser.add_argument("kind", choices=entitlements.KINDS)
    parser.add_argument(
        "subject", nargs="?", default="", help="a group's id, a role, a person's id, or an attribute as department=IT"
    )
    parser.add_argument("--entitlement", default="", help="the value in the client's `entitlements` claim")
    parser.add_argument(
        "--by-request",
        action="store_true",
        help="matching people may request access; a manager or an owner approves it",
    )
    parser.add_argument("--words", default="", help="the description that people read before they ask")
    parser.add_argument(
        "--most-days",
        type=int,
        default=entitlements.USUAL_DAYS,
        help=f"the longest approval, in days (default: {entitlements.USUAL_DAYS})",
    )


def _number(parser: CommandParser) -> None:
    parser.add_argument("number", type=int, help="its number, as the lists show it")


def _ask(parser: CommandParser) -> None:
    _number(parser)
    parser.add_argument("name", help="the login name of the person")
    parser.add_argument("--purpose", required=True, help="the reason of the request")


def _approve(parser: CommandParser) -> None:
    _number(parser)
    parser.add_argument("--days", type=int, help="for how long (default: as long as the rule lets)")


def _refuse(parser: CommandParser) -> None:
    _number(parser)
    parser.add_argument("--reason", required=True, help="the person reads it")


def _owner(parser: CommandParser) -> None:
    _who(parser)
    parser.add_argument("--entitlement", default="", help="only for this entitlement of the client")


def _who(parser: CommandParser) -> None:
    parser.add_argument("client_id")
    parser.add_argument("name", help="the login name of the person")


class Command(Noun):
    """The verbs for access."""

    help = (
        "Access: rule, rules, end-rule, ask, waiting, approve, refuse, list, remove, may, review, own, disown, owners."
    )
    configures = True
    verbs: ClassVar = {
        "rule": ("Admit people to a client by a rule; a client without rules admits everybody.", _rule),
        "rules": ("All rules.", no_arguments),
        "end-rule": ("End a rule, and what was assigned by it.", _number),
        "ask": ("Request access for a person, under a rule that needs an approval.", _ask),
        "waiting": ("Requests that wait.", no_arguments),
        "approve": ("Approve a request; the rule is evaluated again.", _approve),
        "refuse": ("Say no to a request.", _refuse),
        "list": ("Assignments of people to clients.", no_arguments),
        "remove": ("Take an assignment away.", _number),
        "may": ("Whether a person may enter a client now, and what it is told.", _who),
        "own": ("Let a person decide on requests for a client, beside the managers.", _owner),
        "disown": ("End a person's right to decide on requests.", _owner),
        "owners": ("People who decide on requests, by client.", no_arguments),
        "review": (
            "End what people's changed groups and attributes no longer allow (the worker does it too).",
            no_arguments,
        ),
    }
    methods: ClassVar = {"list": "all", "end-rule": "end_rule"}
    reads: ClassVar = frozenset({"rules", "waiting", "list", "may", "owners", "review"})
    asks: ClassVar = {
        "ask": Verb.ASK, "approve": Verb.APPROVE, "refuse": Verb.APPROVE, "remove": Verb.REVOKE, "own": Verb.APPOINT,
        "disown": Verb.APPOINT,
    }  # fmt: skip
    two_steps: ClassVar = frozenset({"own", "disown"})

    def rule(self, options: dict[str, Any]) -> dict[str, Any]:
        """Add a rule."""
        if clients.find(options["client_id"]) is None:
            message = f"There is no client {options['client_id']}. See: manage.py client list"
            raise CommandError(message)
        try:
            made = entitlements.add_rule(
                options["client_id"],
                options["kind"],
                options["subject"],
                entitlement=options["entitlement"],
                by_request=options["by_request"],
                words=options["words"],
                most_days=options["most_days"],
                now=clock.now(),
            )
        except ValueError as error:
            raise CommandError(str(error)) from error
        return {"number": made.id}

    def rules(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the rules."""
        return [
            {
                "number": one.id,
                "client_id": one.client_key,
                "kind": one.kind,
                "subject": one.subject,
                "entitlement": one.entitlement,
                "by_request": one.by_request,
                "words": one.words,
                "most_days": one.most_days if one.by_request else None,
            }
            for one in AccessRule.objects.filter(ended_at=None).order_by("client_key", "id")
        ]

    def end_rule(self, options: dict[str, Any]) -> str:
        """End a rule."""
        rule = AccessRule.objects.filter(id=options["number"], ended_at=None).first()
        if rule is None:
            message = "There is no such rule. See: manage.py access rules"
            raise CommandError(message)
        return f"ended; {requests.end_rule(rule, now=clock.now())} assignments or requests with it"

    def ask(self, options: dict[str, Any]) -> dict[str, Any]:
        """Request access for a person."""
        rule = AccessRule.objects.filter(id=options["number"], ended_at=None).first()
        if rule is None:
            message = "There is no such rule. See: manage.py access rules"
            raise CommandError(message)
        made = requests.request_access(
            self._person(options), rule, purpose=options["purpose"], now=clock.now(), actor=self.actor
        )
        return {"number": made.id}

    def waiting(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the requests that wait."""
        return _rows(requests.waiting_for(now=clock.now()))

    def approve(self, options: dict[str, Any]) -> str:
        """Approve a request."""
        found = self._decidable(options)
        requests.approve(found, by=None, days=options["days"], now=clock.now(), actor=self.actor)
        return "assigned"

    def refuse(self, options: dict[str, Any]) -> str:
        """Refuse a request."""
        found = self._decidable(options)
        requests.refuse(found, reason=options["reason"], by=None, now=clock.now(), actor=self.actor)
        return "refused"

    def _decidable(self, options: dict[str, Any]) -> Access:
        found = self._found(options)
        if requests.is_decided_by_requester(found, actor=self.actor):
            message = "Whoever asked, or whom it is for, does not decide. See: --as NAME, or the console."
            raise CommandError(message)
        return found

    def all(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the assignments."""
        return _rows(Access.objects.filter(state=AccessState.ASSIGNED).select_related("person", "rule").order_by("id"))

    def remove(self, options: dict[str, Any]) -> str:
        """End an assignment."""
        requests.remove(self._found(options), now=clock.now(), actor=self.actor)
        return "removed"

    def may(self, options: dict[str, Any]) -> dict[str, Any]:
        """Print whether a person may sign in to a client, and with which entitlements."""
        person, now = self._person(options), clock.now()
        return {
            "may_enter": entitlements.may_enter(person, options["client_id"], now=now),
            **entitlements.claims_for(person, options["client_id"], now=now),
        }

    def own(self, options: dict[str, Any]) -> str:
        """Appoint an owner of a client."""
        if clients.find(options["client_id"]) is None:
            message = f"There is no client {options['client_id']}. See: manage.py client list"
            raise CommandError(message)
        wish = Wish(
            person=self._person(options),
            role=RoleName.OWNER,
            scope=roles.scope_of(options["client_id"], options["entitlement"]),
            reason="appointed at a terminal",
        )
        if appointing.give(wish, actor=self.actor, now=clock.now()) is None:
            return SECOND
        return f"{options['name']} decides on requests for {options['client_id']} at {config().issuer}/access/review"

    def disown(self, options: dict[str, Any]) -> str:
        """End an owner's appointment."""
        person, now = self._person(options), clock.now()
        scope = roles.scope_of(options["client_id"], options["entitlement"])
        row = Role.objects.filter(person=person, role=RoleName.OWNER, scope=scope, ended_at=None).first()
        if row is None:
            message = "This person does not decide on requests for that client. See: manage.py access owners"
            raise CommandError(message)
        done = appointing.end(row, because="dismissed at a terminal", actor=self.actor, now=now)
        return "they decide no more" if done else SECOND

    def owners(self, _options: dict[str, Any]) -> list[dict[str, Any]]:
        """List the owners."""
        rows = roles.live(now=clock.now()).filter(role=RoleName.OWNER).select_related("person").order_by("scope", "id")
        return [
            {
                "client_id": roles.parts_of(one.scope)[0],
                "entitlement": roles.parts_of(one.scope)[1],
                "person": one.person.login_name,
                "since": one.since,
                "until": one.until,
            }
            for one in rows
        ]

    def review(self, _options: dict[str, Any]) -> str:
        """End assignments that no longer apply."""
        return f"{requests.end_all_disallowed(now=clock.now(), actor='operator')} ended"

    def _found(self, options: dict[str, Any]) -> Access:
        found = Access.objects.select_related("person", "rule").filter(id=options["number"]).first()
        if found is None:
            message = "There is no such request. See: manage.py access waiting"
            raise CommandError(message)
        return found

    def _person(self, options: dict[str, Any]) -> Person:
        found = Person.objects.select_related("account").filter(login_name_fold=fold(options["name"])).first()
        if found is None:
            message = f"There is no person {options['name']}. See: manage.py person list"
            raise CommandError(message)
        return found


def _rows(accesses: Iterable[Access]) -> list[dict[str, Any]]:
    return [
        {
            "number": one.id,
            "person": one.person.login_name or one.person.user_name,
            "client_id": one.rule.client_key,
            "entitlement": one.rule.entitlement,
            "purpose": one.purpose,
            "requested_by": one.requested_by,
            "since": one.requested_at,
            "decided_by": one.decided_by,
            "until": one.expires_at,
        }
        for one in accesses
    ]
