"""Evidence: exports that are verified offline, and reports.

    test_canonical  canonical JSON as RFC 8785 gives it
    test_export     exports of a person, a credential and a period, and what their verification refuses
    test_reports    endings, access reviews, issuance, and the page of the console

May import everything.
"""
