"""What may change: a crop path in which the head stands still, and a soft mask of the lower face."""

from daemon.redub.pose import pose_matrix as pose_matrix
