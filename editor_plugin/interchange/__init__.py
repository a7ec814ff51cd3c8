"""Timelines as files: OTIO, FCP7 XML, AAF, Kdenlive, EDL. Runs in our environment, on OpenTimelineIO."""
