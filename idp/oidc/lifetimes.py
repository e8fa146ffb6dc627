"""Lifetimes of codes, tokens and families; `manage.py exposure` prints their consequences (R10)."""

from __future__ import annotations

from datetime import timedelta

from derived.rules.assurance import AAL

REQUEST = timedelta(minutes=10)
PUSHED = timedelta(seconds=90)
CODE = timedelta(seconds=60)
ACCESS_TOKEN = timedelta(seconds=300)
ID_TOKEN = timedelta(minutes=10)
DEVICE_CODE = timedelta(seconds=600)
LOGOUT_TOKEN = timedelta(minutes=2)
CONSENT = timedelta(days=90)
# The absolute lifetime of an offline family, by the level of its login (ruling 17).
OFFLINE = {AAL.AAL1: timedelta(days=30), AAL.AAL2: timedelta(days=30), AAL.AAL3: timedelta(days=1)}
