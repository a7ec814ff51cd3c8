"""Makes the prior anew: `python -m daemon.engines.rewrite.making [FILE]`.

Needs flite, festival with its voices (the list is in voices.py) and espeak-ng, all free software that Debian
packages in `main`, and torch. The voices are spoken and listened to here; none of them is shipped.
"""
