"""From a name to a model on the shelf: download, convert, quantize, record."""
