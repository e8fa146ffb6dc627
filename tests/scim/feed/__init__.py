"""The feed of SCIM events.

    test_feed          the feed of SCIM events: what is told, to whom, in which order, and never without the
    test_feed_pollers  two pollers of one receiver, side by side with who writes: nothing is lost, each sees each
    test_feed_replay   the proof that the feed is complete: whatever happens to a directory, whoever replays the
    test_feed_tokens   A SET is no token, and a token is no SET

May import everything.
"""
