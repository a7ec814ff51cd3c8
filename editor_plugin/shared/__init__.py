"""What every editor's plugin shares: rates, plans, the journal, the link. Standard library only."""
