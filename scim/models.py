"""People, the sources that push them, and what each source says, verbatim and canonical."""

from __future__ import annotations

import uuid
from typing import ClassVar

from django.db import models
from django.db.models import Q

from derived.models import Account
from scim import aggregate

_IAL3 = 3


class Source(models.Model):
    """One pusher of SCIM, with one bearer token.

    token_hash: sha256, in hex, of the token; the token has 256 random bits, so nothing slower is needed.
    vouched_ial: the identity assurance level (0 to 3) of the people that it pushes; 0 unless it has that authority.
    precedence: lower goes first where sources differ.
    normalisers: names in `scim.normalise.NORMALISERS`.
    """

    name = models.SlugField(max_length=63, unique=True)
    token_hash = models.CharField(max_length=64, unique=True)
    token_expires_at = models.DateTimeField(null=True)
    disabled_at = models.DateTimeField(null=True)
    vouched_ial = models.PositiveSmallIntegerField(default=0)
    precedence = models.IntegerField(default=100)
    normalisers = models.JSONField(default=list)
    created_at = models.DateTimeField()
    last_seen_at = models.DateTimeField(null=True)

    class Meta:
        constraints: ClassVar = [
            models.CheckConstraint(name="source_ial_is_a_level", condition=Q(vouched_ial__lte=_IAL3)),
        ]

    def __str__(self) -> str:
        return f"source {self.name}"

    @property
    def actor(self) -> str:
        """How the record names this source."""
        return f"source:{self.name}"


class Person(models.Model):
    """One person: the merge of what all sources say, and the name they log in with (AUTH_USER_MODEL).

    user_name: as the first source spells it; for people to read.
    login_name: unique over all sources; None if another person had it first, or none was given.
    profile, provenance: as in `aggregate.Profile`. former_addresses: e-mail addresses that a source took away, newest
    first; a notice about the change goes there too.
    """

    USERNAME_FIELD = "login_name_fold"
    REQUIRED_FIELDS = ()
    is_anonymous = False
    is_authenticated = True

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    account = models.OneToOneField(Account, on_delete=models.PROTECT, related_name="person")
    user_name = models.CharField(max_length=256)
    login_name = models.CharField(max_length=256, null=True)  # noqa: DJ001 - None is "has none", and frees the name
    login_name_fold = models.CharField(max_length=512, null=True, unique=True)  # noqa: DJ001 - unique, and some have none
    login_name_taken = models.BooleanField(default=False)
    profile = models.JSONField(default=dict)
    provenance = models.JSONField(default=dict)
    former_addresses = models.JSONField(default=list)
    active = models.BooleanField(default=True)
    created_at = models.DateTimeField()
    updated_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"person {self.id}"

    def get_username(self) -> str:
        """The login name, or the id where there is none; Django and the registry ask for it."""
        return self.login_name or str(self.id)

    def addresses(self) -> list[str]:
        """Every e-mail address for notices, once each, the primary first."""
        return aggregate.addresses(self.profile)

    def invitation_address(self) -> str | None:
        """Where an invitation goes, or None if no source gave an address (an ordinary case, ruling 3)."""
        return aggregate.invitation_address(self.profile)

    def display_name(self) -> str:
        """The name to show."""
        return aggregate.display_name(self.profile) or self.user_name


class Record(models.Model):
    """What one source says about one person; its id is the SCIM id.

    pushed: verbatim as last pushed, minus secrets. resource: the same, canonical, without `id` and `meta`.
    version: of the ETag. source_version: the source's own sequence number, if it sends one (C29).
    deleted_at: the tombstone; its names are free again, its id is not (ID-8).
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    source = models.ForeignKey(Source, on_delete=models.PROTECT, related_name="records")
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="records")
    pushed = models.JSONField()
    resource = models.JSONField()
    external_id = models.CharField(max_length=256, null=True)  # noqa: DJ001 - unique where given
    user_name_fold = models.CharField(max_length=512)
    active = models.BooleanField()
    version = models.PositiveIntegerField(default=1)
    source_version = models.BigIntegerField(null=True)
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
            models.Index(
                fields=["source", "created_at", "id"], condition=Q(deleted_at__isnull=True), name="record_of_source"
            ),
        ]

    def __str__(self) -> str:
        return f"record {self.id}"

    @property
    def etag(self) -> str:
        """The weak entity tag of this version (RFC 7644 §3.14)."""
        return f'W/"{self.version}"'
