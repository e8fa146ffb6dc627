"""Mutated requests over every route (R11, C76).

    conftest       a live Ramet
    drafts         a valid request of every route, in parts
    mutation       changes of those parts
    wire           parts to bytes to the application
    oracle         properties of every answer
    house          people, devices and tokens of valid requests
    test_fuzz      in process
    test_sockets   malformed bytes on raw sockets

May import everything.
"""
