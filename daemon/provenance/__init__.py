"""What a take says of itself to others: a signed C2PA manifest, in the file or beside it."""
