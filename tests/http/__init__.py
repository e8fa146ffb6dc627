"""OpenID Connect, OAuth and pages over HTTP, in process.

    bad_uris                 faulty redirect URIs
    signing                  a client that signs assertions
    test_answers             userinfo, introspection, metadata
    test_authorization       the authorization endpoint
    test_client_auth         client authentication
    test_client_keys         a client's key set over https
    test_closed              refusals without database, key or clock
    test_consent             consent
    test_device_grant        the device authorization grant
    test_dpop                DPoP proofs
    test_enrolment           invitations and bindings
    test_feed_tokens         SETs and tokens are not confused
    test_gate                limits on anonymous requests
    test_jar                 signed request objects
    test_journey             from HR's push to a token
    test_leavers_over_http   a termination in each vendor's form
    test_login               login pages and sessions
    test_logout              RP-initiated logout
    test_machines            endpoints without cookies
    test_matrix              the route × gate matrix
    test_par                 pushed authorization requests
    test_recovery            a lost authenticator app
    test_registration        dynamic client registration
    test_requests            authorization request parameters
    test_review              findings of a first review
    test_second_review       findings of a second review
    test_services            client credentials
    test_small_gates         CSP sources, special addresses, unreadable lines
    test_statements          the number of SQL statements
    test_step_up             an API with step-up
    test_targets             audiences and token formats
    test_third_review        findings of a third review
    test_tokens              the token endpoint
    test_tree                the tree of credentials

May import everything.
"""
