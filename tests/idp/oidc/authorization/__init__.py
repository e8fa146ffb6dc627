"""Authorization requests and the decisions on them.

    test_authorization  the authorization endpoint: every gate on every way in
    test_consent        what a person is asked to allow, by whom, and for how long that holds
    test_device_grant   the device authorization grant: off by default, typed, read, decided, redeemed once, worth
    test_step_up        step-up as a resource server sees it, from the API's 401 through authorize and back

May import everything.
"""
