"""Derived credentials: one module or package a kind."""
