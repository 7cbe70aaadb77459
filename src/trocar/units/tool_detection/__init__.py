"""Tool detection: one laparoscopic frame in; the boxes of its tool tips, or the reason for none."""
