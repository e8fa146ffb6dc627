"""Thousands of requests that are almost right: none may shake the house (R11, C76).

drafts.py    valid requests of every route, in parts
mutation.py  what is done to the parts
wire.py      parts → bytes → the WSGI application, in this process
oracle.py    what holds for every answer
"""
