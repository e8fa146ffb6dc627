"""Access to clients.

    test_entitlements   rules decide at every grant
    test_requests       request, decide, end

May import everything.
"""
