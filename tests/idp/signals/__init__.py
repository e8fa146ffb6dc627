"""The worker: mail, logout tokens, deliveries, purging.

    test_care      reminders, unused accounts, reviews with a deadline
    test_delivery  delivery never waits for a receiver that refuses, hangs or is slow
    test_mail_page  mail as text and HTML, in the language of its reader
    test_purging   what is over is forgotten, and nothing that counts: the ledger, its record, and what something
    test_signals   logout tokens to a real receiver, checks that refuse an unsafe start, and the operator's verbs
    test_transport  mail goes to the address that a source gave, or to none

May import everything.
"""
