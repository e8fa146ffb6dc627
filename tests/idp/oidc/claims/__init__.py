"""Claims, `acr` and levels.

    test_acr               which context classes are true, and what is decided
    test_assurance_lookup  issue 3, Done when 1: each row of standards.md's assurance look-up, from a real login
    test_kinds             kind × root × evidence → AAL, label, `amr`, policy of a certificate: every cell grown
    test_reserved          no attribute of a person sets a claim that only we may say

May import everything.
"""
