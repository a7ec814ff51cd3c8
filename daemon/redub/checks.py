"""The evidence on a take: figures measured on the delivered file against the source, and the badge they earn.

`LIMITS` is the one table of what passes; `judge` turns figures into a badge and its reasons. The sync limits
follow ITU-R BT.1359 (detectable from +45 to -125 ms); a frame at 24 fps is 42 ms.
"""

from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

import cv2
import numpy as np

from daemon.media.colour import delta_e_2000, rgb_to_lab

Badge = Literal["pass", "look", "fail"]


@dataclass(frozen=True)
class Limit:
    """A figure up to `look` passes, up to `fail` wants a look, above it fails."""

    look: float
    fail: float
    reason: str  # with {value}


LIMITS: dict[str, Limit] = {
    "av_offset_ms": Limit(50, 90, "the mouth is {value:+.0f} ms off the voice"),
    "seam_delta_e": Limit(1.5, 3.0, "the seam shows (CIEDE2000 {value:.1f} on the ring)"),
    "colour_shift_delta_e": Limit(
        2.0, 4.0, "the skin inside the matte has another colour (CIEDE2000 {value:.1f})"
    ),
    "outside_max_difference": Limit(0, 0, "pixels outside the matte differ by up to {value:.0f} code values"),
    "chunk_jump": Limit(1.0, 3.0, "the picture jumps at a chunk boundary (L* {value:.1f} above the source)"),
    "silence_leak": Limit(0.035, 0.09, "the mouth moves in silence ({value:.3f} of the eye distance)"),
    "likeness": Limit(
        2.0, 3.0, "the mouth does not look like this actor's ({value:.1f} times the usual distance)"
    ),
    "frames_without_face": Limit(
        0, np.inf, "the voice speaks in {value:.0f} frames in which the speaker's mouth cannot be used"
    ),
    "speaker_doubt": Limit(0.85, np.inf, "which of the faces speaks is not sure"),
}
_MIN_SPEECH_S = 0.5  # below this the voice cannot be matched with the mouth
_CONFIDENT = 0.25  # correlation from which an offset is believed
_SURE = 1.0  # standard errors by which an offset must match better than none, to fail a take
_MIN_SURE_S = 1.0  # of speech, below which no offset is sure: a syllable or two match anywhere
_IN_SYNC_S = 0.05  # an offset up to this is none
_INDEPENDENT = 3  # frames from one to the next mouth that does not depend on it
_FROZEN = 0.35  # of the movement the voice predicts
_MIN_MOVEMENT_S = 1.5  # of speech, below which a mouth that hardly moves may be that of one held vowel
_MAX_LAG_S = 0.4
_USUAL = 98  # percentile of the changes elsewhere, fast consonants among them, above which one is a jump;
_USUAL_PLANNED = 100  # where the whole range was planned at once: there a border is a frame like any other
_MIN_SKIN = 0.01  # of the crop


@dataclass
class Observations:
    """What is measured frame by frame over the frames of the range, in order."""

    aperture: list[float] = field(
        default_factory=list
    )  # of the take, in eye distances; NaN where no face is found
    seam: list[float] = field(default_factory=list)
    skin: list[tuple[np.ndarray, np.ndarray]] = field(default_factory=list)  # mean L*a*b* of take and source
    likeness: list[float] = field(default_factory=list)
    change_take: list[float] = field(default_factory=list)  # L* from the frame before, inside the mask
    change_source: list[float] = field(default_factory=list)
    outside_max_difference: int = 0
    frames_found: int = 0


def ring_delta_e(shown: np.ndarray, source: np.ndarray, alpha: np.ndarray, *, sectors: int = 16) -> float:
    """Return the mean CIEDE2000 between take and source on the ring where `alpha` fades, sector by sector.

    Each sector's mean colour is compared, so that a jaw that moved costs little and a cast or a step costs
    much. shown, source: (S, S, 3) R'G'B'. Returns 0 where there is no ring.
    """
    rows, columns = np.nonzero((alpha > 0.05) & (alpha < 0.95))
    if len(rows) < 4 * sectors:
        return 0.0
    weight = alpha.sum()
    centre_y = (alpha.sum(1) @ np.arange(len(alpha))) / weight
    centre_x = (alpha.sum(0) @ np.arange(alpha.shape[1])) / weight
    angle = np.arctan2(rows - centre_y, columns - centre_x)
    sector = ((angle + np.pi) / (2 * np.pi) * sectors).astype(int) % sectors
    count = np.bincount(sector, minlength=sectors)
    used = count >= 4
    means = [
        np.stack(
            [
                np.bincount(sector, image[rows, columns, channel], sectors)[used] / count[used]
                for channel in range(3)
            ],
            -1,
        )
        for image in (shown, source)
    ]
    return float(delta_e_2000(rgb_to_lab(means[0]), rgb_to_lab(means[1])).mean())


def skin_colours(
    shown: np.ndarray, source: np.ndarray, skin: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the mean L*a*b* of take and source on `skin` (S, S) bool; None where there is hardly any."""
    if skin.mean() < _MIN_SKIN:
        return None
    return rgb_to_lab(shown[skin]).mean(0), rgb_to_lab(source[skin]).mean(0)


def lightness_change(now: np.ndarray, before: np.ndarray, mask: np.ndarray) -> float:
    """Return the mean absolute change of L* between two crops, weighted by the mask."""
    small = (64, 64)
    weight = cv2.resize(mask, small, interpolation=cv2.INTER_AREA)
    lightness = [
        rgb_to_lab(cv2.resize(image, small, interpolation=cv2.INTER_AREA))[..., 0] for image in (now, before)
    ]
    return float((np.abs(lightness[0] - lightness[1]) * weight).sum() / max(float(weight.sum()), 1e-6))


class Offset(NamedTuple):
    """How the mouth lies to the voice."""

    ms: float  # positive: the mouth comes after the voice
    confidence: float  # correlation at it
    evidence: float  # standard errors by which that correlation is better than the best one in sync


def measure_offset(aperture: np.ndarray, predicted: np.ndarray, rate: float, *, spoken: int) -> Offset | None:
    """Return the offset of the mouth against what the voice predicts; None if there is too little to tell.

    aperture, predicted: (n,), NaN where unknown; spoken: frames of speech, a third of which an offset may
    push out of sight. In a second of speech a wrong offset matches by chance as well as the right one; the
    evidence (by Fisher's z) tells the two apart.
    """
    reach = min(round(_MAX_LAG_S * rate), spoken // 3)
    if reach < 1:
        return None
    lags = np.arange(-reach, reach + 1)
    scores = np.array([_correlate_at(aperture, predicted, int(lag)) for lag in lags])
    if not np.isfinite(scores).any():
        return None
    best = int(np.nanargmax(scores))
    shift = 0.0
    if 0 < best < len(lags) - 1 and np.isfinite(scores[best - 1 : best + 2]).all():
        left, middle, right = scores[best - 1 : best + 2]
        curve = left - 2 * middle + right
        shift = 0.0 if curve >= 0 else 0.5 * (left - right) / curve
    in_sync = np.fmax.reduce(scores[np.abs(lags) <= _IN_SYNC_S * rate])
    known = np.isfinite(aperture).sum() / _INDEPENDENT
    gain = np.arctanh(min(scores[best], 0.999)) - np.arctanh(np.clip(np.nan_to_num(in_sync), 0, 0.999))
    evidence = float(gain * np.sqrt(known))
    return Offset(float((lags[best] + shift) / rate * 1000), float(scores[best]), evidence)


def _correlate_at(aperture: np.ndarray, predicted: np.ndarray, lag: int) -> float:
    first = aperture[max(0, lag) : len(aperture) + min(0, lag)]
    second = predicted[max(0, -lag) : len(predicted) - max(0, lag)]
    known = np.isfinite(first) & np.isfinite(second)
    if known.sum() < 8 or first[known].std() < 1e-6 or second[known].std() < 1e-6:
        return float("nan")
    return float(np.corrcoef(first[known], second[known])[0, 1])


def summarise(
    seen: Observations,
    *,
    frames_expected: int,
    predicted: np.ndarray,
    speech: np.ndarray,
    editable: np.ndarray,
    rate: float,
    chunk_starts: list[int],
    is_planned_whole: bool = False,
) -> dict[str, Any]:
    """Turn what was observed into the take's figures.

    predicted: (n,) aperture the voice asks for, in eye distances; speech: (n,) 0..1; editable: (n,) bool; n
    frames of the range. chunk_starts: indices into the range at which a chunk other than the first begins;
    is_planned_whole: whether the engine made them of one plan, or each on its own.
    """
    aperture = np.where(editable, np.array(seen.aperture, float), np.nan)
    spoken = (speech > 0.5) & editable
    figures: dict[str, Any] = {
        "frames_expected": frames_expected,
        "frames_found": seen.frames_found,
        "outside_max_difference": seen.outside_max_difference,
        "speech_s": round(float(spoken.sum() / rate), 2),
    }
    offset = measure_offset(aperture, np.where(editable, predicted, np.nan), rate, spoken=int(spoken.sum()))
    if offset is not None and spoken.sum() >= _MIN_SPEECH_S * rate:
        figures["av_offset_ms"], figures["av_confidence"] = round(offset.ms, 1), round(offset.confidence, 3)
        figures["av_evidence"] = round(offset.evidence, 2)
        wanted = float(np.nanstd(predicted[spoken]))
        moved = aperture[spoken]
        figures["movement"] = (
            round(float(np.nanstd(moved)) / wanted, 3)
            if wanted > 0 and np.isfinite(moved).sum() > 4
            else None
        )
    figures["seam_delta_e"] = _mean(seen.seam)
    figures["seam_delta_e_p95"] = round(float(np.percentile(seen.seam, 95)), 3) if seen.seam else None
    figures["colour_shift_delta_e"] = _colour_shift(seen)
    figures["likeness"] = _mean(seen.likeness)
    figures["chunk_jump"] = _chunk_jump(
        seen, chunk_starts, usual=_USUAL_PLANNED if is_planned_whole else _USUAL
    )
    figures["silence_leak"] = _silence_leak(aperture, speech, rate)
    return figures


def _mean(values: list[float]) -> float | None:
    return round(float(np.mean(values)), 3) if values else None


def _colour_shift(seen: Observations) -> float | None:
    """Return the CIEDE2000 between the mean skin of take and source: movement averages out, a cast stays."""
    if not seen.skin:
        return None
    take, source = (np.mean([pair[side] for pair in seen.skin], axis=0) for side in (0, 1))
    return round(float(delta_e_2000(take, source)), 3)


def _chunk_jump(seen: Observations, starts: list[int], *, usual: float) -> float | None:
    """Return the largest change at a boundary above the source's own, less what the take has elsewhere."""
    extra = np.array(seen.change_take) - np.array(seen.change_source)
    at = [index for index in starts if 0 < index < len(extra)]
    if not at:
        return None
    elsewhere = np.percentile(np.delete(extra, at), usual) if len(extra) > len(at) + 2 else 0.0
    return round(max(0.0, float(extra[at].max() - max(elsewhere, 0.0))), 3)


def _silence_leak(aperture: np.ndarray, speech: np.ndarray, rate: float) -> float | None:
    """Return the spread of the aperture well inside silence, in eye distances."""
    guard = max(2, round(0.12 * rate))
    silent = speech < 0.1
    silent = (
        cv2.erode(silent.astype(np.uint8)[None], np.ones((1, 2 * guard + 1), np.uint8), borderValue=0)[0] > 0
    )
    values = aperture[silent & np.isfinite(aperture)]
    return round(float(values.std()), 4) if len(values) >= 0.25 * rate else None


def judge(figures: dict[str, Any]) -> tuple[Badge, list[str]]:
    """Return the badge that the figures earn, and why it is not a pass."""
    fails, looks = [], []
    if figures["frames_found"] != figures["frames_expected"]:
        fails.append(
            f"{figures['frames_found']} frames were found where {figures['frames_expected']} were asked for"
        )
    for name, limit in LIMITS.items():
        value = figures.get(name)
        if value is None or (name == "av_offset_ms" and figures["av_confidence"] < _CONFIDENT):
            continue
        is_sure = name != "av_offset_ms" or _is_sure_of_offset(figures)
        if abs(value) > limit.fail and is_sure:
            fails.append(limit.reason.format(value=value))
        elif abs(value) > limit.look:
            looks.append(limit.reason.format(value=value))
    _judge_movement(figures, fails, looks)
    if figures["speech_s"] == 0:
        looks.append("no speech is heard in the voice here")
    return ("fail" if fails else "look" if looks else "pass"), fails + looks


def _is_sure_of_offset(figures: dict[str, Any]) -> bool:
    return figures["av_evidence"] >= _SURE and figures["speech_s"] >= _MIN_SURE_S


def _judge_movement(figures: dict[str, Any], fails: list[str], looks: list[str]) -> None:
    confidence, movement = figures.get("av_confidence"), figures.get("movement")
    if movement is not None and movement < _FROZEN:
        is_long = figures["speech_s"] >= _MIN_MOVEMENT_S
        reason = f"the mouth hardly moves ({movement:.0%} of what the voice asks for)"
        (fails if is_long else looks).append(reason)
    elif confidence is not None and confidence < _CONFIDENT:
        looks.append(f"the mouth cannot be matched with the voice (correlation {confidence:.2f})")
