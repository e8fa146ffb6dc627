"""Trust agreements and redress.

    test_terms       the fields of an agreement, and the errors that name them
    test_agreements  required agreements, the page of an application, cases of redress

May import everything.
"""
