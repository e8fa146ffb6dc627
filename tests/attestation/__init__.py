"""Proof of hardware of device keys.

    makers          statements of each format, right or wrong in one part
    test_hardware   verification of each format, on real samples too
    test_binding    over the device protocol

May import everything.
"""
