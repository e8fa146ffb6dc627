"""Requests for credentials.

    test_batches   many requests from a file, and the command
    test_deciding  who asks, who decides, what an approval holds for, and what is checked again at the collection
    test_systems   signed decisions of systems, and webhooks to them
    test_ticks     what time does to requests: reminders, escalation, expired credentials, approving groups
    test_pages     the pages: asking, deciding with a passkey, collecting; on behalf; every way waits

May import everything.
"""
