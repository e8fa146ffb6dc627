"""Formats of dates where Django's own are not meant: English, as the pages and mails have them.

en   English
"""
