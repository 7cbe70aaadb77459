"""Tool tracking: detections of one frame after the other in; tools with lasting numbers out."""
