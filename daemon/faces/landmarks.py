"""Names for the points of the 468-point face mesh, and a template of those that do not move with the mouth.

Indices are those of MediaPipe's Face Mesh. "Right" is the person's right, which lies on the picture's left.
"""

import numpy as np

EYE_OUTER = (33, 263)
EYE_INNER = (133, 362)
NOSE_BASE = 2
CHIN = 152

LIPS_OUTER = (
    61, 146, 91, 181, 84, 17, 314, 405, 321, 375, 291,  # below, right corner to left corner
    409, 270, 269, 267, 0, 37, 39, 40, 185,  # above, back to the right corner
)  # fmt: skip
LIPS_INNER = (
    78, 95, 88, 178, 87, 14, 317, 402, 318, 324, 308,
    415, 310, 311, 312, 13, 82, 81, 80, 191,
)  # fmt: skip
INNER_PAIRS = ((82, 87), (13, 14), (312, 317))  # upper and lower inner lip, around the middle
MOUTH_CORNERS = (61, 291)

FACE_OVAL = (
    10, 338, 297, 332, 284, 251, 389, 356, 454, 323, 361, 288, 397, 365, 379, 378, 400, 377, 152,
    148, 176, 149, 150, 136, 172, 58, 132, 93, 234, 127, 162, 21, 54, 103, 67, 109,
)  # fmt: skip
JAW = (
    93, 132, 58, 172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397, 288, 361, 323,
)  # fmt: skip

RIGID_PAIRS = (
    (33, 263), (133, 362), (130, 359), (243, 463), (127, 356), (162, 389), (21, 251), (54, 284),
    (103, 332), (67, 297), (109, 338), (117, 346), (116, 345), (143, 372), (111, 340), (123, 352),
)  # fmt: skip
RIGID_MIDDLE = (10, 151, 9, 8, 168, 6, 197, 195, 5, 4)
RIGID = np.array([*(index for pair in RIGID_PAIRS for index in pair), *RIGID_MIDDLE])

# The outline of the lower face, in the order it is drawn.
LOWER_CHEEK_RIGHT = (187, 213)
LOWER_JAW = (172, 136, 150, 149, 176, 148, 152, 377, 400, 378, 379, 365, 397)
LOWER_CHEEK_LEFT = (433, 411)
BELOW_NOSE = (426, 393, 164, 167, 206)
