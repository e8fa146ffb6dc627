"""The models of people, sources, and each source's records, verbatim and canonical."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, ClassVar

from django.db import models
from django.db.models import Q

from derived.models import Account
from scim.columns import CodePoints
from scim.protocol import aggregate, trust

if TYPE_CHECKING:
    from datetime import datetime

_IAL3 = 3


def every_attribute() -> list[str]:
    """The attributes for which a source is trusted by default."""
    return sorted(trust.EVERY)


class Source(models.Model):
    """A SCIM source, and its trust.

    vouched_ial: the highest IAL (0 to 3) that it may state, and the IAL of its people if it states none; 0 without that
    authority. precedence: lower goes first where sources differ. trusted_for: attributes, as `scim.protocol.trust`
    names them; others never reach a person. normalisers: names in `scim.protocol.normalise.NORMALISERS`. last_said:
    method and resource type of its last request. drops_unknown: whether attributes that no schema knows are dropped
    from its pushes, which are otherwise refused. adopts: identifiers by which its records are joined and adopted at
    once, as the operator said. namespace: goes before its user names in login names, with a slash. brake_count,
    brake_percent: the people that it may end within an hour, whichever is more; the others are held (ruling 28).
    """

    name = models.SlugField(max_length=63, unique=True)
    disabled_at = models.DateTimeField(null=True)
    vouched_ial = models.PositiveSmallIntegerField(default=0)
    precedence = models.IntegerField(default=100)
    trusted_for = models.JSONField(default=every_attribute)
    normalisers = models.JSONField(default=list)
    drops_unknown = models.BooleanField(default=False)
    adopts = models.JSONField(default=list)
    namespace = models.CharField(max_length=63, default="")
    brake_count = models.PositiveIntegerField(default=10)
    brake_percent = models.PositiveSmallIntegerField(default=5)
    most_per_minute = models.PositiveIntegerField(default=60_000)
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(null=True)
    last_said = models.CharField(max_length=80, default="")

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="source_ial_is_a_level", condition=Q(vouched_ial__lte=_IAL3)),
        ]

    def __str__(self) -> str:
        return f"source {self.name}"

    @property
    def actor(self) -> str:
        """The source's name in the audit chain."""
        return f"source:{self.name}"


class SourceCredential(models.Model):
    """A credential of a source, which may have several, so that a new one overlaps with the old.

    key: `token:` and the SHA-256 of a bearer token (256 random bits, so nothing slower is needed), `client:` and the
    client_id of an OAuth client, `certificate:` and the SHA-256 of a certificate, or `certified:` with the SHA-256 of
    an authority and of a name that it certifies. A key belongs to one source for ever. shown: its description for
    people.
    """

    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="credentials")
    key = models.CharField(max_length=300, unique=True)
    shown = models.CharField(max_length=500, default="")
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.id} of a source"

    @property
    def kind(self) -> str:
        """token, client, certificate or certified (a name, by an authority)."""
        return self.key.partition(":")[0]

    def is_live(self, *, now: datetime) -> bool:
        """True if the credential is valid now."""
        return self.ended_at is None and (self.expires_at is None or self.expires_at > now)


class Person(models.Model):
    """A person: the merged profile of all sources, and the login name (AUTH_USER_MODEL).

    user_name: as the first source spells it, for display. login_name: unique over all sources; None if another person
    had it first, or there is none. profile, provenance: as in `aggregate.Profile`. suspended: whether a source says so.
    contact: the e-mail addresses for notices and invitations, as in a profile; like the login name and the IAL from
    adopted records only (ruling 9). held_at: since when an ending by a source waits for a manager, because the source
    ended many (ruling 28); held_by: that source. former_addresses: addresses that a source removed, newest first, which
    also get the notice of the change. contact_changed_at: when the merged addresses last changed (ruling 29).
    language: of pages and mail, as chosen by the person; "" if never. version: of the person as receivers see them
    (`scim.feed.writing`).
    """

    USERNAME_FIELD = "login_name_fold"
    REQUIRED_FIELDS = ()
    is_anonymous = False
    is_authenticated = True

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="person")
    user_name = models.CharField(max_length=256)
    # None means no login name, which frees the name
    login_name = models.CharField(max_length=256, null=True)  # noqa: DJ001
    # unique, and some have none
    login_name_fold = models.CharField(max_length=512, null=True, unique=True)  # noqa: DJ001
    login_name_taken = models.BooleanField(default=False)
    profile = models.JSONField(default=dict)
    provenance = models.JSONField(default=dict)
    contact = models.JSONField(default=dict)
    former_addresses = models.JSONField(default=list)
    active = models.BooleanField(default=True)
    suspended = models.BooleanField(default=False)
    said_ial = models.PositiveSmallIntegerField(default=0)
    held_at = models.DateTimeField(null=True, db_index=True)
    held_by = models.ForeignKey(Source, on_delete=models.PROTECT, null=True, related_name="+")
    contact_changed_at = models.DateTimeField(null=True)
    language = models.CharField(max_length=16, default="", db_default="")
    version = models.PositiveIntegerField(default=1)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"person {self.id}"

    @property
    def etag(self) -> str:
        """The weak entity tag of the whole person, for receivers; a source sees its own record's."""
        return f'W/"{self.version}"'

    def get_username(self) -> str:
        """The login name, or the id if there is none; for Django and the client registry."""
        return self.login_name or str(self.id)

    def addresses(self) -> list[str]:
        """Every e-mail address for notices, without duplicates, the primary first."""
        return aggregate.addresses(self.contact)

    def invitation_address(self) -> str | None:
        """The address of invitations, or None if no source has any (ruling 3)."""
        return aggregate.invitation_address(self.contact)

    def display_name(self) -> str:
        """The display name."""
        return aggregate.display_name(self.profile) or self.user_name


class Record(models.Model):
    """The statements of a source about a person; its id is the SCIM id.

    pushed: verbatim as last written, without secrets. resource: the same, canonical, without `id` and `meta`.
    external_id and the columns in _fold: indexed parts of the resource (`scim.protocol.index`), None if unassigned; so
    is shows_active, while active is its meaning. version: of the ETag. source_version: the source's own sequence
    number, if any (C29). stated_at: the source's time of its last change, else its arrival. adopted: whether anything
    of it reaches its person: the first record does, a joined one after a manager's decision (rulings 9, 27).
    addresses_changed_at, ended_at: when its e-mail addresses last changed, and when it last ended its person (ruling
    29). overruled: a manager gave the held person back, so its `active: false` does not count until the source states
    `active` again. was_active: whether it ever was. returns_at: when the source, without a provable order,
    reactivated a person that it had ended; the person stays ended until a manager agrees (ruling 11, C29). deleted_at:
    the tombstone; its names are free again, its id is not (ID-8).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    # every index below begins with it
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="records", db_index=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="records")
    pushed = models.JSONField()
    resource = models.JSONField()
    external_id = CodePoints(max_length=256, null=True)
    user_name_fold = CodePoints(max_length=512)
    display_name_fold = CodePoints(max_length=512, null=True)
    family_name_fold = CodePoints(max_length=512, null=True)
    employee_number_fold = CodePoints(max_length=512, null=True)
    shows_active = models.BooleanField(null=True)
    active = models.BooleanField()
    version = models.PositiveIntegerField(default=1)
    source_version = models.BigIntegerField(null=True)
    adopted = models.BooleanField(default=True)
    was_active = models.BooleanField(default=False)
    overruled = models.BooleanField(default=False)
    addresses_changed_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    returns_at = models.DateTimeField(null=True)
    stated_at = models.DateTimeField(null=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "user_name_fold"],
                condition=Q(deleted_at__isnull=True),
                name="record_user_name_per_source",
            ),
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(deleted_at__isnull=True, external_id__isnull=False),
                name="record_external_id_per_source",
            ),
        ]
        indexes: ClassVar = [
            # Always NULL here; but SQLite reads the row if a condition's column is not in the index.
            models.Index(
                fields=["source", "created_at", "id", "deleted_at"],
                condition=Q(deleted_at__isnull=True),
                name="record_of_source",
            ),
            *(
                models.Index(
                    fields=["source", *fields, "id"], condition=Q(deleted_at__isnull=True), name=f"record_by_{name}"
                )
                for name, fields in {
                    "change": ["updated_at"],
                    "display_name": ["display_name_fold"],
                    "family_name": ["family_name_fold"],
                    "number": ["employee_number_fold"],
                    "active": ["shows_active", "created_at"],
                }.items()
            ),
        ]

    def __str__(self) -> str:
        return f"record {self.id}"

    @property
    def etag(self) -> str:
        """The weak entity tag of this version (RFC 7644 §3.14)."""
        return f'W/"{self.version}"'


class DroppedAttribute(models.Model):
    """An attribute that no schema knows, dropped from pushes of a source that drops such; count: of pushes."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="dropped", db_index=False)
    name = models.CharField(max_length=120)
    count = models.PositiveBigIntegerField(default=1)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "name"], name="dropped_once")]

    def __str__(self) -> str:
        return f"dropped attribute {self.name}"


class RefusedPush(models.Model):
    """A push that was refused, without its body; equal ones are one row.

    key: of equal ones, a SHA-256. request: method and resource type. person: whom it meant, if known. ends: whether it
    would have ended somebody who is active, which is an alarm. mailed_at: when managers were mailed. settled_at,
    settled_by: a manager's decision that the person stays.
    """

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="refused", db_index=False)
    key = models.CharField(max_length=64)
    request = models.CharField(max_length=80)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, null=True, related_name="refused_pushes")
    status = models.PositiveSmallIntegerField()
    scim_type = models.CharField(max_length=40, default="")
    detail = models.CharField(max_length=300)
    ends = models.BooleanField(default=False)
    count = models.PositiveIntegerField(default=1)
    first_at = models.DateTimeField()
    last_at = models.DateTimeField()
    mailed_at = models.DateTimeField(null=True)
    settled_at = models.DateTimeField(null=True)
    settled_by = models.CharField(max_length=120, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["source", "key"], name="refused_once")]
        indexes: ClassVar = [
            models.Index(fields=["source", "last_at"], name="refused_of_source"),
            models.Index(
                fields=["last_at"], condition=Q(ends=True, settled_at__isnull=True), name="refused_ending_waits"
            ),
        ]

    def __str__(self) -> str:
        return f"refused push {self.id}"


class SourceEnding(models.Model):
    """An ending by a source, counted by its brake for an hour (ruling 28)."""

    source = models.ForeignKey(Source, on_delete=models.CASCADE, related_name="endings", db_index=False)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["source", "at"], name="ending_of_source")]

    def __str__(self) -> str:
        return f"ending by source {self.source_id}"


class Approval(models.Model):
    """The first of two managers' approvals of an act on an account that ever had an authenticator (ruling 27).

    act: adopt, readmit, join, recover, end, or a stop beyond the hourly limit. about: the id of the record, the person
    or the credential. by: the manager. said: the terms that the second one agrees to; an approval of others is none.
    """

    act = models.CharField(max_length=16)
    about = models.CharField(max_length=80)
    by = models.CharField(max_length=80)
    said = models.JSONField(default=dict, db_default=models.Value({}, models.JSONField()))
    at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["act", "about", "by"], name="approval_once")]

    def __str__(self) -> str:
        return f"approval of {self.act}"


class ManagerStop(models.Model):
    """A person whom a manager has stopped, counted for an hour: one manager alone stops at most twenty."""

    actor = models.CharField(max_length=80)
    person = models.ForeignKey(Person, on_delete=models.CASCADE, related_name="+", db_index=False)
    at = models.DateTimeField()

    class Meta:
        indexes: ClassVar = [models.Index(fields=["actor", "at"], name="stops_of_manager")]

    def __str__(self) -> str:
        return f"stop by {self.actor}"


class RecordEmail(models.Model):
    """An e-mail address of a record, folded, for lookups; `scim.protocol.index` keeps it equal to the resource's.

    source: the record's, so that no search reads another source's addresses.
    """

    record = models.ForeignKey(Record, on_delete=models.CASCADE, related_name="emails")
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="+", db_index=False)
    value_fold = CodePoints(max_length=512)

    class Meta:
        indexes: ClassVar = [models.Index(fields=["source", "value_fold", "record"], name="record_by_email")]

    def __str__(self) -> str:
        return f"address of {self.record_id}"


class Group(models.Model):
    """A group of a source; its id is the SCIM id, and its members are rows of `Membership`.

    display_name_fold: for lookups; names of groups need not be unique (RFC 7643 §4.2). version: of the ETag, also
    changed with the members. moved: the number of joins and splits that changed a member's person, visible to receivers
    and not to its source. deleted_at: the tombstone; then it has no members.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="groups", db_index=False)
    display_name = models.CharField(max_length=256)
    display_name_fold = CodePoints(max_length=512)
    external_id = CodePoints(max_length=256, null=True)
    version = models.PositiveIntegerField(default=1)
    moved = models.PositiveIntegerField(default=0)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()
    deleted_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["source", "external_id"],
                condition=Q(deleted_at__isnull=True, external_id__isnull=False),
                name="group_external_id_per_source",
            ),
        ]
        indexes: ClassVar = [
            models.Index(
                fields=["source", *fields, "id"], condition=Q(deleted_at__isnull=True), name=f"group_by_{name}"
            )
            for name, fields in {
                "creation": ["created_at"],
                "change": ["updated_at"],
                "display_name": ["display_name_fold"],
            }.items()
        ]

    def __str__(self) -> str:
        return f"group {self.id}"

    @property
    def etag(self) -> str:
        """The weak entity tag of this version (RFC 7644 §3.14)."""
        return f'W/"{self.version}"'

    @property
    def feed_etag(self) -> str:
        """The weak entity tag of the group as receivers see it, with people as members."""
        return f'W/"{self.version}.{self.moved}"'


class Membership(models.Model):
    """A member of a group: a record of the same source, or another of its groups.

    A deleted record or group is not a member, even if its row still exists: readers filter by `living`.
    """

    group = models.ForeignKey(Group, on_delete=models.CASCADE, related_name="memberships")
    record = models.ForeignKey(Record, on_delete=models.CASCADE, null=True, related_name="memberships")
    child = models.ForeignKey(Group, on_delete=models.CASCADE, null=True, related_name="parents")
    added_at = models.DateTimeField()

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(fields=["group", "record"], name="member_record_once"),
            models.UniqueConstraint(fields=["group", "child"], name="member_group_once"),
            models.CheckConstraint(
                name="member_is_a_record_or_a_group",
                condition=Q(record__isnull=False, child__isnull=True) | Q(record__isnull=True, child__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"member of {self.group_id}"


class RecordKey(models.Model):
    """An identifier of a record for which its source is trusted, by which records may be joined (ruling 9)."""

    record = models.ForeignKey(Record, on_delete=models.CASCADE, related_name="keys")
    attribute = models.CharField(max_length=160)
    value = CodePoints(max_length=512)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["record", "attribute"], name="key_once_per_record")]
        indexes: ClassVar = [models.Index(fields=["attribute", "value"], name="key_is_sought")]

    def __str__(self) -> str:
        return f"{self.attribute} of {self.record_id}"


class MatchRule(models.Model):
    """The operator's permission to join records with equal values of this attribute; without a rule none are joined."""

    attribute = models.CharField(max_length=160, unique=True)
    created_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"join by {self.attribute}"


class MatchState(models.TextChoices):
    """The state of a possible match."""

    WAITING = "waiting"
    JOINED = "joined"
    APART = "apart"
    UNDONE = "undone"


class Match(models.Model):
    """A record that may belong, belongs, or does not belong to a person, with the decision, which is final.

    attribute: the rule that found it, "" for a manager's own join. why: the ambiguity. from_person: the record's person
    before the join, None for a new record.
    """

    record = models.ForeignKey(Record, on_delete=models.PROTECT, related_name="matches")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="matches")
    from_person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="+")
    attribute = models.CharField(max_length=160, default="")
    state = models.CharField(max_length=8, choices=MatchState.choices)
    why = models.CharField(max_length=80, default="")
    created_at = models.DateTimeField()
    decided_at = models.DateTimeField(null=True)
    decided_by = models.CharField(max_length=120, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["record", "person"], name="match_once_per_pair")]
        indexes: ClassVar = [models.Index(fields=["state", "created_at"], name="match_by_state")]

    def __str__(self) -> str:
        return f"match {self.id}"


class AccessRule(models.Model):
    """A rule about who may enter a client, and with which entitlement; a client without rules admits everybody (EN-1).

    client_key: its client_id. entitlement: the claim for the client, "" for entry only. kind, subject: everyone; a
    person's id; a group's id; a role; or an attribute as `department=IT`. by_request: people who match may request it,
    and have it only after approval, for at most most_days. words: the description for them.
    """

    client_key = models.CharField(max_length=255)
    entitlement = models.CharField(max_length=120, default="")
    kind = models.CharField(max_length=12)
    subject = models.CharField(max_length=400, default="")
    by_request = models.BooleanField(default=False)
    words = models.CharField(max_length=200, default="")
    most_days = models.PositiveSmallIntegerField(default=90)
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    class Meta:
        indexes: ClassVar = [
            models.Index(fields=["client_key"], condition=Q(ended_at__isnull=True), name="rule_of_client")
        ]

    def __str__(self) -> str:
        return f"access rule {self.id}"


class AccessState(models.TextChoices):
    """The state of an access request."""

    REQUESTED = "requested"
    ASSIGNED = "assigned"
    REFUSED = "refused"
    REMOVED = "removed"


class Access(models.Model):
    """An access request of a person under a rule, with its decision and its end (EN-1); valid in its epoch only.

    expires_at: the end of an approval; every assigned access has one. reason: of a refusal or an ending, for the
    person.
    """

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="accesses")
    epoch = models.PositiveIntegerField()
    rule = models.ForeignKey(AccessRule, on_delete=models.PROTECT, related_name="accesses")
    purpose = models.CharField(max_length=300)
    state = models.CharField(max_length=10, choices=AccessState.choices, default=AccessState.REQUESTED)
    requested_by = models.CharField(max_length=120)
    requested_at = models.DateTimeField()
    decided_by = models.CharField(max_length=120, default="")
    decided_at = models.DateTimeField(null=True)
    expires_at = models.DateTimeField(null=True)
    reason = models.CharField(max_length=300, default="")
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["person", "rule"],
                condition=Q(state__in=["requested", "assigned"]),
                name="access_once_at_a_time",
            )
        ]

    def __str__(self) -> str:
        return f"access {self.id}"


class RoleName(models.TextChoices):
    """The roles of people and machines (`scim.access.roles` has what each of them may do)."""

    EMPLOYEE = "employee"
    SUPERVISOR = "supervisor"
    MANAGER = "manager", "identity manager"
    OFFICER = "officer", "issuing officer"
    HELP_DESK = "help-desk", "help desk"
    AUDITOR = "auditor"
    OPERATOR = "operator"
    OWNER = "owner", "owner of an entitlement"
    EMERGENCY = "emergency", "emergency access"
    MACHINE = "machine"


GIVEN_ROLES = (
    RoleName.MANAGER, RoleName.OFFICER, RoleName.HELP_DESK, RoleName.AUDITOR, RoleName.OPERATOR, RoleName.OWNER,
    RoleName.EMERGENCY,
)  # fmt: skip


class Role(models.Model):
    """A role that a person was given until a time; valid in its epoch only (C30, RL-3).

    role: one of GIVEN_ROLES; everybody is an employee, and a source says who supervises whom. scope: of an owner
    (`scim.access.roles.scope_of`), else "". given_by, seconded_by: actors of the audit chain. reason: in words.
    suspended_at: when a review of it ended without a decision.
    """

    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="roles")
    role = models.CharField(max_length=12, choices=RoleName.choices)
    scope = models.CharField(max_length=400, default="")
    epoch = models.PositiveIntegerField()
    given_by = models.CharField(max_length=80)
    seconded_by = models.CharField(max_length=80, default="")
    reason = models.CharField(max_length=300)
    since = models.DateTimeField()
    until = models.DateTimeField()
    suspended_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["person", "role", "scope"], condition=Q(ended_at__isnull=True), name="role_once_at_a_time"
            ),
            models.CheckConstraint(name="role_is_given", condition=Q(role__in=[str(one) for one in GIVEN_ROLES])),
        ]
        indexes: ClassVar = [
            models.Index(fields=["role", "scope"], condition=Q(ended_at__isnull=True), name="role_by_name")
        ]

    def __str__(self) -> str:
        return f"{self.role} {self.person_id}"


class Delegation(models.Model):
    """An approver lets another one of the same role decide on requests for them, for 30 days at most, one level."""

    by = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="delegations")
    to = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="delegated")
    since = models.DateTimeField()
    until = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"delegation {self.id}"


class DecisionSystem(models.Model):
    """A system that decides on requests by signed statements, such as a ticket system.

    owner: the person who answers for it; it decides nothing that they asked for or that is for them. jwk: its public
    key. url: receives webhooks about requests that wait for it, or "".
    """

    name = models.SlugField(max_length=63, unique=True)
    owner = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="decision_systems")
    jwk = models.JSONField()
    url = models.CharField(max_length=300, default="")
    created_at = models.DateTimeField()
    ended_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"system {self.name}"


class RequestBatch(models.Model):
    """Many requests at once, from a file; each row becomes a request of its own.

    by: the actor. person: who imports it. digest: SHA-256 of the rows, which one approval covers. paused_at: no row is
    worked on.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    by = models.CharField(max_length=120)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, null=True, related_name="request_batches")
    digest = models.CharField(max_length=64, db_index=True)
    created_at = models.DateTimeField()
    paused_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"batch {self.id}"


class RequestBatchRow(models.Model):
    """One row of a batch: its cells, its state (waiting, done, known, failed) and the request that it became."""

    batch = models.ForeignKey(RequestBatch, on_delete=models.CASCADE, related_name="rows", db_index=False)
    number = models.PositiveIntegerField()
    cells = models.JSONField()
    state = models.CharField(max_length=8, default="waiting")
    why = models.CharField(max_length=200, default="")
    request = models.UUIDField(null=True)

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["batch", "number"], name="batch_row_once")]

    def __str__(self) -> str:
        return f"row {self.number} of {self.batch_id}"


class EmergencyAccess(models.Model):
    """Emergency access of two people for some hours, and its review by somebody else (RL-7, RL-8).

    findings: the words of the reviewer. reminded_at: when the missing review was told.
    """

    first = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", db_index=False)
    second = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="+", db_index=False)
    because = models.CharField(max_length=300)
    opened_at = models.DateTimeField()
    until = models.DateTimeField()
    reminded_at = models.DateTimeField(null=True)
    reviewed_at = models.DateTimeField(null=True)
    reviewed_by = models.CharField(max_length=80, default="")
    findings = models.CharField(max_length=300, default="")

    def __str__(self) -> str:
        return f"emergency access {self.pk}"


class RoleReview(models.Model):
    """A review of all given roles, with a deadline; at it, undecided roles are suspended (EV-9)."""

    opened_at = models.DateTimeField()
    due_at = models.DateTimeField()
    closed_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"review of roles {self.pk}"


class ReviewedRole(models.Model):
    """A role in a review. snapshot: what was true when the review began, for evidence.

    decision: "" while it waits, keep, end, or suspended at the deadline. decided_by: never the holder.
    """

    review = models.ForeignKey(RoleReview, on_delete=models.PROTECT, related_name="roles")
    role = models.ForeignKey(Role, on_delete=models.PROTECT, related_name="reviews")
    snapshot = models.JSONField()
    decision = models.CharField(max_length=10, default="")
    decided_by = models.CharField(max_length=80, default="")
    decided_at = models.DateTimeField(null=True)
    because = models.CharField(max_length=300, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["review", "role"], name="role_once_in_a_review")]

    def __str__(self) -> str:
        return f"reviewed role {self.pk}"


class Receiver(models.Model):
    """A receiver of the feed, and its visible part (RFC 9967; least privilege).

    kinds: User, Group. full: its events carry values, else only names of changed attributes. attributes: of people, as
    `scim.protocol.trust` names them, in addition to `active`. to_read: the kinds to be read whole before it gets
    events: all at first, and again after pending events were dropped. floor: all events up to this one are done for it.
    since: when it was registered, or enabled again. last_error: the last SET that it could not use, and why.
    """

    name = models.SlugField(max_length=63, unique=True)
    kinds = models.JSONField(default=list)
    full = models.BooleanField(default=False)
    attributes = models.JSONField(default=list)
    to_read = models.JSONField(default=list)
    floor = models.BigIntegerField(default=0)
    most_per_minute = models.PositiveIntegerField(default=600)
    created_at = models.DateTimeField()
    since = models.DateTimeField()
    disabled_at = models.DateTimeField(null=True)
    last_polled_at = models.DateTimeField(null=True)
    last_error = models.CharField(max_length=200, default="")

    def __str__(self) -> str:
        return f"receiver {self.name}"


class ReceiverCredential(models.Model):
    """A credential of a receiver.

    key: as in `SourceCredential`, in a separate table, so that no credential authenticates as both.
    """

    receiver = models.ForeignKey(Receiver, on_delete=models.PROTECT, related_name="credentials")
    key = models.CharField(max_length=300, unique=True)
    created_at = models.DateTimeField()
    expires_at = models.DateTimeField(null=True)
    ended_at = models.DateTimeField(null=True)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.kind} {self.id} of a receiver"

    @property
    def kind(self) -> str:
        """The type: token or client."""
        return self.key.partition(":")[0]

    def is_live(self, *, now: datetime) -> bool:
        """True if the credential is valid now."""
        return self.ended_at is None and (self.expires_at is None or self.expires_at > now)


class FeedEvent(models.Model):
    """A change of a person or group, written in its transaction; receivers get their views of it (`scim.feed.events`).

    uid: the base of its `jti`. txn: of all events of a transaction. what: the events as in RFC 9967, without prefix and
    without full or notice. data: the resource after the change, or the PATCH that leads to it. changed: names of
    attributes. It is written under the lock of its subject, so ids order the events of a subject.
    """

    uid = models.UUIDField(unique=True, default=uuid.uuid4, editable=False)
    txn = models.CharField(max_length=32)
    kind = models.CharField(max_length=8)
    subject = models.UUIDField()
    what = models.JSONField()
    data = models.JSONField()
    changed = models.JSONField()
    version = models.CharField(max_length=40, default="")
    at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return f"event {self.id}"


class Taken(models.Model):
    """An event is done for a receiver: acknowledged, reported as an error, or not visible."""

    receiver = models.ForeignKey(Receiver, on_delete=models.CASCADE, related_name="+")
    event = models.ForeignKey(FeedEvent, on_delete=models.CASCADE, related_name="+")
    error = models.CharField(max_length=40, default="")

    class Meta:
        constraints: ClassVar = [models.UniqueConstraint(fields=["receiver", "event"], name="taken_once")]

    def __str__(self) -> str:
        return f"event {self.event_id} is done for {self.receiver_id}"
