"""Requests for credentials.

    test_deciding  who asks, who decides, what an approval holds for, and what is checked again at the collection

May import everything.
"""
