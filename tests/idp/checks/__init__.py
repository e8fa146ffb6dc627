"""The system checks.

    test_production  what an https issuer must bring, and the modes of what Ramet writes

May import everything.
"""
