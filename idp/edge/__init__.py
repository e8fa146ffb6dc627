"""The edge: header fields as they arrived, the caller's address, the body with a deadline, and the threads that answer.

    fields      header names and values as they arrived -> the names that Django reads; dropped names, refused requests
    caller      the caller's address: the socket's, or the listed proxy's X-Forwarded-For
    unlisted    a proxy that is not listed: one log line, and a warning of `manage.py check`
    routes      per path: whether only programs call it, the greatest body, the lane
    lanes       threads with queues, one lane for each kind of request, fair between networks
    answered    end the coroutines of answered requests, several at a time
    intake      a request of the server's interface (RSGI) -> a WSGI environ; reads the body with a deadline
    listeners   options of the listening sockets: the deadline for callers who do not read
    readers     end connections whose callers read an answer too slowly
    space       a reserve on the disk of the database, for endings
    middleware  the outermost Django middleware: hosts, sizes, refusals in the caller's protocol, response headers

`idp.rsgi` joins them for the server. Nothing here reads a session, a client or a person.
"""
