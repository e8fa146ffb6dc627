"""Certificates of others: path validation and revocation status.

    conftest       where the published ICAM cards are absent, their tests are not collected
    pkits          NIST PKITS as data: sections, cases, published verdicts, and where we decide otherwise on purpose
    test_bytes     whatever bytes come, the answer is a refusal
    test_daily_life  unusable files, old roots, and names in every alphabet
    test_icam      the ICAM test cards that GSA publishes
    test_paths     paths are found in a mesh, shortest first, and looking for them is bounded
    test_pkits     NIST PKITS: every case with the published verdict, and the three where we decide otherwise, by name
    test_status    revocation: fresh signed words only, two mechanisms side by side, kept ones first, and silence
    test_validate  every failure with its own reason, on a PKI in the shape of the Federal one

May import everything.
"""
