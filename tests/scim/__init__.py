"""SCIM, sources, groups, and the feed.

    conftest             sources, and a SCIM client
    follower             a receiver of the feed
    test_adopted_word    adopted records, returns, two managers, the brake
    test_aggregate       merging sources
    test_bulk            bulk
    test_feed            the feed
    test_feed_pollers    two pollers of one receiver
    test_feed_replay     a replayed feed is complete
    test_filter          filters
    test_groups          groups
    test_http            SCIM over HTTP
    test_importing       people from files
    test_leavers         joiners, movers, leavers
    test_lists           lists and pages
    test_matching        joining records
    test_order           the order of pushes
    test_patch           the PATCH engine
    test_patch_cases     the shared PATCH cases
    test_patience        the time limit of statements
    test_plans           query plans and numbers of statements
    test_schema          schemas
    test_sources         sources and their isolation
    test_third_review    findings of a third review
    test_three_sources   three sources push the same people
    test_trust           trust per attribute

May import everything.
"""
