"""From a source (path or Hub id) to adapters: files, one reader per format, health."""
