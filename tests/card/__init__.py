"""Cards at the certificate host, and other callers with a certificate.

    conftest       a card reader for each test
    desk           a card reader, in this process
    hall           a served Ramet behind nginx
    test_login     login with a card
    test_binding   binding a card
    test_nginx     the shipped nginx configuration, with SoftHSM2
    test_parties   relying parties with mutual TLS
    test_sources   sources with mutual TLS

May import everything.
"""
