"""How far people open their mouths for each sound: the targets the prior is taught.

Heights follow what people do in speech, where teeth are shown for an s and a schwa hardly parts the lips; the
demo's portrait (daemon/demo/making/visemes.py) is drawn with plainer ones. They were set by the mean aperture
of twelve people's mouths at the sounds an earlier network heard.
"""

from daemon.demo.making.visemes import BITTEN, CLOSED, Viseme

# ruff: noqa: RUF001 - letters of the phonetic alphabet
VISEMES = {
    "pbm": CLOSED,
    "fvβʋɸ": Viseme(0.12, 0.0, tuck=BITTEN.tuck, pull=5.0, reach_s=BITTEN.reach_s),
    "wɥ": Viseme(0.20, -1.0, pull=3.0),
    "ʃʒɕʑʂʐ": Viseme(0.45, -0.5, pull=1.6),
    "ɹr": Viseme(0.45, -0.35, pull=1.0),
    "θð": Viseme(0.46, 0.2, pull=1.2),
    "sz": Viseme(0.40, 0.3, pull=1.6),
    "tdnlɾɲʎ": Viseme(0.42, 0.15, pull=0.7),
    "kɡgŋhjxʁɣ": Viseme(0.50, 0.1, pull=0.4),
    "iɪᵻɨ": Viseme(0.46, 0.4, pull=1.6),
    "eɛ": Viseme(0.84, 0.75, pull=2.2),
    "æ": Viseme(0.88, 0.6, pull=2.4),
    "aɑ": Viseme(0.95, 0.2, pull=2.6),
    "ʌɐ": Viseme(0.70, 0.1, pull=2.0),
    "ə": Viseme(0.38, 0.0, pull=0.8),
    "ɜɚ": Viseme(0.42, -0.3, pull=1.6),
    "ɔ": Viseme(0.55, -0.6, pull=2.0),
    "oøœ": Viseme(0.38, -0.9, pull=2.2),
    "uʊy": Viseme(0.26, -0.9, pull=2.2),
}
DEFAULT = "kɡgŋhjxʁɣ"
"""Sounds that no viseme names."""
