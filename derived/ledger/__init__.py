"""The ledger: locked rows, the audit chain, the outbox, single use, the read side."""
