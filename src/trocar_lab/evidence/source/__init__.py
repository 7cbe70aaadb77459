"""Source code as the trace sees it: modules, symbols and comments of the device; marked tests."""
