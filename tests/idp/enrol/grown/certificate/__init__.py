"""Derived certificates.

    test_attested   certificates whose keys are proven to be in hardware: .41 at AAL3, and everything that it takes
    test_cards      certificates that grow from a PIV card: the label, its policy, and the look back after a week
    test_enrolment  getting a certificate: by the page, as a file, over EST; and signing in with it
    test_est_bodies  bodies that people's tools send to EST: PEM is read, and the rest is told in words
    test_renamed    A person has another name: the certificate is issued anew for the same key, by whoever proves

May import everything.
"""
