"""English dates, in the order that pages and mails have.

    formats    the formats that Django reads

May import nothing.
"""
