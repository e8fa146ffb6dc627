"""Serve the project on its port, in one thread, on a database in memory."""

import os
from wsgiref.simple_server import make_server

import django
from django.core.management import call_command
from django.core.wsgi import get_wsgi_application

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
django.setup()
call_command("migrate", verbosity=0)
make_server("localhost", int(os.environ["PORT"]), get_wsgi_application()).serve_forever()
