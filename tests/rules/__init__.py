"""Pure rules, mostly with Hypothesis, and the repository's own rules; no database.

    citations            where requirement ids are cited and defined
    test_acr             context classes and decisions
    test_code            patterns that the product's code must not have
    test_derivation      eligibility, cap, states
    test_device_proofs   proofs of a device key
    test_docs            names and glossary of the documents
    test_edges           input parsing
    test_invariants      one place makes ledger rows and changes levels
    test_maps            the maps of packages
    test_need            missing factors of a login
    test_renamed         former names of files, and ids of checks
    test_requirements    docs/requirements.md
    test_reserved        reserved claims
    test_roots           levels and eligibility of roots
    test_routes          classes of routes
    test_rows            rows that need a test of their own
    test_rulebook        the operator's policy
    test_settings        docs/settings.md
    test_signatures      forged signatures

May import everything.
"""
