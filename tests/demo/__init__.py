"""The demo and the device client.

    test_browser          the form reader, the authenticator, and the browser without a screen
    test_journey          the whole journey, as `make demo` plays it
    test_relying_party    the demo relying party believes only what was signed for it, now, in answer to its own
    test_resource_server  the resource server asks its provider rarely, sends its secret nowhere else, and decides
    test_stage            `make run` says what it does, and sets up an authority once
    test_tls              the certificate for the local network

May import everything.
"""
