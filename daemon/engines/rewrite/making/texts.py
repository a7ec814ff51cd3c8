"""What the synthesisers are given to say: words in no order, so that every sound meets every other."""

import numpy as np

_WORDS = """
about above after again air all almost along also always another answer any apple arm around ask away baby
back bad ball bank bath be beautiful because bed been before began behind believe below better between big
bird birthday black blue board boat body book both bottom box boy bread break bring brother brown build but
buy by call came camp car care carry chair change cheap child choose church city clean clear climb close
cold come company complete cook could cover cup dance dark day deep did different dinner do door double down
dream drive drop each early earth east easy eat eight empty enough even evening ever every example eye face
fact fall family farm fast father feel few field fifth fight fill final find finger fire first fish five fly
follow food foot for forget form forward found four free friend from front full game garden gave general get
girl give glass go good great green group grow guess half hand happen hard have he head hear heart heavy
help her here high him his hold home hope horse hot house how huge human hurry I ice idea important in
inside it job join judge jump just keep kind king knee know lamp land language large last late laugh learn
leave left leg less let life light like line lip listen little live long look love machine make man many map
may maybe me measure meet member memory middle might milk mind minute moment money month moon more morning
most mother mountain mouth move much music my name near never new next night nine no noise north nose not
now number object of off often oil old on once one only open or orange other our out over own page pair
paper part pay people perfect perhaps person picture piece place plan play please point poor possible power
pretty problem public pull push put question quick quiet rain reach read ready really red remember rest rich
right river road room round rule run sad same save say school sea second see seem sell send seven shape
share sharp she ship shop short should show side simple since sing sister sit six sky sleep slow small smile
smooth snow so some something song soon sound south speak spring stand star start step still stop storm
story street strong such summer sun suppose sure swim table take talk teach tell temper ten than thank that
the them then there these they thing think this thought three through time to today together too top touch
town travel tree true try turn two under up usual very view village visit voice wait walk wall want warm was
wash watch water way we weather week well went west what wheel when where which while white who whole why
wide will win wind window winter with woman wonder wood word work world would write wrong yellow yes
yesterday yet you young your zero
"""

_LIST = _WORDS.split()
_ONSETS = ["b", "d", "f", "g", "k", "l", "m", "n", "p", "r", "s", "t", "v", "pl", "br", "tr", "kl", "", ""]
_VOWELS = ["a", "a", "e", "e", "i", "o", "o", "u"]
_CODAS = ["", "", "", "", "n", "m", "l", "s", "r", "t"]


def english(rng: np.random.Generator) -> str:
    """Return a line of English words."""
    return _line([str(rng.choice(_LIST)) for _ in range(rng.integers(8, 16))], rng)


def syllables(rng: np.random.Generator) -> str:
    """Return a line of made-up words that synthesisers of most languages can read."""
    words = []
    for _ in range(rng.integers(5, 10)):
        count = rng.integers(1, 5)
        words.append("".join(_syllable(rng) for _ in range(count)))
    return _line(words, rng)


def _syllable(rng: np.random.Generator) -> str:
    return str(rng.choice(_ONSETS)) + str(rng.choice(_VOWELS)) + str(rng.choice(_CODAS))


def _line(words: list[str], rng: np.random.Generator) -> str:
    pause = int(rng.integers(2, len(words)))
    return " ".join(words[:pause]) + ", " + " ".join(words[pause:]) + "."
