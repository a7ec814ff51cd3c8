"""The models: what each task needs, which of it is here, and how it comes here."""
