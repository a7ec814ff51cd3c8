"""Makes the bundled demo shot anew: `python -m daemon.demo.making FOLDER`.

Needs espeak-ng (its library, only to make the speech), scikit-image (the portrait) and the face models.
"""
