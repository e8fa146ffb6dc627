"""The raw edge, most of it against the real server: slow callers, forged header fields behind real proxies, and the
caller's address.

    proxies            HAProxy, Apache and nginx from the files in `deploy/`, as processes
    slow               sockets of slow callers
    test_answered      the end of answered requests on the event loop
    test_deadlines     deadlines and bounds of requests and answers
    test_full_disk     endings on a full disk
    test_fields        names that fold, repeated fields, X-Forwarded-For, and unlisted proxies
    test_guesses       password guesses with forged addresses
    test_main_host     nginx before the main host
    test_lanes         turns between networks, bounds of a queue
    test_overload      revocation and SCIM during a flood of sign-ins
    test_proxies       forged certificates through nginx, HAProxy and Apache
    test_slow_callers  an `active:false` while 200 slow sockets are open

Requests go to loopback only, bounded in count and time.
"""
