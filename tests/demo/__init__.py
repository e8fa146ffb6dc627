"""The demo and the device client.

    provider              a provider that signs faulty tokens
    test_journey          `make demo`
    test_client           the device client against a faulty server
    test_proofs           its proofs
    test_keeping          its file
    test_browser          the browser without a screen
    test_relying_party    the demo relying party
    test_resource_server  the resource server and its provider
    test_tls              the certificate for the local network

May import everything.
"""
