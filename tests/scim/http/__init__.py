"""The SCIM service over HTTP.

    test_bulk               bulk: each operation for itself, references that wait for what they name, circles, and
    test_certified_sources  sources that show a certificate, or their client's own token, and what is not good enough
    test_drop_unknown       unknown attributes are dropped and counted; the known ones beside them are applied
    test_edge               the edge of SCIM: types, sizes, pages, projections, discovery, and nothing that yields
    test_lists              lists: what SQL says is what the evaluator says, in every order, and every page is as
    test_patch_cases        the shared PATCH and PUT cases, over HTTP: each must come out as PASS, PASS-ALT or LENIENT
    test_patch_limits       PATCH bounds over HTTP: values that a value path makes, their number, and the time
    test_patience           A statement that takes too long is stopped by the database, and leaves nothing behind
    test_plans              what the databases do for the hot requests: a part of an index, never all of a large
    test_vendor_bodies      vendors' bodies over HTTP: POST, PUT, PATCH and bulk are rewritten alike
    test_vendor_sequences   Entra's and Okta's documented sequences, each step answered as its sender expects

May import everything.
"""
