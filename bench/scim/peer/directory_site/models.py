"""People and groups, as django-scim2 requires them."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django_scim.models import AbstractSCIMGroupMixin, AbstractSCIMUserMixin


class Group(AbstractSCIMGroupMixin):
    """A group."""

    name = models.CharField(max_length=150)

    @property
    def user_set(self):
        """The members."""
        return self.people


class User(AbstractSCIMUserMixin, AbstractUser):
    """A person."""

    scim_groups = models.ManyToManyField(Group, related_name="people")
