"""People and groups with what django-scim2 asks of them."""

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
