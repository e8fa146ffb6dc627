"""Mutated requests over every route (R11, C76).

    drafts        A valid request of every route, in parts
    mutation      what is done to the parts of a valid request: dropped, repeated, swapped, made long, deep
    oracle        what holds for every answer, whatever was asked
    test_fuzz     mutated requests over every route and method: no 5xx, nothing unhandled, nobody sent to where
    test_sockets  bytes that no HTTP library would send, on raw sockets to the live server: no 5xx, no hang, and
    valid_state   the house that valid requests come from: people who are signed in, phones that are bound, tokens
    wire          A request in parts, and its way into the application as a server would bring it: any bytes

May import everything.
"""
