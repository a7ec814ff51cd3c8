"""How other machines are let in, and this one elsewhere. No secret key ever travels."""
