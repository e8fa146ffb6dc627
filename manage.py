#!/usr/bin/env python
"""Ramet's command line: `manage.py help` lists the verbs, `manage.py VERB --help` teaches each."""

import os
import sys

from django.core.management import execute_from_command_line

if __name__ == "__main__":
    os.umask(0o077)  # what Ramet writes is its own: keys, mail, the database; published files set their mode themselves
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "idp.settings")
    execute_from_command_line(sys.argv)
